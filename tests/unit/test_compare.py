# SPDX-License-Identifier: GPL-2.0-only
"""Two kernels' records of a scenario: what is a regression, what a fix, what cannot be told."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.compare_records import Records, broken, changes, record, row, unjudged, unknown

from pinhole.plan import Promise
from pinhole.results.aspects import PIN_ORDER
from pinhole.results.change import Change
from pinhole.results.compare import Word, compared
from pinhole.scenario.expect import Status
from pinhole.scenario.ruling import State

LOOPING = ("still-looping", "removed", "removed", "removed")
REFUSED = ("refused(EBUSY)", "removed", "removed", "removed")


def test_the_same_is_the_same_without_a_reason() -> None:
    found = row(record(), record(label="candidate"))
    assert (found.word, found.reasons) == (Word.SAME, ())
    assert found.base == found.candidate


@pytest.mark.parametrize("promise", Promise)
@pytest.mark.parametrize("before", [State.KEPT, State.NOT_APPLICABLE])
def test_a_promise_that_breaks_is_a_regression_and_one_that_is_mended_a_fix(
    promise: Promise, before: State
) -> None:
    good, bad = record(states={promise: before}), record(states=broken(promise))
    assert row(good, bad).word is Word.REGRESSION
    assert changes(row(good, bad)) == {promise.value: Change.WORSE}
    assert row(bad, good).word is Word.FIX
    assert row(bad, bad).word is Word.SAME


def test_a_promise_that_is_not_asked_any_more_is_no_change_by_itself() -> None:
    kept = record(states={Promise.PLACEMENT: State.KEPT})
    not_asked = record(states={Promise.PLACEMENT: State.NOT_APPLICABLE})
    assert row(kept, not_asked).word is Word.SAME


@pytest.mark.parametrize("promise", Promise)
@pytest.mark.parametrize("known", [State.KEPT, State.BROKEN])
def test_what_is_unknown_is_never_the_same(promise: Promise, known: State) -> None:
    told, untold = record(states={promise: known}), record(states=unknown(promise))
    for base, candidate in ((told, untold), (untold, told), (untold, untold)):
        found = row(base, candidate)
        assert found.word is Word.UNCLEAR
        assert set(changes(found)) == {promise.value}
        assert "not known in" in found.reasons[0].words[0]
    may_be = Change.UNCLEAR if known is State.KEPT else Change.NOT_WORSE
    assert changes(row(told, untold)) == {promise.value: may_be}


@pytest.mark.parametrize("status", [Status.MISS, Status.ERROR])
def test_one_that_was_not_judged_is_never_the_same(status: Status) -> None:
    for base, candidate in (
        (record(), unjudged(status, reason="QEMU died")),
        (unjudged(status, reason="QEMU died"), record()),
        (unjudged(status), unjudged(status)),
    ):
        assert row(base, candidate).word is Word.UNCLEAR
    (reason,) = row(record(), unjudged(status, reason="QEMU died")).reasons
    assert (reason.before, reason.after) == ("judged", status.value)
    assert reason.shown == ("candidate: QEMU died",)


def test_a_panic_of_the_candidate_is_a_regression_though_the_rest_is_unknown() -> None:
    rest = unknown(*(set(Promise) - {Promise.HEALTH}))
    panicked = record(states={**rest, **broken(Promise.HEALTH)}, pin=None, blocks=None, again=None)
    assert row(record(), panicked).word is Word.REGRESSION
    # The other way round nothing can have become worse than it was.
    assert row(panicked, record()).word is Word.FIX


def test_a_fix_beside_which_something_may_be_worse_is_unclear() -> None:
    base = record(states=broken(Promise.REMOVAL))
    candidate = record(states=unknown(Promise.LEDGER))
    assert row(base, candidate).word is Word.UNCLEAR


def test_one_promise_better_and_another_worse_is_a_regression_that_says_both() -> None:
    found = row(record(states=broken(Promise.PLACEMENT)), record(states=broken(Promise.LEDGER)))
    assert found.word is Word.REGRESSION
    assert changes(found) == {"ledger": Change.WORSE, "placement": Change.BETTER}


def test_every_outcome_of_a_hold_is_compared_with_every_other() -> None:
    for before, low in PIN_ORDER.items():
        for after, high in PIN_ORDER.items():
            found = row(record(pin=before), record(pin=after)).word
            if before == after:
                assert found is Word.SAME
            elif low == high:
                assert found is Word.UNCLEAR
            else:
                assert found is (Word.REGRESSION if high > low else Word.FIX)


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        ("migrated", "refused(ENOMEM)", Word.REGRESSION),
        ("pinned-in-movable", "refused(ENOMEM)", Word.FIX),
        ("refused(ENOMEM)", "refused-leaky(ENOMEM)", Word.REGRESSION),
        ("refused(ENOMEM)", "refused(EAGAIN)", Word.UNCLEAR),
        ("refused(ENOMEM)", None, Word.UNCLEAR),
        ("dancing", "dancing", Word.SAME),
        ("dancing", "migrated", Word.UNCLEAR),
    ],
)
def test_the_outcome_of_a_hold(before: str | None, after: str | None, word: Word) -> None:
    assert row(record(pin=before), record(pin=after)).word is word


def test_an_outcome_without_an_order_is_no_fix() -> None:
    assert row(record(pin="spinning-unkillable"), record(pin="dancing")).word is Word.UNCLEAR


@pytest.mark.parametrize("field", ["blocks", "again"])
@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        (("removed",) * 4, LOOPING, Word.REGRESSION),
        (LOOPING, REFUSED, Word.FIX),
        (REFUSED, ("refused(EAGAIN)", *REFUSED[1:]), Word.UNCLEAR),
        # One block more refuses, and none loops any more: worse and better at once.
        (LOOPING, ("refused(EBUSY)",) * 2 + ("removed",) * 2, Word.REGRESSION),
        (LOOPING, tuple(reversed(LOOPING)), Word.SAME),
        (LOOPING, None, Word.UNCLEAR),
        (("removed",) * 4, ("removed",) * 8, Word.UNCLEAR),
    ],
)
def test_the_outcomes_of_blocks(
    field: str, before: tuple[str, ...], after: tuple[str, ...] | None, word: Word
) -> None:
    if after is not None and len(after) > 4:
        # The machine is another one: both rounds have more blocks.
        field = "blocks"
    one, other = ({field: side} for side in (before, after))
    base: Any = record(**one)  # type: ignore[arg-type]
    assert row(base, record(**other)).word is word  # type: ignore[arg-type]


def test_a_budget_stands_beside_the_word_and_is_no_difference() -> None:
    looping = record(blocks=LOOPING)
    found = row(record(), looping)
    (reason,) = found.reasons
    assert (reason.before, reason.after) == ("4 removed", "3 removed, 1 still-looping(8 s)")
    assert looping.verdict is not None
    assert looping.verdict.blocks is not None
    first, *rest = looping.verdict.blocks
    longer = first.outcome.model_copy(update={"budget_seconds": 24.0})
    blocks = (first.model_copy(update={"outcome": longer}), *rest)
    patient = looping.model_copy(
        update={"verdict": looping.verdict.model_copy(update={"blocks": blocks})}
    )
    comparison = compared([looping], [patient])
    assert comparison.rows[0].word is Word.SAME
    assert any("budgets of a removal differ (8 s against 24 s)" in one for one in comparison.notes)


# -- what is on one side alone


def test_a_scenario_of_one_side_alone_is_new_or_gone() -> None:
    comparison = compared([record("a"), record("b")], [record("b"), record("c")])
    assert [(one.scenario, one.word) for one in comparison.rows] == [
        ("a", Word.GONE),
        ("c", Word.NEW),
        ("b", Word.SAME),
    ]
    assert comparison.exit_status == 0


def test_a_kernel_that_lacks_a_feature_has_not_the_scenario() -> None:
    skipped = unjudged(Status.SKIP, reason="lacks CONFIG_IO_URING")
    found = row(record(), skipped)
    assert (found.word, found.candidate) == (Word.GONE, None)
    assert found.reasons[0].shown == ("candidate: lacks CONFIG_IO_URING",)
    assert row(skipped, record()).word is Word.NEW
    both = compared([skipped], [skipped])
    assert (both.rows[0].word, both.exit_status) == (Word.SAME, 4)


def test_scenarios_of_one_name_that_differ_are_not_compared() -> None:
    found = row(record(), record(size=4096))
    assert found.word is Word.UNCLEAR
    assert found.reasons[0].what == "the scenario's size"


@pytest.mark.parametrize(
    ("candidate", "status"),
    [
        ([record("a"), record("b")], 0),
        ([record("a"), record("b", pin="refused-leaky(EINVAL)")], 1),
        ([record("a", pin=None), record("b", pin="refused-leaky(EINVAL)")], 1),
        ([record("a", pin=None), record("b")], 3),
        ([record("c")], 4),
    ],
)
def test_the_exit_status_says_the_worst(candidate: Records, status: int) -> None:
    assert compared([record("a"), record("b")], candidate).exit_status == status


def test_changed_rows_come_first() -> None:
    base = [record("same"), record("fixed", pin="refused(EIO)"), record("gone"), record("bad")]
    base.append(record("unclear"))
    candidate = [record("new"), record("bad", blocks=LOOPING), record("same"), record("fixed")]
    candidate.append(record("unclear", pin=None))
    comparison = compared(base, candidate)
    assert [one.word for one in comparison.rows] == list(Word)


def test_the_same_kernel_on_both_sides_is_told() -> None:
    assert "the same kernel" in compared([record()], [record()]).notes[0]
    assert compared([record()], [record(label="other")]).notes == ()
