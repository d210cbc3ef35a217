# SPDX-License-Identifier: GPL-2.0-only
"""Evidence: all that a verdict needs, as it was seen, in one ``evidence.json`` a scenario.

Raw text stays raw: the verdict parses it, so that an old run can be judged again by a better
parser. What was never recorded is null or absent, never an empty list or a zero. Lists carry
an index in every item and their length beside them, so that a cut list shows.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from pinhole.errors import EvidenceError, HostError

FILE_NAME = "evidence.json"
FORMAT = 1

Items = list[dict[str, Any]]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_assignment=True)


class SnapshotEvidence(_Part):
    """Files of the guest read at one moment: raw text by path, or the errno that reading gave.

    ``boottime`` is the guest's CLOCK_BOOTTIME in seconds.
    """

    boottime: float
    files: dict[str, str]
    errors: dict[str, str]


class HolderEvidence(_Part):
    """What pinholder said (one item a line of its JSON) and how it ended."""

    events: Items
    events_count: int
    stderr: str
    exit_status: int | None = None
    exit_signal: str | None = None


class RemovalEvidence(_Part):
    """The tries of one round to take each block away, in the order in which they were made."""

    attempts: Items
    attempts_count: int


class UnplugEvidence(_Part):
    """The DIMM's way out, as QEMU told it: ``said`` is the outcome with its budget or status,
    ``ost`` the guest's last _OST status, null if it sent none."""

    outcome: str
    said: str
    seconds: float
    budget_seconds: float
    ost: int | None


class KmsgEvidence(_Part):
    """The kernel's log as /dev/kmsg gives it, from the first record to the ``end_mark``.

    ``begin_mark`` and ``end_mark`` are texts that the harness wrote into it around the scenario.
    ``overrun`` is true where the kernel said that records were overwritten before they were read.
    """

    records: str
    overrun: bool
    complete: bool
    begin_mark: str
    end_mark: str


class QmpEvidence(_Part):
    """Every event that QEMU sent, with the host's monotonic clock and QEMU's wall clock."""

    events: Items
    events_count: int


class EndEvidence(_Part):
    """How the scenario ended: whether all phases were done, or which one failed and why."""

    completed: bool
    phase: str | None = None
    error: str | None = None
    error_kind: str | None = None
    status: str | None = None


class Evidence(_Part):
    """All evidence of one scenario on one kernel; every part is null until it was gathered."""

    format: Literal[1] = 1
    scenario: dict[str, Any]
    kernel: dict[str, Any]
    started: str | None = None
    machine: dict[str, Any] | None = None
    guest: dict[str, Any] | None = None
    target: dict[str, Any] | None = None
    clock: dict[str, Any] | None = None
    phases: Items = []
    snapshots: dict[str, SnapshotEvidence] = {}
    holder: HolderEvidence | None = None
    removals: dict[str, RemovalEvidence] = {}
    unplug: UnplugEvidence | None = None
    kmsg: KmsgEvidence | None = None
    qmp: QmpEvidence | None = None
    end: EndEvidence | None = None

    def save(self, folder: Path) -> None:
        """Writes ``evidence.json`` into ``folder``, whole or not at all."""
        write_whole(folder / FILE_NAME, json.dumps(self.model_dump(mode="json"), indent=1))


def numbered(items: Iterable[Mapping[str, Any]]) -> Items:
    """``items`` with their ``index``, as ``Facts.sequence`` wants them."""
    return [{"index": index, **item} for index, item in enumerate(items)]


def load(folder: Path) -> dict[str, Any]:
    """The content of ``folder``'s ``evidence.json``, as plain data.

    Plain, because what is missing or malformed in it is for the verdict to notice, promise by
    promise. Raises ``EvidenceError`` for what is no JSON object or of another format.
    """
    path = folder / FILE_NAME
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EvidenceError(f"cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise EvidenceError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(data, dict):
        raise EvidenceError(f"{path} holds no JSON object")
    if data.get("format") != FORMAT:
        raise EvidenceError(
            f"{path} has format {data.get('format')!r}, this pinhole reads {FORMAT}; "
            "judge it with the version that wrote it"
        )
    return data


def write_whole(path: Path, text: str) -> None:
    """Writes ``text`` beside ``path`` and renames it, so that no reader sees half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise HostError(
            f"cannot write {path}: {error.strerror}; free some space or choose another --runs"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
