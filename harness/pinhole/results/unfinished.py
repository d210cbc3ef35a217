# SPDX-License-Identifier: GPL-2.0-only
"""Jobs that were begun and never came to a record: pinhole was interrupted or killed in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import Field, ValidationError

from pinhole.errors import EvidenceError
from pinhole.plan import Scenario
from pinhole.results.record import KernelName, Record
from pinhole.results.run import RECORD_FILE, Run
from pinhole.scenario.evidence import FILE_NAME, load
from pinhole.scenario.expect import Status
from pinhole.yamlfile import StrictModel


class _Phase(StrictModel, extra="ignore"):
    name: str
    seconds: float


class _End(StrictModel, extra="ignore"):
    phase: str


class _Machine(StrictModel, extra="ignore"):
    accelerator: str


class _Begun(StrictModel, extra="ignore"):
    """What the evidence of a job says from its beginning on, and how far it came."""

    scenario: Scenario
    kernel: KernelName
    machine: _Machine
    started: str
    phases: tuple[_Phase, ...] = Field(default=())
    end: _End | None = None

    @property
    def reason(self) -> str:
        if self.end is not None:
            return f"{self.end.phase}: pinhole was interrupted"
        where = f"after the phase {self.phases[-1].name!r}" if self.phases else "during boot"
        return f"pinhole was killed {where}, or is still at it"


def unfinished(run: Run) -> Iterator[Record]:
    """A MISS for each such job of ``run``; raises ``EvidenceError`` for damaged evidence."""
    for path in sorted(run.folder.rglob(FILE_NAME)):
        if not (path.parent / RECORD_FILE).exists():
            yield _record(path.parent, path.parent.relative_to(run.folder))


def _record(folder: Path, within: Path) -> Record:
    try:
        begun = _Begun.model_validate(load(folder))
    except ValidationError as error:
        first = error.errors()[0]
        where = "/".join(map(str, first["loc"]))
        raise EvidenceError(f"{folder / FILE_NAME}: {where}: {first['msg']}") from error
    return Record(
        scenario=begun.scenario,
        kernel=begun.kernel,
        repetition=int(within.name) - 1 if len(within.parts) > 2 else 0,
        status=Status.MISS,
        reason=begun.reason,
        accelerator=begun.machine.accelerator,
        started=begun.started,
        seconds=sum(phase.seconds for phase in begun.phases),
        phases={phase.name: phase.seconds for phase in begun.phases},
        folder=str(within),
    )
