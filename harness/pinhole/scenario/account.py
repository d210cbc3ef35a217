# SPDX-License-Identifier: GPL-2.0-only
"""What was held, as the kernel itself counts it, and what that predicts for each memory block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pinhole.health.removal_lines import RemovalLineKind, removal_lines
from pinhole.scenario import outcome as words
from pinhole.scenario.case import Case
from pinhole.scenario.held_pages import HeldPages, PageRange
from pinhole.scenario.outcome import BlockOutcome
from pinhole.yamlfile import StrictModel

_MOST_RANGES = 4


class Account(StrictModel):
    """Pages held by one scenario, and where they are: counts by ``node 1 Movable`` and so on.

    ``pins`` is by how many nr_foll_pin_acquired - nr_foll_pin_released grew on each node, all 0
    where the hold takes plain references. ``before`` and ``after`` are the zones of the memory
    before the hold and of what is held after it, with the first PFN ranges of each.
    ``flags`` and ``mapcounts`` count what /proc/kpageflags and /proc/kpagecount say of its pages.
    ``page_dump`` is the kernel's own line on one held page that would not move, where it wrote one.
    """

    pages: int
    frames: int
    pins: Mapping[str, int]
    before: Mapping[str, int]
    after: Mapping[str, int]
    before_ranges: tuple[str, ...]
    after_ranges: tuple[str, ...]
    flags: Mapping[str, int]
    mapcounts: Mapping[str, int]
    page_dump: str | None = None


class Prediction(StrictModel):
    """Which blocks hold pages, and so are predicted to stay, and which really stayed."""

    predicted: tuple[str, ...]
    stayed: tuple[str, ...]

    @property
    def held(self) -> bool:
        """Whether the prediction came true."""
        return self.predicted == self.stayed


def account(case: Case) -> Account | None:
    """The account of a hold that succeeded; None where nothing was held.

    Raises ``EvidenceGapError`` where the sources disagree about what is held.
    """
    if case.never_returned() or case.hold_refused() is not None:
        return None
    held = case.held()
    before = None if case.way.own_memory else case.before()
    path = case.event("pages", when="after")
    return Account(
        pages=held.count,
        frames=held.frames,
        pins={str(node): pins for node, pins in sorted(case.pins_taken().items())},
        before=_zones(before),
        after=_zones(held),
        before_ranges=_ranges(before.ranges if before else ()),
        after_ranges=_ranges(held.ranges),
        flags=case.census(path, "flags"),
        mapcounts=case.census(path, "mapcounts"),
        page_dump=_page_dump(case, held),
    )


def prediction(first_round: Sequence[BlockOutcome]) -> Prediction:
    """What the held pages foretell, against the removal of each block while they were held."""
    return Prediction(
        predicted=tuple(one.block for one in first_round if one.held_pages),
        stayed=tuple(one.block for one in first_round if one.outcome.word != words.REMOVED),
    )


def _zones(pages: HeldPages | None) -> dict[str, int]:
    if pages is None:
        return {}
    return {f"node {node} {zone}": count for (node, zone), count in sorted(pages.by_zone.items())}


def _ranges(ranges: tuple[PageRange, ...]) -> tuple[str, ...]:
    shown = [f"{first:#x}-{last:#x}" for first, last in ranges[:_MOST_RANGES]]
    if len(ranges) > _MOST_RANGES:
        shown.append(f"and {len(ranges) - _MOST_RANGES} more")
    return tuple(shown)


def _page_dump(case: Case, held: HeldPages) -> str | None:
    """The first page that dump_page() shows among the held ones (mm/debug.c)."""
    for line in removal_lines(case.log()):
        if line.kind is not RemovalLineKind.PAGE or line.pfn is None:
            continue
        if any(first <= line.pfn <= last for first, last in held.ranges):
            return f"pfn {line.pfn:#x}: refcount {line.refcount}, mapcount {line.mapcount}"
    return None
