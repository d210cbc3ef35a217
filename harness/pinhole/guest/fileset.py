# SPDX-License-Identifier: GPL-2.0-only
"""Many files of the guest as ``pinguest read`` frames them.

A line of JSON for the start, then for each file a line of JSON (``path``, ``bytes``,
``errno_name``, ``truncated``), exactly ``bytes`` raw bytes and a newline, at the end a line of
JSON with ``end``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pinhole.guest.parse_error import ParseError, quoted


@dataclass(frozen=True)
class GuestFile:
    """One file, or why it could not be read (``errno_name``); ``truncated`` if it was cut."""

    path: str
    data: bytes
    errno_name: str | None
    truncated: bool

    @property
    def text(self) -> str:
        """The content, decoded with replacement."""
        return self.data.decode(errors="replace")


@dataclass(frozen=True)
class FileSet:
    """Files read together at ``boottime``, the guest's CLOCK_BOOTTIME in seconds."""

    boottime: float
    files: dict[str, GuestFile]

    def texts(self) -> dict[str, str]:
        """The text of every file that was read whole."""
        return {
            path: file.text
            for path, file in self.files.items()
            if file.errno_name is None and not file.truncated
        }

    def errors(self) -> dict[str, str]:
        """The errno's name of every file that was not; ``EFBIG`` where it was cut."""
        return {
            path: file.errno_name or "EFBIG"
            for path, file in self.files.items()
            if file.errno_name is not None or file.truncated
        }


class Frames:
    """Reads JSON lines and the raw bytes between them, in order, from ``data``."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def line(self) -> dict[str, Any]:
        """The next line, which must be a JSON object."""
        end = self._data.find(b"\n", self._at)
        if end < 0:
            raise ParseError(f"pinguest's output ends in the middle of: {self._rest()}")
        raw = self._data[self._at : end]
        try:
            found = json.loads(raw.decode(errors="replace"))
        except (ValueError, RecursionError) as error:
            raise ParseError(f"pinguest wrote no JSON: {quoted(raw)}") from error
        if not isinstance(found, dict):
            raise ParseError(f"pinguest wrote no JSON object: {quoted(raw)}")
        self._at = end + 1
        return found

    def raw(self, count: int) -> bytes:
        """The next ``count`` bytes, which a newline must follow."""
        end = self._at + count
        if count < 0 or self._data[end : end + 1] != b"\n":
            raise ParseError(f"pinguest announced {count} bytes, but wrote: {self._rest()}")
        found = self._data[self._at : end]
        self._at = end + 1
        return found

    def finish(self) -> None:
        """Nothing may follow."""
        if self._at != len(self._data):
            raise ParseError(f"pinguest wrote more after its end: {self._rest()}")

    def _rest(self) -> str:
        return quoted(self._data[self._at :])


def json_object(text: str, command: str) -> dict[str, Any]:
    """The one JSON object that ``command`` of pinguest wrote; raises ``ParseError``."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ParseError(f"{command} wrote no JSON: {quoted(text)}") from error
    if not isinstance(found, dict):
        raise ParseError(f"{command} wrote no JSON object: {quoted(text)}")
    return found


def field(record: dict[str, Any], name: str, kind: type | tuple[type, ...]) -> Any:
    """``record[name]``, which must be of ``kind`` (a bool is no number)."""
    found = record.get(name)
    if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
        raise ParseError(f"pinguest wrote no {name!r} in {quoted(json.dumps(record))}")
    return found


def parse_fileset(data: bytes) -> FileSet:
    """The output of ``pinguest read``; raises ``ParseError`` unless it is whole."""
    frames = Frames(data)
    boottime = float(field(frames.line(), "boottime", (int, float)))
    files: dict[str, GuestFile] = {}
    while True:
        header = frames.line()
        if "end" in header:
            break
        path = field(header, "path", str)
        files[path] = GuestFile(
            path=path,
            data=frames.raw(field(header, "bytes", int)),
            errno_name=field(header, "errno_name", (str, type(None))),
            truncated=field(header, "truncated", bool),
        )
    frames.finish()
    return FileSet(boottime, files)
