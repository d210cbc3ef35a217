# SPDX-License-Identifier: GPL-2.0-only
"""Judging an old run again: the same pure function on the evidence that was kept."""

from __future__ import annotations

from collections.abc import Iterator

from pinhole.results.record import Record
from pinhole.results.run import Run
from pinhole.results.unfinished import unfinished
from pinhole.scenario.evidence import load
from pinhole.scenario.expect import Status, compare
from pinhole.scenario.verdict import judge


def rejudged(run: Run) -> Iterator[Record]:
    """The run's records, each with the verdict that its ``evidence.json`` gives now.

    A record without a verdict (SKIP, MISS, ERROR) stays as it was, and a job that pinhole was
    ended in is a MISS. Raises ``EvidenceError`` for evidence that is not there or cannot be read.
    """
    for record in (*run.records(), *unfinished(run)):
        if record.verdict is None:
            yield record
            continue
        evidence = load(run.folder / record.folder)
        verdict = judge(record.scenario, evidence)
        comparison = compare(record.scenario, record.kernel.version, verdict)
        yield record.model_copy(
            update={
                "verdict": verdict,
                "comparison": comparison,
                "status": Status(comparison.status),
            }
        )
