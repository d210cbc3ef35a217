# SPDX-License-Identifier: GPL-2.0-only
"""Judging an old run again: the same pure function on the evidence that was kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pinhole.errors import EvidenceError
from pinhole.results.record import Record
from pinhole.results.run import Run
from pinhole.results.unfinished import unfinished
from pinhole.scenario.evidence import load
from pinhole.scenario.expect import Status, compare
from pinhole.scenario.verdict import judge


def rejudged(run: Run) -> Iterator[Record]:
    """The run's records, each with the verdict that its ``evidence.json`` gives now.

    A record without a verdict (SKIP, MISS, ERROR) stays as it was, and a job that pinhole was
    ended in is a MISS. Evidence that is not there or cannot be read makes every promise unknown.
    """
    for record in (*run.records(), *unfinished(run)):
        if record.verdict is None:
            yield record
            continue
        evidence, reason = _evidence(run, record)
        verdict = judge(record.scenario, evidence, record.kernel.key)
        comparison = compare(record.scenario, record.kernel.version, verdict, record.kernel.variant)
        yield record.model_copy(
            update={
                "verdict": verdict,
                "reason": reason or record.reason,
                "comparison": comparison,
                "status": Status(comparison.status),
            }
        )


def _evidence(run: Run, record: Record) -> tuple[dict[str, Any], str | None]:
    """The record's evidence; where it cannot be read nothing is known, and why is told."""
    try:
        return load(run.folder / record.folder), None
    except EvidenceError as error:
        return {}, str(error)
