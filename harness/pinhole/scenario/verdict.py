# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts: a pure function of scenario and evidence, each of the six promises by itself.

``pinhole judge`` calls the same function on an old run's evidence, without a VM.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pinhole.plan import Promise, Scenario
from pinhole.scenario.account import Account, Prediction, account, prediction
from pinhole.scenario.case import Case
from pinhole.scenario.facts import EvidenceGapError, Facts, pointer
from pinhole.scenario.judge_health import health
from pinhole.scenario.judge_ledger import ledger
from pinhole.scenario.judge_pages import clean_refusal, hold_seconds, pin_outcome, placement
from pinhole.scenario.judge_removal import first_round, recovery, removal, second_round
from pinhole.scenario.outcome import BlockOutcome, Outcome
from pinhole.scenario.ruling import Ruling, State
from pinhole.yamlfile import StrictModel

T = TypeVar("T")

__all__ = ["Judgement", "State", "Verdict", "judge"]


class Judgement(StrictModel):
    """One promise's state, why, and the facts it rests on (JSON Pointers into evidence.json).

    ``pages`` and ``blocks`` are those that show a hole; ``lines`` are lines of dmesg that do.
    """

    promise: Promise
    state: State
    reason: str
    pages: int | None = None
    ranges: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    rests_on: tuple[str, ...] = ()


class Verdict(StrictModel):
    """All that is said of one scenario on one kernel.

    ``pin`` is the outcome of the hold, ``hold_seconds`` how long its call took, ``blocks`` are the
    outcomes of the removal while pages were held and ``blocks_after_release`` those once they were
    let go; ``account`` is what was held, ``prediction`` which blocks it lets stay, against those
    that did. Each is null where the evidence does not tell.
    """

    pin: Outcome | None
    blocks: tuple[BlockOutcome, ...] | None
    judgements: tuple[Judgement, ...]
    hold_seconds: float | None = None
    blocks_after_release: tuple[BlockOutcome, ...] | None = None
    account: Account | None = None
    prediction: Prediction | None = None

    def of(self, promise: Promise) -> Judgement:
        """The judgement of ``promise``."""
        return next(one for one in self.judgements if one.promise is promise)

    def promises(self, state: State) -> tuple[Promise, ...]:
        """The promises in ``state``, in the order of the design."""
        return tuple(one.promise for one in self.judgements if one.state is state)


_JUDGES: Mapping[Promise, Callable[[Case], Ruling]] = {
    Promise.PLACEMENT: placement,
    Promise.CLEAN_REFUSAL: clean_refusal,
    Promise.REMOVAL: removal,
    Promise.RECOVERY: recovery,
    Promise.LEDGER: ledger,
    Promise.HEALTH: health,
}


def judge(
    scenario: Scenario, evidence: Mapping[str, Any], kernel_key: str | None = None
) -> Verdict:
    """The verdict on ``evidence`` (the content of an ``evidence.json``) of ``scenario``.

    With ``kernel_key`` the evidence must be of that kernel, or everything is unknown.
    """
    facts = Facts(evidence)
    case = Case(scenario, facts, kernel_key)
    return Verdict(
        pin=_or_none(case, pin_outcome),
        blocks=_or_none(case, first_round),
        judgements=tuple(
            _judgement(promise, judge_one, case, facts) for promise, judge_one in _JUDGES.items()
        ),
        hold_seconds=_or_none(case, hold_seconds),
        blocks_after_release=_or_none(case, second_round),
        account=_or_none(case, account),
        prediction=_or_none(case, lambda one: prediction(first_round(one))),
    )


def _judgement(
    promise: Promise, judge_one: Callable[[Case], Ruling], case: Case, facts: Facts
) -> Judgement:
    with facts.reading() as read:
        try:
            case.require_belonging()
            ruling = judge_one(case)
        except EvidenceGapError as gap:
            ruling = Ruling(State.UNKNOWN, str(gap))
    return Judgement(
        promise=promise,
        state=ruling.state,
        reason=ruling.reason,
        pages=ruling.pages,
        ranges=ruling.ranges,
        blocks=ruling.blocks,
        lines=ruling.lines,
        rests_on=tuple(pointer(path) for path in read),
    )


def _or_none(case: Case, derive: Callable[[Case], T]) -> T | None:
    try:
        case.require_belonging()
        return derive(case)
    except EvidenceGapError:
        # The promises that need the outcome say what is missing; here it is just not known.
        return None
