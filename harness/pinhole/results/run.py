# SPDX-License-Identifier: GPL-2.0-only
"""A run's directory: written as things happen, read back by ``pinhole judge``.

``runs/<id>/run.json`` says what was asked; ``<kernel>/<scenario>/[N/]`` holds one scenario's
``evidence.json``, ``record.json`` and logs. A run that was killed has whatever was finished.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import ValidationError

from pinhole.dirs import private_dir
from pinhole.errors import EvidenceError, HostError, UsageError
from pinhole.results.record import Record, as_json
from pinhole.scenario.evidence import FILE_NAME as EVIDENCE_FILE
from pinhole.scenario.evidence import write_whole

RUN_FILE = "run.json"
RECORD_FILE = "record.json"
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")
_LONGEST = 100
"""Characters of a path component; file systems take 255 bytes (NAME_MAX)."""
_DIGITS = 12


def runs_dir(chosen: Path | None = None) -> Path:
    """Where runs are kept: ``chosen``, ``$PINHOLE_RUNS`` or the user's state directory."""
    if chosen is None:
        named = os.environ.get("PINHOLE_RUNS")
        chosen = Path(named) if named else platformdirs.user_state_path("pinhole") / "runs"
    return private_dir(chosen, "choose another --runs (or PINHOLE_RUNS)")


@dataclass(frozen=True)
class Run:
    """One run's directory; ``name`` is its id."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @classmethod
    def create(cls, parent: Path, description: dict[str, Any]) -> Run:
        """A new directory under ``parent``, with ``description`` in its ``run.json``."""
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        folder = private_dir(parent / f"{stamp}-{secrets.token_hex(3)}")
        run = cls(folder)
        write_whole(folder / RUN_FILE, json.dumps({"run": run.name, **description}, indent=1))
        return run

    @classmethod
    def find(cls, named: str | None, parent: Path) -> Run:
        """The run of that id or directory, or the newest one; ``UsageError`` if there is none."""
        if named is not None:
            for folder in (Path(named), parent / named):
                if (folder / RUN_FILE).is_file():
                    return cls(folder)
            raise UsageError(f"{named!r} is no run: no {RUN_FILE} there, nor in {parent / named}")
        found = sorted(path.parent for path in parent.glob(f"*/{RUN_FILE}"))
        if not found:
            raise UsageError(f"there is no run in {parent}: make one with 'pinhole run'")
        return cls(found[-1])

    def description(self) -> dict[str, Any]:
        """What ``run.json`` holds."""
        return _read_object(self.folder / RUN_FILE)

    def baseline(self) -> str | None:
        """The kernel that its plan compares the others with, by label."""
        found = self.description().get("baseline")
        return found if isinstance(found, str) else None

    def job_folder(self, kernel: str, scenario: str, repetition: int) -> Path:
        """The directory of one scenario on one kernel, made."""
        folder = self.folder / folder_name(kernel) / folder_name(scenario)
        if repetition:
            folder /= str(repetition + 1)
        if (folder / EVIDENCE_FILE).exists():
            raise HostError(
                f"{folder} holds another scenario's evidence already: give every "
                "kernel a 'name:' of its own"
            )
        return private_dir(folder)

    def save(self, record: Record) -> None:
        """Writes ``record.json`` into the record's folder, whole or not at all."""
        text = json.dumps(as_json(record), indent=1)
        write_whole(self.folder / record.folder / RECORD_FILE, text)

    def records(self) -> Iterator[Record]:
        """All records, in the order in which they were made."""
        found = []
        for path in self.folder.rglob(RECORD_FILE):
            try:
                found.append(Record.model_validate(_read_object(path)))
            except ValidationError as error:
                raise EvidenceError(
                    f"{path} is no record of this pinhole: {error.errors()[0]['msg']}"
                ) from error
        yield from sorted(found, key=lambda record: record.started)


def folder_name(name: str) -> str:
    """``name`` as one path component: what a kernel is called must not lead out of the run.

    A kernel with many patches has a name that no file system takes whole: that is cut, and told
    apart from others by a digest.
    """
    found = _UNSAFE.sub("-", name).strip(".-") or "unnamed"
    if len(found) <= _LONGEST:
        return found
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]
    return f"{found[: _LONGEST - _DIGITS - 1]}-{digest}"


def _read_object(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EvidenceError(f"cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, ValueError) as error:
        raise EvidenceError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(data, dict):
        raise EvidenceError(f"{path} holds no JSON object")
    return data
