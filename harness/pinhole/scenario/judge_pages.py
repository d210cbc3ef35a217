# SPDX-License-Identifier: GPL-2.0-only
"""Judges what the pin did with its pages: placement, clean refusal, and the pin's outcome."""

from __future__ import annotations

from pinhole.scenario import outcome as words
from pinhole.scenario.case import MOVABLE, Case
from pinhole.scenario.facts import EvidenceGapError
from pinhole.scenario.held_pages import HeldPages, PageRange
from pinhole.scenario.outcome import Outcome
from pinhole.scenario.ruling import Ruling, State
from pinhole.scenario.unanswered import unanswered_outcome, unanswered_seconds


def pin_outcome(case: Case) -> Outcome:
    """What became of the hold; raises ``EvidenceGapError`` where the evidence does not tell."""
    if case.never_returned():
        return unanswered_outcome(case)
    errno = case.hold_refused()
    if errno is not None:
        leaked = any(case.pins_taken().values())
        return Outcome(word=words.REFUSED_LEAKY if leaked else words.REFUSED, errno=errno)
    held = case.held()
    if not held.count:
        return Outcome(word=words.NOT_HELD)
    if not case.longterm:
        return Outcome(word=words.HELD)
    return Outcome(word=words.PINNED_IN_MOVABLE if held.in_zone(MOVABLE) else words.MIGRATED)


def hold_seconds(case: Case) -> float:
    """How long the call took that was to hold the pages, by the guest's clock."""
    if case.never_returned():
        return unanswered_seconds(case)
    return case.facts.number(*case.event("hold"), "seconds")


def placement(case: Case) -> Ruling:
    """A long-term pin that succeeded has no page in ZONE_MOVABLE or CMA."""
    if not case.longterm:
        return Ruling(State.NOT_APPLICABLE, f"{case.way.name} takes no long-term pin here")
    if case.never_returned():
        return Ruling(State.NOT_APPLICABLE, f"the pin never returned: {unanswered_outcome(case)}")
    errno = case.hold_refused()
    if errno is not None:
        return Ruling(State.NOT_APPLICABLE, f"the pin was refused with {errno}")
    held = case.held()
    _no_cma(case)
    _blocks_agree(case, held)
    inside = held.in_zone(MOVABLE)
    ranges = tuple(_shown(one) for one in held.ranges)
    if inside == 0:
        return Ruling(
            State.KEPT,
            f"none of {held.count} pinned pages is in ZONE_MOVABLE: {_where(held)}",
            pages=0,
            ranges=ranges,
        )
    blocks = tuple(sorted(held.by_block))
    return Ruling(
        State.BROKEN,
        f"{inside} of {held.count} pinned pages are in ZONE_MOVABLE, in {', '.join(blocks)}",
        pages=inside,
        ranges=ranges,
        blocks=blocks,
    )


def clean_refusal(case: Case) -> Ruling:
    """A pin that failed left no page pinned and the pages usable."""
    if case.never_returned():
        return _clean_end(case)
    errno = case.hold_refused()
    if errno is None:
        return Ruling(State.NOT_APPLICABLE, "the kernel did not refuse the hold")
    case.require_start_in_movable()
    taken = case.pins_taken()
    leaked = sum(taken.values())
    if any(taken.values()):
        return Ruling(
            State.BROKEN,
            f"after {errno} {leaked} pins of the refused call are still held",
            pages=leaked,
        )
    path = case.event("usable")
    if case.way.own_memory:
        return Ruling(State.KEPT, f"after {errno} no page is pinned", pages=0)
    bad = case.facts.integer(*path, "bad_pages")
    if not case.facts.flag(*path, "ok") or bad:
        return Ruling(State.BROKEN, f"after {errno} {bad} pages cannot be used any more", pages=bad)
    return Ruling(State.KEPT, f"after {errno} no page is pinned and all can be used", pages=0)


def _clean_end(case: Case) -> Ruling:
    """A call that never returned and was killed: by the counters alone, for its memory is gone."""
    case.require_start_in_movable()
    outcome = unanswered_outcome(case)
    ended = f"the call never returned: {outcome}"
    leaked = sum(case.pins_taken().values())
    if any(case.pins_taken().values()):
        return Ruling(State.BROKEN, f"{ended}; {leaked} of its pins are still held", pages=leaked)
    if outcome.word == words.SPINNING_UNKILLABLE:
        return Ruling(State.BROKEN, f"{ended}; its pages cannot be had back")
    return Ruling(State.KEPT, f"{ended}; its process was killed and left no page pinned", pages=0)


def _no_cma(case: Case) -> None:
    """CMA areas lie inside other zones: zoneinfo's ranges cannot tell a page in one."""
    # A kernel without CONFIG_CMA has no CmaTotal at all.
    total = case.meminfo("held").get("CmaTotal", 0)
    if total:
        raise EvidenceGapError(
            f"the kernel has {total} bytes of CMA: whether a pinned page is in it is not recorded"
        )


def _blocks_agree(case: Case, held: HeldPages) -> None:
    """The blocks' own ``valid_zones`` must say what zoneinfo's ranges say."""
    for block, names in held.zones_of_block.items():
        zones = case.valid_zones("held", block)
        # "none" is a block that spans several zones, such as the first one of x86's node 0.
        if zones != ["none"] and frozenset(zones) != names:
            raise EvidenceGapError(
                f"valid_zones and zoneinfo disagree: {block} is in {' '.join(zones)}, its held "
                f"pages in the span of {', '.join(sorted(names))}"
            )


def _where(held: HeldPages) -> str:
    return ", ".join(
        f"{count} in node {node}'s {zone}" for (node, zone), count in sorted(held.by_zone.items())
    )


def _shown(one: PageRange) -> str:
    return f"{one[0]:#x}-{one[1]:#x}"
