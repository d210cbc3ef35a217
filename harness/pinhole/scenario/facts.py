# SPDX-License-Identifier: GPL-2.0-only
"""Reading evidence so that nothing missing goes unnoticed.

A verdict reads every fact through ``Facts``, which remembers what was read. So what a promise
rests on is recorded and not declared, and a fact that is missing or of the wrong type ends the
judgement of that promise as ``unknown`` instead of being taken for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

Path = tuple[str | int, ...]


class EvidenceGapError(Exception):
    """Evidence is missing, truncated, malformed or contradicts itself: nobody can judge by it.

    Never reaches a user as an error: the promise becomes ``unknown`` with this as its reason.
    """


class Facts:
    """The content of an ``evidence.json``, read fact by fact."""

    def __init__(self, evidence: Mapping[str, Any]) -> None:
        self._evidence = evidence
        self._read: dict[Path, None] = {}

    @contextmanager
    def reading(self) -> Iterator[dict[Path, None]]:
        """Collects the paths of all facts that the block reads, in order."""
        outer, self._read = self._read, {}
        try:
            yield self._read
        finally:
            self._read = outer | self._read

    def value(self, *path: str | int) -> Any:
        """The fact at ``path``; raises ``EvidenceGapError`` if it is not there or null."""
        self._read[path] = None
        found: Any = self._evidence
        for part in path:
            inside = isinstance(found, dict if isinstance(part, str) else list)
            try:
                found = found[part] if inside else None
            except (KeyError, IndexError):
                found = None
            if found is None:
                raise EvidenceGapError(f"evidence is missing: {pointer(path)}")
        return found

    def optional(self, *path: str | int) -> Any:
        """The fact at ``path``, whose value may be null but which must have been recorded."""
        holder = self.mapping(*path[:-1])
        self._read[path] = None
        if path[-1] not in holder:
            raise EvidenceGapError(f"evidence is missing: {pointer(path)}")
        return holder[path[-1]]

    def text(self, *path: str | int) -> str:
        """A string."""
        found = self.value(*path)
        if not isinstance(found, str):
            raise _wrong(path, "text", found)
        return found

    def integer(self, *path: str | int) -> int:
        """A whole number."""
        found = self.value(*path)
        if isinstance(found, bool) or not isinstance(found, int):
            raise _wrong(path, "a whole number", found)
        return found

    def number(self, *path: str | int) -> float:
        """A finite number that is not negative: a count, a time, a size."""
        found = self.value(*path)
        number = isinstance(found, int | float) and not isinstance(found, bool)
        # Not a number compares as false with everything, and so would pass every check.
        if not number or not 0 <= found < math.inf:
            raise _wrong(path, "a finite number, 0 or more", found)
        return float(found)

    def flag(self, *path: str | int) -> bool:
        """True or false."""
        found = self.value(*path)
        if not isinstance(found, bool):
            raise _wrong(path, "true or false", found)
        return found

    def mapping(self, *path: str | int) -> dict[str, Any]:
        """An object; the facts in it count as read only when they are read themselves."""
        found = self.value(*path)
        self._read.pop(path, None)
        if not isinstance(found, dict):
            raise _wrong(path, "an object", found)
        return found

    def sequence(self, *path: str | int) -> list[Any]:
        """A list whose items carry ``index`` 0, 1, 2 … and whose length is recorded beside it.

        The list ``events`` needs an ``events_count`` next to it: an item that was cut out, at
        the end too, is then noticed.
        """
        found = self.value(*path)
        self._read.pop(path, None)
        if not isinstance(found, list):
            raise _wrong(path, "a list", found)
        count = self.integer(*path[:-1], f"{path[-1]}_count")
        if count != len(found):
            raise EvidenceGapError(
                f"evidence is cut: {pointer(path)} holds {len(found)} items of {count}"
            )
        for index in range(len(found)):
            if self.integer(*path, index, "index") != index:
                raise EvidenceGapError(f"evidence is cut: an item of {pointer(path)} is missing")
        return found


def pointer(path: Path) -> str:
    """``path`` as a JSON Pointer (RFC 6901)."""
    return "/" + "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _wrong(path: Path, wanted: str, found: object) -> EvidenceGapError:
    return EvidenceGapError(
        f"evidence is malformed: {pointer(path)} is not {wanted}: {found!r:.60}"
    )
