# SPDX-License-Identifier: GPL-2.0-only
"""Two kernels side by side: of each scenario both outcomes, and whether it is a regression.

A pure function of records; what a scenario expects does not matter here. Each aspect (the hold's
outcome, every promise, the blocks of both removals, times) is compared by itself. A row is a
*regression* if one is surely worse, whatever else became better; *unclear* if one may be worse, or
differs without being better or worse; a *fix* if one is surely better; *unclear* too if one may be
better, and none surely is; else *same*.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from statistics import median

from pinhole.plan import Promise
from pinhole.results import aspects
from pinhole.results.aspects import Pair, Reason, tally
from pinhole.results.change import Change
from pinhole.results.record import KernelName, Record
from pinhole.scenario import outcome as words
from pinhole.scenario.expect import Status
from pinhole.yamlfile import StrictModel


class Word(StrEnum):
    """A row's verdict, in the order in which rows are shown."""

    REGRESSION = "regression"
    UNCLEAR = "unclear"
    FIX = "fix"
    GONE = "gone"
    """Judged of the base, and not run or skipped on the candidate."""
    NEW = "new"
    SAME = "same"


class Subject(StrictModel):
    """One of the two kernels, and the machine that its records were made on.

    ``run`` is the run's name, and the kernel's label in it (``RUN@LABEL``).
    """

    kernel: KernelName
    run: str
    accelerators: tuple[str, ...]
    repetitions: int


class Side(StrictModel):
    """What one kernel showed of one scenario: answers with their counts, median seconds.

    ``blocks`` are those of the removal while pages were held; ``removal_seconds`` is the slowest
    block that was removed then, ``hold_seconds`` the call of the hold.
    """

    statuses: Mapping[str, int]
    pin: Mapping[str, int]
    promises: Mapping[Promise, Mapping[str, int]]
    blocks: Mapping[str, int]
    blocks_after_release: Mapping[str, int]
    hold_seconds: float | None
    removal_seconds: float | None


class Row(StrictModel):
    """One scenario. A side that was not run or skipped is null; ``reasons`` say what differs."""

    scenario: str
    summary: str
    word: Word
    base: Side | None
    candidate: Side | None
    reasons: tuple[Reason, ...]


class Comparison(StrictModel):
    """Base against candidate: a row for each scenario, changed ones first."""

    base: Subject
    candidate: Subject
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    def count(self, word: Word) -> int:
        """How many rows have that verdict."""
        return sum(row.word is word for row in self.rows)

    @property
    def exit_status(self) -> int:
        """1: a regression. 3: none, yet something cannot be told. 4: nothing in common. Else 0."""
        if self.count(Word.REGRESSION):
            return 1
        if self.count(Word.UNCLEAR):
            return 3
        return 0 if any(row.base and row.candidate for row in self.rows) else 4


def compared(
    base: Sequence[Record], candidate: Sequence[Record], runs: tuple[str, str] = ("", "")
) -> Comparison:
    """Compares the records of one kernel with those of another, each in any number of
    repetitions; neither may be empty. ``runs`` say where they come from."""
    subjects = [
        _subject(records, run) for records, run in zip((base, candidate), runs, strict=True)
    ]
    one_kind = subjects[0].accelerators == subjects[1].accelerators
    found = [
        _row(
            [one for one in base if one.scenario.name == name],
            [one for one in candidate if one.scenario.name == name],
            with_times=one_kind,
        )
        for name in dict.fromkeys(one.scenario.name for one in (*base, *candidate))
    ]
    order = list(Word)
    return Comparison(
        base=subjects[0],
        candidate=subjects[1],
        rows=tuple(sorted(found, key=lambda row: order.index(row.word))),
        notes=tuple(_notes(subjects, base, candidate)),
    )


def _subject(records: Sequence[Record], run: str) -> Subject:
    counts = Counter(one.scenario.name for one in records)
    return Subject(
        kernel=records[0].kernel,
        run=run,
        accelerators=tuple(sorted({one.accelerator for one in records if one.accelerator})),
        repetitions=max(counts.values()),
    )


def _row(base: Sequence[Record], candidate: Sequence[Record], *, with_times: bool) -> Row:
    ran: Pair = (_not_skipped(base), _not_skipped(candidate))
    reasons: tuple[Reason, ...]
    if all(ran):
        differing = _played_otherwise(base[0], candidate[0])
        reasons = differing or tuple(aspects.reasons(ran, with_times=with_times))
        word = _word([one.change for one in reasons])
    else:
        reasons = _absences(base, candidate)
        word = Word.GONE if ran[0] else Word.NEW if ran[1] else Word.SAME
    first = (*base, *candidate)[0].scenario
    return Row(
        scenario=first.name,
        summary=first.summary,
        word=word,
        base=_side(ran[0]),
        candidate=_side(ran[1]),
        reasons=tuple(sorted(reasons, key=lambda one: list(Change).index(one.change))),
    )


def _word(changes: Sequence[Change]) -> Word:
    if Change.WORSE in changes or Change.MIXED in changes:
        return Word.REGRESSION
    if Change.UNCLEAR in changes:
        return Word.UNCLEAR
    if Change.BETTER in changes:
        return Word.FIX
    return Word.UNCLEAR if Change.NOT_WORSE in changes else Word.SAME


def _not_skipped(records: Sequence[Record]) -> list[Record]:
    return [one for one in records if one.status is not Status.SKIP]


def _played_otherwise(base: Record, candidate: Record) -> tuple[Reason, ...]:
    """Scenarios of one name that are not the same scenario compare with nothing."""
    played = {"hold", "kind", "tricks", "size", "remove"}
    one, other = (it.scenario.model_dump(include=played) for it in (base, candidate))
    return tuple(
        Reason(
            what=f"the scenario's {key}",
            change=Change.UNCLEAR,
            before=str(one[key]),
            after=str(other[key]),
            words=("it is another scenario: run both kernels by one plan",),
        )
        for key in one
        if one[key] != other[key]
    )


def _absences(base: Sequence[Record], candidate: Sequence[Record]) -> tuple[Reason, ...]:
    """Why one of the kernels, or both, did not run it."""
    before, after = (
        ("not run" if not side else "skipped" if not _not_skipped(side) else "run")
        for side in (base, candidate)
    )
    shown = [
        (side[0].reason,) if side and not _not_skipped(side) and side[0].reason else ()
        for side in (base, candidate)
    ]
    return (
        Reason(
            what="the whole scenario",
            change=Change.SAME,
            before=before,
            after=after,
            base_shows=shown[0],
            candidate_shows=shown[1],
        ),
    )


def _side(records: Sequence[Record]) -> Side | None:
    if not records:
        return None
    verdicts = [one.verdict for one in records if one.verdict]
    removed = [
        max(times)
        for one in verdicts
        if (times := [it.seconds for it in one.blocks or () if it.outcome.word == words.REMOVED])
    ]
    held = [one.hold_seconds for one in verdicts if one.hold_seconds is not None]
    return Side(
        statuses=tally([one.status.value for one in records]),
        pin=tally([aspects.pin_answer(one) for one in records]),
        promises={
            promise: tally([aspects.promise_answer(one, promise) for one in records])
            for promise in Promise
        },
        blocks=tally([aspects.blocks_answer(one, 0) for one in records]),
        blocks_after_release=tally([aspects.blocks_answer(one, 1) for one in records]),
        hold_seconds=median(held) if held else None,
        removal_seconds=median(removed) if removed else None,
    )


def _notes(
    subjects: Sequence[Subject], base: Sequence[Record], candidate: Sequence[Record]
) -> list[str]:
    """What somebody must know who believes the rows."""
    notes = []
    if subjects[0].kernel.key == subjects[1].kernel.key:
        notes.append("Both are the same kernel: what differs is chance, or the machine.")
    kinds = [" and ".join(one.accelerators) or "nothing" for one in subjects]
    if kinds[0] != kinds[1]:
        notes.append(f"The base ran by {kinds[0]}, the candidate by {kinds[1]}: no times compared.")
    budgets = [_budgets(base), _budgets(candidate)]
    if all(budgets) and budgets[0] != budgets[1]:
        shown = [" and ".join(f"{one:g} s" for one in side) for side in budgets]
        notes.append(
            f"The budgets of a removal differ ({shown[0]} against {shown[1]}): "
            "what was removed by the longer one may be still-looping by the other."
        )
    return notes


def _budgets(records: Sequence[Record]) -> list[float]:
    """The budgets that a removal was watched for, as far as an outcome tells."""
    return sorted(
        {
            one.outcome.budget_seconds
            for record in records
            for number in range(len(aspects.ROUNDS))
            for one in aspects.blocks_of(record, number) or ()
            if one.outcome.budget_seconds is not None
        }
    )
