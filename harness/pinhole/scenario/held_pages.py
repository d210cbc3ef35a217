# SPDX-License-Identifier: GPL-2.0-only
"""Where held pages are: a holder's runs of PFNs against the zones' ranges and the memory blocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pinhole.guest.text import Zone
from pinhole.scenario.facts import EvidenceGapError

PageRange = tuple[int, int]
"""First and last PFN, both inclusive."""


@dataclass(frozen=True)
class HeldPages:
    """Where a set of pages is: counts by (node, zone) and by memory block, and the PFN ranges.

    ``zones_of_block`` are the zones that the pages in each block are in.
    """

    count: int
    by_zone: Mapping[tuple[int, str], int]
    by_block: Mapping[str, int]
    zones_of_block: Mapping[str, frozenset[str]]
    ranges: tuple[PageRange, ...]

    def in_zone(self, zone: str) -> int:
        """Pages in the zone of that name, on whatever node."""
        return sum(count for (_, name), count in self.by_zone.items() if name == zone)

    def on_node(self, node: int) -> int:
        """Pages on ``node``, in whatever zone."""
        return sum(count for (number, _), count in self.by_zone.items() if number == node)


def page_ranges(runs: Any) -> tuple[PageRange, ...]:
    """Sorted, merged PFN ranges of pinholder's runs ``[first_pfn, count, step]``, step 1 or -1.

    A PFN that stands twice is a gap: the pages of one private mapping are distinct.
    """
    spans: list[PageRange] = []
    if not isinstance(runs, list):
        raise EvidenceGapError("evidence is malformed: the holder's runs are not a list")
    for run in runs:
        numbers = isinstance(run, list) and all(type(part) is int for part in run)
        if not numbers or len(run) != 3 or run[1] < 1 or run[2] not in (1, -1):
            raise EvidenceGapError(f"evidence is malformed: {run!r:.60} is not a run of PFNs")
        first, count, step = run
        low = first - count + 1 if step == -1 else first
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


def located(ranges: tuple[PageRange, ...], zones: tuple[Zone, ...], block_pages: int) -> HeldPages:
    """The pages of ``ranges`` by zone and by block; a gap unless each is in exactly one zone."""
    by_zone: Counter[tuple[int, str]] = Counter()
    by_block: Counter[str] = Counter()
    zones_of_block: dict[str, set[str]] = {}
    for first, last in ranges:
        located = 0
        for number in range(first // block_pages, last // block_pages + 1):
            low = max(first, number * block_pages)
            high = min(last, (number + 1) * block_pages - 1)
            block = f"memory{number}"
            by_block[block] += high - low + 1
            for zone in zones:
                inside = _overlap(low, high, zone)
                if inside:
                    located += inside
                    by_zone[zone.node, zone.name] += inside
                    zones_of_block.setdefault(block, set()).add(zone.name)
        if located != last - first + 1:
            raise EvidenceGapError(
                f"zoneinfo's ranges and pagemap disagree: of the pages {first:#x}-{last:#x} "
                f"{located} are in a zone's span, once each"
            )
    return HeldPages(
        count=sum(by_zone.values()),
        by_zone=dict(by_zone),
        by_block=dict(by_block),
        zones_of_block={block: frozenset(names) for block, names in zones_of_block.items()},
        ranges=ranges,
    )


def _overlap(first: int, last: int, zone: Zone) -> int:
    end = zone.start_pfn + zone.spanned_pages - 1
    return max(0, min(last, end) - max(first, zone.start_pfn) + 1)
