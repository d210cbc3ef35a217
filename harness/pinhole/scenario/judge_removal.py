# SPDX-License-Identifier: GPL-2.0-only
"""Judges whether memory goes away: removal while pages are held, recovery once they are not."""

from __future__ import annotations

import re
import signal
from collections import Counter
from collections.abc import Mapping
from errno import errorcode

from pinhole.health.removal_lines import removal_lines
from pinhole.scenario import outcome as words
from pinhole.scenario.case import MOVABLE, Case
from pinhole.scenario.facts import EvidenceGapError
from pinhole.scenario.outcome import BlockOutcome, Outcome
from pinhole.scenario.ruling import Ruling, State

_RELEASED, _REFUSED, _KILLED = 0, 1, 4
"""pinholder's exit statuses (guest/pinholder/options.h)."""
_FIRST_TRY = re.compile(r"pinhole [0-9a-f]{16} offline memory\d+")
"""The mark before the first removal: what a trick did to removal stands before it."""
_BLOCK = re.compile(r"/sys/devices/system/memory/(memory\d+)/state")


def first_round(case: Case) -> tuple[BlockOutcome, ...]:
    """The removal of each block while pages are held."""
    case.require_tricks_undone()
    held: Mapping[str, int]
    if case.never_returned():
        held = {}  # what it and its tricks held went with its process
    elif case.hold_refused() is not None:
        held = case.held_by_tricks()
    else:
        held = case.held().by_block
    return _round(case, "held", "plugged", "removed", held)


def second_round(case: Case) -> tuple[BlockOutcome, ...]:
    """The removal of each block once the pages were let go."""
    return _round(case, "released", "released", "removed_again", {})


def removal(case: Case) -> Ruling:
    """What holds nothing goes away in its budget; what holds pages is answered in bounded time."""
    outcomes = first_round(case)
    for one in outcomes:
        if one.outcome.word == words.REMOVED and one.held_pages:
            raise EvidenceGapError(
                f"{one.block} went offline although pagemap shows {one.held_pages} held pages in it"
            )
    holes = [one for one in outcomes if not _kept(one)]
    tally = _tally(outcomes)
    if not holes:
        return Ruling(State.KEPT, f"{tally} of {len(outcomes)} blocks")
    pages = sum(one.held_pages for one in holes)
    shown = "; ".join(f"{one.block} ({one.held_pages} pages held): {one.outcome}" for one in holes)
    return Ruling(
        State.BROKEN,
        f"{shown}; {tally} of {len(outcomes)} blocks",
        pages=pages,
        blocks=tuple(one.block for one in holes),
        lines=_lines(case, [one.block for one in holes]),
    )


def recovery(case: Case) -> Ruling:
    """Once the holder has let go, the same removal succeeds."""
    path = case.event("released")
    killed = case.never_returned()
    held = not killed and case.hold_refused() is None
    if case.facts.flag(*path, "held") != held:
        raise EvidenceGapError("pinholder contradicts itself about having held pages")
    status = case.facts.integer("holder", "exit_status")
    fitting = _KILLED if killed else _RELEASED if held else _REFUSED
    if status != fitting:
        raise EvidenceGapError(f"pinholder ended with status {status}, not {fitting}")
    outcomes = second_round(case)
    stayed = [one for one in outcomes if one.outcome.word != words.REMOVED]
    tally = _tally(outcomes)
    if not stayed:
        return Ruling(State.KEPT, f"after release {tally} of {len(outcomes)} blocks")
    blocks = tuple(one.block for one in stayed)
    return Ruling(
        State.BROKEN,
        f"after release {'; '.join(f'{one.block}: {one.outcome}' for one in stayed)}",
        blocks=blocks,
        lines=_lines(case, list(blocks)),
    )


def _kept(one: BlockOutcome) -> bool:
    if one.outcome.word == words.REMOVED:
        return True
    # An errno in time is an answer, but only held pages are a reason for one.
    return one.held_pages > 0 and one.outcome.word == words.REFUSED


def _round(
    case: Case, round_name: str, before: str, snapshot: str, held: Mapping[str, int]
) -> tuple[BlockOutcome, ...]:
    """One round of tries, a block each, checked against the states ``before`` and afterwards."""
    base: tuple[str | int, ...] = ("removals", round_name, "attempts")
    blocks = case.target_blocks(before)
    if set(blocks.values()) != {"online"}:
        raise EvidenceGapError(f"not every block was online in {before!r}: {blocks}")
    for block in blocks:
        zones = case.valid_zones(before, block)
        if zones != [MOVABLE]:
            raise EvidenceGapError(f"{block} was in {zones} in {before!r}, not in ZONE_MOVABLE")
    states = case.target_blocks(snapshot)
    found: dict[str, BlockOutcome] = {}
    for index in range(len(case.facts.sequence(*base))):
        path = case.facts.text(*base, index, "path")
        match = _BLOCK.fullmatch(path)
        if match is None or match[1] not in blocks or match[1] in found:
            raise EvidenceGapError(f"the removal of {path!r} is not of one of the DIMM's blocks")
        if case.facts.text(*base, index, "value") != "offline":
            raise EvidenceGapError(f"what was written into {path} is not 'offline'")
        block = match[1]
        outcome = _outcome(case, (*base, index))
        _agrees(block, outcome, states.get(block))
        found[block] = BlockOutcome(
            block=block,
            outcome=outcome,
            held_pages=held.get(block, 0),
            seconds=case.facts.number(*base, index, "seconds"),
        )
    if set(found) != set(blocks):
        missing = ", ".join(sorted(set(blocks) - set(found)))
        raise EvidenceGapError(f"no removal was tried of {missing} (round {round_name!r})")
    return tuple(found[block] for block in sorted(found))


def _outcome(case: Case, path: tuple[str | int, ...]) -> Outcome:
    facts = case.facts
    budget, seconds = facts.number(*path, "budget_seconds"), facts.number(*path, "seconds")
    if not facts.flag(*path, "ended"):
        return Outcome(word=words.UNKILLABLE, budget_seconds=budget)
    sigterm = facts.optional(*path, "sigterm_at")
    if sigterm is None:
        if seconds > budget:
            raise EvidenceGapError("a removal took longer than its budget, yet got no SIGTERM")
        if any(facts.optional(*path, name) is not None for name in ("sigkill_at", "signal")):
            raise EvidenceGapError("a removal was killed, yet got no SIGTERM before")
        if facts.integer(*path, "result") >= 0:
            return Outcome(word=words.REMOVED)
        errno = facts.text(*path, "errno_name")
        if errorcode.get(facts.integer(*path, "errno")) != errno:
            raise EvidenceGapError(f"a removal's errno is not {errno}")
        if errno == "EINTR":
            raise EvidenceGapError("a removal was interrupted before its budget had ended")
        return Outcome(word=words.REFUSED, errno=errno)
    if not budget <= facts.number(*path, "sigterm_at") <= seconds:
        raise EvidenceGapError(f"SIGTERM came {sigterm} s into a removal with {budget:g} s to go")
    # A write that had begun to wait for a lock is ended by SIGKILL alone: it has no result then.
    if facts.optional(*path, "result") is None:
        if facts.integer(*path, "signal") != signal.SIGKILL:
            raise EvidenceGapError("a removal ended without a result, and not by SIGKILL")
    elif facts.integer(*path, "result") >= 0 or facts.text(*path, "errno_name") != "EINTR":
        raise EvidenceGapError("a removal got its answer only after its budget had ended")
    passes = facts.optional(*path, "passes")
    if passes is not None:
        passes = facts.integer(*path, "passes")
    return Outcome(word=words.STILL_LOOPING, budget_seconds=budget, passes=passes)


def _agrees(block: str, outcome: Outcome, state: str | None) -> None:
    """The block's state afterwards must fit what the write returned."""
    fitting = {words.REMOVED: "offline", words.UNKILLABLE: "going-offline"}
    if state != fitting.get(outcome.word, "online"):
        raise EvidenceGapError(f"{block}: the write says {outcome}, the state reads {state!r}")


def _tally(outcomes: tuple[BlockOutcome, ...]) -> str:
    counts = Counter(one.outcome.name for one in outcomes)
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def _lines(case: Case, blocks: list[str]) -> tuple[str, ...]:
    """For each block the first line of dmesg that names one of its pages."""
    block_pages = case.block_size_bytes() // case.page_size_bytes()
    shown: dict[str, str] = {}
    records = case.log()
    marks = (at for at, record in enumerate(records) if _FIRST_TRY.fullmatch(record.text))
    for line in removal_lines(records[next(marks, 0) :]):
        if line.pfn is not None:
            shown.setdefault(f"memory{line.pfn // block_pages}", line.text)
    return tuple(shown[block] for block in blocks if block in shown)
