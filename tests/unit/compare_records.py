# SPDX-License-Identifier: GPL-2.0-only
"""Records to compare, made from what a test is about: all else is as on a kernel without holes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pinhole.plan import Promise, Scenario
from pinhole.results.change import Change
from pinhole.results.compare import Row, compared
from pinhole.results.record import KernelName, Record
from pinhole.scenario.expect import Status
from pinhole.scenario.outcome import BlockOutcome, Outcome
from pinhole.scenario.ruling import State
from pinhole.scenario.verdict import Judgement, Verdict

Records = list[Record]
GOOD = {
    promise: State.NOT_APPLICABLE if promise is Promise.CLEAN_REFUSAL else State.KEPT
    for promise in Promise
}
"""The states of a pin that migrated its pages."""


def outcome(name: str | None) -> Outcome | None:
    """``refused(ENOMEM)`` as an outcome."""
    if name is None:
        return None
    word, _, errno = name.partition("(")
    budget = 8.0 if word in ("still-looping", "unkillable") else None
    return Outcome(word=word, errno=errno.rstrip(")") or None, budget_seconds=budget)


def block_outcomes(names: Sequence[str], seconds: float) -> tuple[BlockOutcome, ...]:
    found = [outcome(name) for name in names]
    return tuple(
        BlockOutcome(block=f"memory{number}", outcome=one, held_pages=0, seconds=seconds)
        for number, one in enumerate(found, start=32)
        if one is not None
    )


def record(
    name: str = "held",
    *,
    pin: str | None = "migrated",
    states: Mapping[Promise, State] | None = None,
    blocks: Sequence[str] | None = ("removed",) * 4,
    again: Sequence[str] | None = ("removed",) * 4,
    hold_seconds: float | None = 0.01,
    seconds: float = 0.03,
    again_seconds: float = 0.03,
    reason: str = "as it is",
    lines: tuple[str, ...] = (),
    label: str = "base",
    accelerator: str = "tcg",
    size: int = 16 << 20,
    summary: str = "a scenario",
) -> Record:
    """One judged repetition."""
    verdict = Verdict(
        pin=outcome(pin),
        blocks=None if blocks is None else block_outcomes(blocks, seconds),
        judgements=tuple(
            Judgement(promise=promise, state=state, reason=reason, lines=lines)
            for promise, state in {**GOOD, **(states or {})}.items()
        ),
        hold_seconds=hold_seconds,
        blocks_after_release=None if again is None else block_outcomes(again, again_seconds),
    )
    return unjudged(Status.PASS, name, label=label).model_copy(
        update={
            "scenario": Scenario(name=name, summary=summary, hold="io_uring", size=size),
            "verdict": verdict,
            "reason": None,
            "accelerator": accelerator,
        }
    )


def unjudged(
    status: Status, name: str = "held", *, reason: str = "why", label: str = "base"
) -> Record:
    """One repetition without a verdict."""
    return Record(
        scenario=Scenario(name=name, summary="a scenario", hold="io_uring"),
        kernel=KernelName(label=label, release="6.12", version="6.12.1", key=label, origin="o"),
        status=status,
        reason=reason,
        accelerator=None if status is Status.SKIP else "tcg",
        started="2026-01-01T00:00:00+00:00",
        seconds=1.0,
        folder="f",
    )


def broken(*promises: Promise) -> dict[Promise, State]:
    return dict.fromkeys(promises, State.BROKEN)


def unknown(*promises: Promise) -> dict[Promise, State]:
    return dict.fromkeys(promises, State.UNKNOWN)


def row(base: Record | Records, candidate: Record | Records) -> Row:
    """The comparison of one scenario."""
    sides = [one if isinstance(one, list) else [one] for one in (base, candidate)]
    (found,) = compared(sides[0], sides[1]).rows
    return found


def changes(found: Row) -> dict[str, Change]:
    """The aspects that are not the same."""
    return {reason.what: reason.change for reason in found.reasons}
