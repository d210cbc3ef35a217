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

    ``count`` are pages as they are mapped, ``frames`` the frames that they are in: of KSM's many
    are in one. All other counts are of frames. ``zones_of_block`` are the zones that the pages in
    each block are in.
    """

    count: int
    frames: int
    by_zone: Mapping[tuple[int, str], int]
    by_block: Mapping[str, int]
    zones_of_block: Mapping[str, frozenset[str]]
    ranges: tuple[PageRange, ...]

    def in_zone(self, zone: str) -> int:
        """Frames in the zone of that name, on whatever node."""
        return sum(count for (_, name), count in self.by_zone.items() if name == zone)

    def on_node(self, node: int) -> int:
        """Frames on ``node``, in whatever zone."""
        return sum(count for (number, _), count in self.by_zone.items() if number == node)

    def nodes(self) -> set[int]:
        """The nodes that they are on."""
        return {node for node, _ in self.by_zone}


@dataclass(frozen=True)
class PageRun:
    """``count`` pages in virtual order, from ``first`` on by ``step`` (1, -1, or 0 for the same
    frame again); ``first`` is None where there is no page."""

    first: int | None
    count: int
    step: int

    @property
    def span(self) -> PageRange | None:
        """First and last PFN in ascending order."""
        if self.first is None:
            return None
        last = self.first + self.step * (self.count - 1)
        return (min(self.first, last), max(self.first, last))

    def part(self, skipped: int, count: int) -> PageRun:
        """``count`` of its pages, without the first ``skipped``."""
        first = None if self.first is None else self.first + self.step * skipped
        return PageRun(first, count, self.step)


def page_runs(runs: Any) -> tuple[PageRun, ...]:
    """pinholder's runs ``[first PFN or null, count, step]``; a gap for what it would not write."""
    if not isinstance(runs, list):
        raise EvidenceGapError("evidence is malformed: the holder's runs are not a list")
    return tuple(_page_run(run) for run in runs)


def pages_in(runs: tuple[PageRun, ...], first: int, count: int) -> tuple[PageRun, ...]:
    """The runs of ``count`` pages from the ``first`` on, in virtual order; a gap if they end."""
    found: list[PageRun] = []
    left = count
    for run in runs:
        skipped = min(first, run.count)
        first -= skipped
        taken = min(left, run.count - skipped)
        if taken:
            found.append(run.part(skipped, taken))
            left -= taken
    if left:
        raise EvidenceGapError(f"the holder's pagemap lacks {left} of {count} pages of the hold")
    return tuple(found)


def page_ranges(runs: tuple[PageRun, ...], *, merged: bool = False) -> tuple[PageRange, ...]:
    """Sorted, merged PFN ranges of ``runs``, none of whose pages may be absent.

    A PFN that stands twice is a gap, for the pages of one mapping are distinct; with ``merged``
    (KSM) it counts once.
    """
    spans: list[PageRange] = []
    for run in runs:
        if run.span is None:
            raise EvidenceGapError(f"{run.count} pages of the hold are in no frame")
        if run.step == 0 and run.count > 1 and not merged:
            raise EvidenceGapError(f"the holder's pagemap shows the page {run.first:#x} twice")
        spans.append(run.span)
    joined: list[PageRange] = []
    for low, high in sorted(spans):
        if joined and low <= joined[-1][1]:
            if not merged:
                raise EvidenceGapError(f"the holder's pagemap shows the page {low:#x} twice")
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        elif joined and low == joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], high)
        else:
            joined.append((low, high))
    return tuple(joined)


def located(
    ranges: tuple[PageRange, ...],
    zones: tuple[Zone, ...],
    block_pages: int,
    count: int | None = None,
) -> HeldPages:
    """The frames of ``ranges`` by zone and by block; a gap unless each is in exactly one zone.

    ``count`` is how many pages are in them, where these are more than the frames.
    """
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
    frames = sum(by_zone.values())
    return HeldPages(
        count=frames if count is None else count,
        frames=frames,
        by_zone=dict(by_zone),
        by_block=dict(by_block),
        zones_of_block={block: frozenset(names) for block, names in zones_of_block.items()},
        ranges=ranges,
    )


def _overlap(first: int, last: int, zone: Zone) -> int:
    end = zone.start_pfn + zone.spanned_pages - 1
    return max(0, min(last, end) - max(first, zone.start_pfn) + 1)


def _page_run(run: Any) -> PageRun:
    if not isinstance(run, list) or len(run) != 3:
        raise EvidenceGapError(f"evidence is malformed: {run!r:.60} is not a run of PFNs")
    first, count, step = run
    numbers = type(count) is int and type(step) is int and (first is None or type(first) is int)
    if not numbers or count < 1 or step not in (1, 0, -1):
        raise EvidenceGapError(f"evidence is malformed: {run!r:.60} is not a run of PFNs")
    found = PageRun(first, count, step)
    if found.span is not None and found.span[0] <= 0:
        raise EvidenceGapError(f"evidence is malformed: the run {run!r:.60} has no real PFN")
    return found
