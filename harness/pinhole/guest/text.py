# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's text on memory, parsed: zoneinfo, vmstat, meminfo, lists of numbers.

Pure functions of text without I/O, because verdicts are derived from text kept as evidence. All
raise ``ParseError`` on what the kernel would not write; a counter that the kernel does
not have is absent from the result, never 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pinhole.guest.parse_error import ParseError, quoted
from pinhole.size import KIB

__all__ = [
    "ParseError",
    "Zone",
    "parse_block_size",
    "parse_counters",
    "parse_hex",
    "parse_meminfo",
    "parse_ranges",
    "parse_zoneinfo",
]

_COUNTER = re.compile(r"(\S+) (-?[0-9]+)")
_MEMINFO = re.compile(r"(?:Node +[0-9]+ +)?([^\s:]+): +([0-9]+)( kB)?")
_RANGE = re.compile(r"([0-9]+)(?:-([0-9]+))?")
_ZONE_HEADER = re.compile(r"Node ([0-9]+), zone +(\S+)")
_ZONE_LINE = re.compile(r" +(?:pages )?([a-z_]+) +([0-9]+)")
_START_PFN = re.compile(r"  start_pfn: +([0-9]+)")
_MOST_NUMBERS = 1 << 16


@dataclass(frozen=True)
class Zone:
    """One zone of one node (/proc/zoneinfo), in pages; ``spanned_pages`` counts holes too.

    ``start_pfn`` is 0 where nothing is spanned: the kernel prints none for an empty zone.
    ``counters`` are its nr_* lines; an empty zone has none.
    """

    node: int
    name: str
    start_pfn: int
    spanned_pages: int
    present_pages: int
    managed_pages: int
    free_pages: int
    counters: Mapping[str, int] = field(default_factory=dict)

    @property
    def end_pfn(self) -> int:
        """The first PFN behind the zone's span."""
        return self.start_pfn + self.spanned_pages

    def spans(self, pfn: int) -> bool:
        """``pfn`` lies between the zone's first and last page."""
        return self.start_pfn <= pfn < self.end_pfn


def parse_counters(text: str) -> dict[str, int]:
    """/proc/vmstat, or a node's vmstat: a name and a number a line (mm/vmstat.c)."""
    counters: dict[str, int] = {}
    for line in _lines(text, "vmstat"):
        found = _COUNTER.fullmatch(line)
        if found is None or found[1] in counters:
            raise ParseError(f"this line of vmstat is malformed or stands twice: {quoted(line)}")
        counters[found[1]] = int(found[2])
    return counters


def parse_meminfo(text: str) -> dict[str, int]:
    """/proc/meminfo, or a node's: what is given in kB in bytes, counts as they are."""
    found: dict[str, int] = {}
    for line in _lines(text, "meminfo"):
        match = _MEMINFO.fullmatch(line)
        if match is None or match[1] in found:
            raise ParseError(f"this line of meminfo is malformed or stands twice: {quoted(line)}")
        found[match[1]] = int(match[2]) * (KIB if match[3] else 1)
    return found


def parse_ranges(text: str) -> list[int]:
    """A list as sysfs writes it (``0-1,3``), for nodes and CPUs; empty for an empty line."""
    numbers: list[int] = []
    for part in filter(None, text.strip().split(",")):
        found = _RANGE.fullmatch(part)
        if found is None:
            raise ParseError(f"not a list of numbers: {quoted(text)}")
        first = int(found[1])
        last = int(found[2] or first)
        if last < first or (numbers and first <= numbers[-1]) or last - first > _MOST_NUMBERS:
            raise ParseError(f"this list of numbers is out of order: {quoted(text)}")
        numbers += range(first, last + 1)
    return numbers


def parse_block_size(text: str) -> int:
    """Bytes of a memory block, from ``block_size_bytes``, which is hexadecimal without ``0x``."""
    size_bytes = parse_hex(text, "block_size_bytes")
    if size_bytes <= 0:
        raise ParseError(f"a memory block cannot have {size_bytes} bytes")
    return size_bytes


def parse_hex(text: str, what: str) -> int:
    """A hexadecimal number without ``0x`` and the newline behind it."""
    if not re.fullmatch(r"[0-9a-f]{1,16}\n?", text):
        raise ParseError(f"{what} is not a hexadecimal number: {quoted(text)}")
    return int(text, 16)


def parse_zoneinfo(text: str) -> list[Zone]:
    """All zones of /proc/zoneinfo, the empty ones too, in its order (mm/vmstat.c)."""
    parts = re.split(r"^(?=Node )", text, flags=re.MULTILINE)
    if parts[0] or len(parts) < 2 or not text.endswith("\n"):
        raise ParseError(f"zoneinfo does not begin with a zone, or is cut: {quoted(text[-200:])}")
    zones = [_parse_zone(part) for part in parts[1:]]
    if len({(zone.node, zone.name) for zone in zones}) != len(zones):
        raise ParseError("zoneinfo shows a zone twice")
    return zones


def _parse_zone(part: str) -> Zone:
    """One zone: a header, the node's counters in its first zone, then the zone's own lines."""
    lines = part[:-1].split("\n")
    header = _ZONE_HEADER.fullmatch(lines[0])
    begin = [number for number, line in enumerate(lines) if line.startswith("  pages free ")]
    if header is None or len(begin) != 1:
        raise ParseError(f"this zone of zoneinfo is malformed: {quoted(part)}")
    name = f"zone {header[2]} of node {header[1]}"
    # Each CPU's page lists follow "pagesets", with names of their own that differ by version.
    end = lines.index("  pagesets") if "  pagesets" in lines else len(lines)
    matches = [_ZONE_LINE.fullmatch(line) for line in lines[begin[0] : end]]
    matches += [_START_PFN.fullmatch(line) for line in lines[end:]]
    found: dict[str, int] = {}
    for match in filter(None, matches):
        key, value = match.groups() if match.re is _ZONE_LINE else ("start_pfn", match[1])
        if key in found:
            raise ParseError(f"{name} says {key!r} twice")
        found[key] = int(value)
    missing = {"free", "spanned", "present", "managed"} - set(found)
    if found.get("spanned", 0) > 0 and "start_pfn" not in found:
        missing.add("start_pfn")
    if missing:
        raise ParseError(f"{name} lacks {', '.join(sorted(missing))} in zoneinfo")
    return Zone(
        node=int(header[1]),
        name=header[2],
        start_pfn=found.get("start_pfn", 0),
        spanned_pages=found["spanned"],
        present_pages=found["present"],
        managed_pages=found["managed"],
        free_pages=found["free"],
        counters={key: value for key, value in found.items() if key.startswith("nr_")},
    )


def _lines(text: str, what: str) -> Iterator[str]:
    """The lines of ``text``, which must end with a newline: a cut number reads as another one."""
    if not text.endswith("\n"):
        raise ParseError(f"{what} is empty or cut in its last line: {quoted(text[-200:])}")
    yield from text[:-1].split("\n")
