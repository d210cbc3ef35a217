# SPDX-License-Identifier: GPL-2.0-only
"""Judges the ledger: after the scenario nothing is missing that was there before."""

from __future__ import annotations

from pinhole.scenario.case import Case
from pinhole.scenario.facts import EvidenceGapError
from pinhole.scenario.ruling import Ruling, State
from pinhole.scenario.trick import TRICKS

BEFORE = "bare"
AFTER = "unplugged"


def ledger(case: Case) -> Ruling:
    """Pins released; MemTotal, zones and blocks as before; no held page lost its data."""
    missing = [
        *_pins(case),
        *_memory(case),
        *_huge_pages(case),
        *_zones(case),
        *_blocks(case),
        *_contents(case),
        *_plugged(case),
    ]
    if missing:
        return Ruling(State.BROKEN, "; ".join(missing))
    total = case.meminfo(AFTER)["MemTotal"]
    return Ruling(
        State.KEPT,
        f"all pins released, MemTotal {total >> 10} kB, zones and blocks as before",
    )


def _pins(case: Case) -> list[str]:
    # Node 1 and its counters are there only while the DIMM is plugged.
    grown = case.pins_between("plugged", "removed_again")
    return [
        f"{count} pins of node {node} were never released" for node, count in grown.items() if count
    ]


def _memory(case: Case) -> list[str]:
    totals = [case.meminfo(snapshot).get("MemTotal") for snapshot in (BEFORE, AFTER)]
    if None in totals:
        raise EvidenceGapError("MemTotal is missing from /proc/meminfo")
    before, after = totals
    return [] if before == after else [f"MemTotal was {before} bytes and is {after}"]


def _huge_pages(case: Case) -> list[str]:
    """A pool that grew would be a spare page for the next one; a kernel may have none at all."""
    before, after = (case.meminfo(one).get("HugePages_Total") for one in (BEFORE, AFTER))
    if (before is None) != (after is None):
        raise EvidenceGapError("HugePages_Total came or went")
    return [] if before == after else [f"there were {before} huge pages and are {after}"]


def _zones(case: Case) -> list[str]:
    before, after = (
        {
            (zone.node, zone.name): (
                zone.start_pfn if zone.spanned_pages else 0,
                zone.spanned_pages,
                zone.present_pages,
                zone.managed_pages,
            )
            for zone in case.zones(snapshot)
        }
        for snapshot in (BEFORE, AFTER)
    )
    return [
        f"node {node}'s zone {name} was {before.get((node, name))} "
        f"(start, spanned, present, managed) and is {after.get((node, name))}"
        for node, name in sorted(before.keys() | after.keys())
        if before.get((node, name)) != after.get((node, name))
    ]


def _blocks(case: Case) -> list[str]:
    before, after = case.blocks(BEFORE), case.blocks(AFTER)
    return [
        f"{block} was {before.get(block, 'absent')} and is {after.get(block, 'absent')}"
        for block in sorted(before.keys() | after.keys())
        if before.get(block) != after.get(block)
    ]


def _contents(case: Case) -> list[str]:
    path = case.event("verify")
    gone = case.never_returned() or case.way.own_memory
    if gone or not all(TRICKS[trick].keeps_contents for trick in case.tricks_played()):
        # The memory is gone, so pinholder must not claim to have read it.
        if any(case.facts.optional(*path, name) is not None for name in ("ok", "bad_pages")):
            raise EvidenceGapError("the holder says that it read memory that was gone")
        return []
    bad = case.facts.integer(*path, "bad_pages")
    if case.facts.flag(*path, "ok") != (bad == 0):
        raise EvidenceGapError("the holder's check of its pages contradicts itself")
    return [f"{bad} held pages lost what was written into them"] if bad else []


def _plugged(case: Case) -> list[str]:
    """The DIMM must really have come: else before and after are alike for nothing."""
    grown = case.meminfo("plugged").get("MemTotal", 0) - case.meminfo(BEFORE)["MemTotal"]
    size = case.facts.integer("target", "size_bytes")
    if not 0 < grown <= size:
        raise EvidenceGapError(f"plugging a DIMM of {size} bytes changed MemTotal by {grown} bytes")
    outcome = case.facts.text("unplug", "outcome")
    if outcome == "removed":
        return []
    return [f"the DIMM did not leave: {case.facts.text('unplug', 'said')}"]
