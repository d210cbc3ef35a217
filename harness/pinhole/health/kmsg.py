# SPDX-License-Identifier: GPL-2.0-only
"""Records of /dev/kmsg, parsed from raw text (Documentation/ABI/testing/dev-kmsg)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from pinhole.guest.parse_error import ParseError, quoted

KERNEL_FACILITY = 0
"""Only the kernel writes it: what a process writes is given LOG_USER (devkmsg_write())."""

# priority, sequence, microseconds, flags, and whatever later kernels add, up to the semicolon.
_PREFIX = re.compile(r"([0-9]+),([0-9]+),([0-9]+),([^,;]*)(?:,[^;]*)?;")
_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")
_QUOTED = 200


@dataclass(frozen=True)
class KmsgRecord:
    """One record. ``usec`` is the kernel's local clock in microseconds since boot.

    ``text`` is unescaped and may hold any character; ``fields`` are its dictionary (SUBSYSTEM,
    DEVICE). ``flags`` is ``-``, or ``c`` for a part of a line that goes on.
    """

    facility: int
    level: int
    sequence: int
    usec: int
    flags: str
    text: str
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def from_kernel(self) -> bool:
        """The kernel itself wrote it, no process did."""
        return self.facility == KERNEL_FACILITY


@dataclass(frozen=True)
class Gap:
    """Records ``first`` to ``last`` were not read: overwritten, or taken out."""

    first: int
    last: int


def parse_kmsg(text: str) -> list[KmsgRecord]:
    """All records of ``text``; raises ``ParseError`` if it is malformed or cut."""
    if text and not text.endswith("\n"):
        raise ParseError(f"the kernel's log is cut in its last line: {quoted(text[-_QUOTED:])}")
    records: list[list[str]] = []
    for line in text.split("\n")[:-1]:
        if not line.startswith(" "):
            records.append([line])
        elif records:
            records[-1].append(line[1:])
        else:
            raise ParseError(f"the kernel's log begins in a record: {quoted(line)}")
    return [_parse_record(lines) for lines in records]


def gaps(records: Iterable[KmsgRecord]) -> list[Gap]:
    """Where sequence numbers are missing; raises ``ParseError`` where they go backwards."""
    found = []
    for before, after in pairwise(records):
        if after.sequence <= before.sequence:
            raise ParseError(
                f"the kernel's log goes back from record {before.sequence} to {after.sequence}"
            )
        if after.sequence > before.sequence + 1:
            found.append(Gap(before.sequence + 1, after.sequence - 1))
    return found


def _parse_record(lines: list[str]) -> KmsgRecord:
    prefix = _PREFIX.match(lines[0])
    if prefix is None:
        raise ParseError(f"this is no record of /dev/kmsg: {quoted(lines[0])}")
    priority = int(prefix[1])
    pairs = [_unescape(line).partition("=") for line in lines[1:]]
    return KmsgRecord(
        facility=priority >> 3,
        level=priority & 7,
        sequence=int(prefix[2]),
        usec=int(prefix[3]),
        flags=prefix[4],
        text=_unescape(lines[0][prefix.end() :]),
        fields={name: value for name, _, value in pairs},
    )


def _unescape(text: str) -> str:
    """Undoes ``\\xHH``, as the kernel writes every byte that is not printable ASCII, and ``\\``."""
    raw = _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), text.encode())
    return raw.decode(errors="replace")
