# SPDX-License-Identifier: GPL-2.0-only
"""The record of one scenario on one kernel: what every report is made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field

from pinhole.plan import Scenario
from pinhole.scenario.expect import Comparison, Status
from pinhole.scenario.ruling import State
from pinhole.scenario.verdict import Verdict
from pinhole.yamlfile import StrictModel


class KernelName(StrictModel):
    """The kernel, as a record names it: the user's word for it, and what it turned out to be.

    ``variant`` is the variant that it was built as, if any: expectations may be of one.
    """

    label: str
    release: str
    version: str
    key: str
    origin: str
    variant: str | None = None


class Record(StrictModel):
    """One scenario on one kernel: status, verdict and where its evidence lies.

    ``reason`` says why there is no verdict (SKIP, MISS, ERROR). ``folder`` is relative to the
    run's directory. ``started`` is ISO 8601 in UTC; ``phases`` are seconds by phase.
    """

    scenario: Scenario
    kernel: KernelName
    repetition: int = 0
    status: Status
    reason: str | None = None
    verdict: Verdict | None = None
    comparison: Comparison | None = None
    accelerator: str | None = None
    started: str
    seconds: float
    phases: Mapping[str, float] = Field(default_factory=dict)
    folder: str

    @property
    def name(self) -> str:
        """``scenario[kernel]``, with the repetition where there is more than one."""
        suffix = f"#{self.repetition + 1}" if self.repetition else ""
        return f"{self.scenario.name}[{self.kernel.label}]{suffix}"


def exit_status(records: Iterable[Record], *, strict: bool = False) -> int:
    """The exit status of a run (design.md): what was found outweighs what could not be run.

    0: everything as expected, at least one promise judged, none unknown. 1: something else than
    expected, a promise unknown, or, with ``strict``, any promise broken. 3: the harness or a
    machine failed. 4: nothing ran.
    """
    found = list(records)
    statuses = {record.status for record in found}
    broken = any(
        record.verdict is not None and record.verdict.promises(State.BROKEN) for record in found
    )
    if statuses & {Status.FAIL, Status.DONE} or (strict and broken):
        return 1
    if statuses & {Status.MISS, Status.ERROR}:
        return 3
    if Status.PASS not in statuses:
        return 4
    return 0


def as_json(record: Record) -> dict[str, Any]:
    """The record as plain data, for ``record.json`` and ``--json``."""
    return record.model_dump(mode="json")
