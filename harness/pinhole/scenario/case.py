# SPDX-License-Identifier: GPL-2.0-only
"""Evidence read as the subject's values: held pages by zone and block, blocks, pin counters.

Page counts have three sources: the holder's pagemap, the zones' ranges in /proc/zoneinfo and the
per-node pin counters. Where two of them disagree nothing is concluded (``EvidenceGapError``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pinhole.guest.text import (
    ParseError,
    Zone,
    parse_block_size,
    parse_counters,
    parse_meminfo,
    parse_ranges,
    parse_zoneinfo,
)
from pinhole.health.kmsg import KmsgRecord, parse_kmsg
from pinhole.plan import Scenario
from pinhole.scenario.facts import EvidenceGapError, Facts
from pinhole.scenario.hold import HOLD_PATHS
from pinhole.scenario.part import HoldPath, Reference

MOVABLE = "Movable"
NODE = "/sys/devices/system/node/node"

PageRange = tuple[int, int]
"""First and last PFN, both inclusive."""


@dataclass(frozen=True)
class HeldPages:
    """Where a set of pages is: counts by (node, zone) and by memory block, and the PFN ranges."""

    count: int
    by_zone: Mapping[tuple[int, str], int]
    by_block: Mapping[str, int]
    ranges: tuple[PageRange, ...]

    def in_zone(self, zone: str) -> int:
        """Pages in the zone of that name, on whatever node."""
        return sum(count for (_, name), count in self.by_zone.items() if name == zone)

    def on_node(self, node: int) -> int:
        """Pages on ``node``, in whatever zone."""
        return sum(count for (number, _), count in self.by_zone.items() if number == node)


class Case:
    """One scenario's evidence, read through ``Facts`` so that what was read is known."""

    def __init__(self, scenario: Scenario, facts: Facts) -> None:
        self.scenario = scenario
        self.facts = facts
        self.way: HoldPath = HOLD_PATHS[scenario.hold]

    @property
    def longterm(self) -> bool:
        """Whether the hold is a long-term pin, which placement is about."""
        return self.way.reference is Reference.LONGTERM_PIN

    # -- what the guest is

    def page_size_bytes(self) -> int:
        return self._positive("guest", "page_size_bytes")

    def block_size_bytes(self) -> int:
        with _malformed_is_a_gap():
            return parse_block_size(
                self.file("plugged", "/sys/devices/system/memory/block_size_bytes")
            )

    def node(self) -> int:
        return self.facts.integer("target", "node")

    def file(self, snapshot: str, path: str) -> str:
        """The raw text of ``path`` in a snapshot."""
        return self.facts.text("snapshots", snapshot, "files", path)

    def zones(self, snapshot: str) -> tuple[Zone, ...]:
        with _malformed_is_a_gap():
            return tuple(parse_zoneinfo(self.file(snapshot, "/proc/zoneinfo")))

    def meminfo(self, snapshot: str) -> Mapping[str, int]:
        """/proc/meminfo in bytes (counts stay counts)."""
        with _malformed_is_a_gap():
            return parse_meminfo(self.file(snapshot, "/proc/meminfo"))

    def nodes(self, snapshot: str) -> list[int]:
        """The nodes that are online: a node comes with its first memory and goes with its last."""
        with _malformed_is_a_gap():
            return parse_ranges(self.file(snapshot, "/sys/devices/system/node/online"))

    def blocks(self, snapshot: str) -> dict[str, str]:
        """State of every memory block of the whole machine, by name."""
        files = self.facts.mapping("snapshots", snapshot, "files")
        found = {
            match[1]: self.file(snapshot, path).strip()
            for path in files
            if (match := re.fullmatch(r"/sys/devices/system/memory/(memory\d+)/state", path))
        }
        if not found:
            raise EvidenceGapError(f"the snapshot {snapshot!r} holds no memory block")
        return found

    def target_blocks(self, snapshot: str = "plugged") -> dict[str, str]:
        """State of the blocks of the DIMM's node, by name; all of them, or it is a gap."""
        files = self.facts.mapping("snapshots", snapshot, "files")
        pattern = re.compile(rf"{NODE}{self.node()}/(memory\d+)/state")
        found = {
            match[1]: self.file(snapshot, path).strip()
            for path in files
            if (match := pattern.fullmatch(path))
        }
        wanted = self._positive("target", "size_bytes") // self.block_size_bytes()
        if len(found) != wanted:
            raise EvidenceGapError(
                f"the snapshot {snapshot!r} shows {len(found)} blocks of node {self.node()}, "
                f"its DIMM has {wanted}"
            )
        return dict(sorted(found.items()))

    # -- what the holder did

    def event(self, name: str, **having: str) -> tuple[str | int, ...]:
        """The path of pinholder's event ``name``; a gap if it is not there exactly once."""
        events = self.facts.sequence("holder", "events")
        found = [
            index
            for index, event in enumerate(events)
            if self.facts.text("holder", "events", index, "event") == name
            and all(event.get(key) == value for key, value in having.items())
        ]
        if len(found) != 1:
            said = " ".join([name, *having.values()])
            raise EvidenceGapError(f"pinholder said {said!r} {len(found)} times, not once")
        return ("holder", "events", found[0])

    def hold_refused(self) -> str | None:
        """The errno's name if the kernel refused the hold, None if the pages are held."""
        path = self.event("hold")
        if self.facts.integer(*path, "result") >= 0:
            self.event("holding")
            return None
        self.event("refused")
        return self.facts.text(*path, "errno_name")

    def pages(self, when: str, snapshot: str) -> HeldPages:
        """Where the holder's pages are: its pagemap against the zones' ranges.

        ``when`` is ``before`` or ``after`` the hold. All of the scenario's pages must be present,
        distinct, and each in exactly one zone.
        """
        path = self.event("pages", when=when)
        # Which of the two events this is must itself be evidence.
        self.facts.text(*path, "when")
        ranges = _ranges(self.facts.value(*path, "runs"))
        absent = self.facts.integer(*path, "absent")
        count = sum(last - first + 1 for first, last in ranges)
        wanted = self.scenario.size // self.page_size_bytes()
        if count != wanted or absent:
            raise EvidenceGapError(
                f"the holder's pagemap shows {count} pages {when} the hold ({absent} absent), "
                f"the scenario holds {wanted}"
            )
        block_pages = self.block_size_bytes() // self.page_size_bytes()
        by_zone: Counter[tuple[int, str]] = Counter()
        by_block: Counter[str] = Counter()
        zones = self.zones(snapshot)
        for first, last in ranges:
            located = 0
            for zone in zones:
                inside = _overlap(first, last, zone)
                by_zone[zone.node, zone.name] += inside
                located += inside
            if located != last - first + 1:
                raise EvidenceGapError(
                    f"zoneinfo's ranges and pagemap disagree: of the pages {first:#x}-{last:#x} "
                    f"{located} are in a zone's span, once each"
                )
            for number in range(first // block_pages, last // block_pages + 1):
                low, high = number * block_pages, (number + 1) * block_pages - 1
                by_block[f"memory{number}"] += min(last, high) - max(first, low) + 1
        return HeldPages(count, {k: v for k, v in by_zone.items() if v}, dict(by_block), ranges)

    # -- what the kernel said and counted

    def log(self) -> tuple[KmsgRecord, ...]:
        """The kernel's log, record by record."""
        with _malformed_is_a_gap():
            return tuple(parse_kmsg(self.facts.text("kmsg", "records")))

    def pins(self, snapshot: str) -> dict[int, int]:
        """Pins held by node: nr_foll_pin_acquired - nr_foll_pin_released."""
        return {node: self._pins_of(snapshot, node) for node in self.nodes(snapshot)}

    def pins_taken(self) -> dict[int, int]:
        """Pins that came between ``plugged`` and ``held``, by node."""
        before, after = self.pins("plugged"), self.pins("held")
        return {node: after[node] - before[node] for node in after}

    def held(self) -> HeldPages:
        """The pages held, once the three sources agree on them."""
        pages = self.pages("after", "held")
        counted = self.pins_taken()
        for node, pins in counted.items():
            expected = pages.on_node(node) if self.longterm else 0
            if pins != expected:
                raise EvidenceGapError(
                    f"node {node}'s pin counters and pagemap disagree: {pins} pins were taken, "
                    f"{expected} pages of the hold are there to be counted"
                )
        return pages

    def _pins_of(self, snapshot: str, node: int) -> int:
        with _malformed_is_a_gap():
            counters = parse_counters(self.file(snapshot, f"{NODE}{node}/vmstat"))
        for name in ("nr_foll_pin_acquired", "nr_foll_pin_released"):
            if name not in counters:
                raise EvidenceGapError(f"node {node} has no counter {name} in {snapshot!r}")
        return counters["nr_foll_pin_acquired"] - counters["nr_foll_pin_released"]

    def _positive(self, *path: str) -> int:
        value = self.facts.integer(*path)
        if value <= 0:
            raise EvidenceGapError(f"evidence is malformed: {'/'.join(path)} is {value}")
        return value


def _ranges(runs: Any) -> tuple[PageRange, ...]:
    """Sorted, merged PFN ranges of pinholder's runs ``[first_pfn, count, step]``.

    ``step`` is 1 or -1 and may be left out. A PFN that stands twice is a gap: the pages of one
    private mapping are distinct.
    """
    spans: list[PageRange] = []
    if not isinstance(runs, list):
        raise EvidenceGapError("evidence is malformed: the holder's runs are not a list")
    for run in runs:
        numbers = isinstance(run, list) and all(type(part) is int for part in run)
        if not numbers or len(run) not in (2, 3) or run[1] < 1 or run[2:] not in ([], [1], [-1]):
            raise EvidenceGapError(f"evidence is malformed: {run!r:.60} is not a run of PFNs")
        first, count = run[0], run[1]
        low = first - count + 1 if run[2:] == [-1] else first
        if low <= 0:
            raise EvidenceGapError(f"evidence is malformed: the run {run!r:.60} has no real PFN")
        spans.append((low, low + count - 1))
    merged: list[PageRange] = []
    for low, high in sorted(spans):
        if merged and low <= merged[-1][1]:
            raise EvidenceGapError(f"the holder's pagemap shows the page {low:#x} twice")
        if merged and low == merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], high)
        else:
            merged.append((low, high))
    return tuple(merged)


def _overlap(first: int, last: int, zone: Zone) -> int:
    end = zone.start_pfn + zone.spanned_pages - 1
    return max(0, min(last, end) - max(first, zone.start_pfn) + 1)


@contextmanager
def _malformed_is_a_gap() -> Iterator[None]:
    """Text that its parser refuses is a gap in the evidence, not a crash of the judgement."""
    try:
        yield
    except ParseError as error:
        raise EvidenceGapError(f"evidence is malformed: {error}") from error
