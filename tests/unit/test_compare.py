# SPDX-License-Identifier: GPL-2.0-only
"""Two kernels' records of a scenario: what is a regression, what a fix, what cannot be told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.compare_records import broken, record, unjudged, unknown

from pinhole.plan import Promise
from pinhole.results.aspects import BLOCK_ORDER, PIN_ORDER
from pinhole.results.change import Change
from pinhole.results.compare import Row, Word, compared
from pinhole.results.record import Record
from pinhole.scenario.expect import Status
from pinhole.scenario.ruling import State

Records = list[Record]
LOOPING = ("still-looping", "removed", "removed", "removed")
REFUSED = ("refused(EBUSY)", "removed", "removed", "removed")


def row(base: Record | Records, candidate: Record | Records) -> Row:
    sides = [one if isinstance(one, list) else [one] for one in (base, candidate)]
    (found,) = compared(sides[0], sides[1]).rows
    return found


def changes(found: Row) -> dict[str, Change]:
    return {reason.what: reason.change for reason in found.reasons}


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


# -- times


def test_a_removal_that_takes_much_longer_is_a_regression_and_says_both_times() -> None:
    found = row(record(seconds=0.2), record(seconds=12.0))
    assert found.word is Word.REGRESSION
    (reason,) = found.reasons
    assert reason.what == "seconds to take away block 1 while pages are held"
    assert (reason.before, reason.after) == ("0.20 s", "12.00 s")
    assert reason.words == ("3 more of the blocks likewise",)
    assert row(record(seconds=12.0), record(seconds=0.2)).word is Word.FIX


def test_one_slow_block_of_four_is_enough() -> None:
    slow = record()
    assert slow.verdict is not None
    assert slow.verdict.blocks is not None
    *rest, last = slow.verdict.blocks
    blocks = (*rest, last.model_copy(update={"seconds": 12.0}))
    slow = slow.model_copy(update={"verdict": slow.verdict.model_copy(update={"blocks": blocks})})
    found = row(record(), slow)
    assert found.word is Word.REGRESSION
    assert found.reasons[0].what == "seconds to take away block 4 while pages are held"


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        (0.02, 1.9, Word.SAME),  # 95 times as long, and less than 2 s
        (10.0, 30.0, Word.SAME),  # 20 s more, and 3 times as long
        (10.0, 41.0, Word.REGRESSION),
        (0.0, 2.1, Word.REGRESSION),
    ],
)
def test_a_time_is_another_one_by_factor_and_by_seconds(
    before: float, after: float, word: Word
) -> None:
    assert row(record(seconds=before), record(seconds=after)).word is word
    assert row(record(again_seconds=before), record(again_seconds=after)).word is word
    assert row(record(hold_seconds=before), record(hold_seconds=after)).word is word


def test_a_block_that_is_removed_at_last_is_not_slow() -> None:
    looped = record(blocks=("still-looping",) * 4, seconds=0.1)
    assert row(looped, record(seconds=6.0)).word is Word.FIX


def test_the_time_of_a_hold_counts_only_where_it_ended_the_same_way() -> None:
    refused = record(pin="refused(ENOMEM)", hold_seconds=0.01)
    assert row(refused, record(hold_seconds=9.0)).word is Word.FIX


def test_times_of_different_accelerators_are_not_compared() -> None:
    comparison = compared([record(seconds=0.1, accelerator="kvm")], [record(seconds=30.0)])
    assert comparison.rows[0].word is Word.SAME
    assert "no times compared" in comparison.notes[-1]


def test_times_that_vary_are_told_apart_by_their_quartiles() -> None:
    base = [record(seconds=one) for one in (0.1, 0.1, 0.2, 0.1)]
    slow = [record(seconds=one) for one in (9.0, 8.0, 0.1, 10.0)]
    assert row(base, slow).word is Word.REGRESSION
    assert "median of 4, 0.10 to 10.00 s" in row(base, slow).reasons[0].after
    wild = [record(seconds=one) for one in (0.1, 0.1, 9.0, 9.0)]
    found = row(base, wild)
    assert found.word is Word.UNCLEAR
    assert "vary too much to tell" in found.reasons[0].words[0]
    once = [record(seconds=one) for one in (0.1, 0.1, 0.1, 30.0)]
    assert row(base, once).word is Word.SAME


# -- counts


def pins(*counts: tuple[int, str]) -> Records:
    return [record(pin=name) for count, name in counts for _ in range(count)]


@pytest.mark.parametrize(
    ("base", "candidate", "word", "said"),
    [
        (
            pins((10, "migrated")),
            pins((9, "migrated"), (1, "refused(ENOMEM)")),
            Word.SAME,
            "0 of 10 against 1 of 10: not more than chance",
        ),
        (
            pins((9, "migrated"), (1, "refused(ENOMEM)")),
            pins((10, "migrated")),
            Word.SAME,
            "1 of 10 against 0 of 10: not more than chance",
        ),
        (
            pins((10, "migrated")),
            pins((3, "migrated"), (7, "refused(ENOMEM)")),
            Word.REGRESSION,
            "0 of 10 against 7 of 10: more than chance (p = 0.0031)",
        ),
        (
            pins((2, "migrated")),
            pins((1, "migrated"), (1, "refused(ENOMEM)")),
            Word.UNCLEAR,
            "0 of 2 against 1 of 2: too few to tell, so repeat more often",
        ),
        (
            pins((5, "migrated"), (5, "refused(ENOMEM)")),
            pins((5, "migrated"), (5, "refused(EAGAIN)")),
            Word.UNCLEAR,
            "5 of 10 against 0 of 10: more than chance (p = 0.033)",
        ),
    ],
)
def test_an_outcome_that_varies_is_judged_by_its_counts(
    base: Records, candidate: Records, word: Word, said: str
) -> None:
    found = row(base, candidate)
    assert found.word is word
    assert said in [one for reason in found.reasons for one in reason.words]


def test_counts_are_told_of_both_sides() -> None:
    found = row(pins((10, "migrated")), pins((9, "migrated"), (1, "refused(ENOMEM)")))
    (reason,) = found.reasons
    assert (reason.before, reason.after) == ("10x migrated", "9x migrated, 1x refused(ENOMEM)")
    assert reason.change is Change.CHANCE
    assert found.candidate is not None
    assert found.candidate.pin == {"migrated": 9, "refused(ENOMEM)": 1}


def test_one_repetition_lost_of_ten_hides_nothing_that_counts() -> None:
    base = [record() for _ in range(10)]
    assert row(base, [*base[1:], unjudged(Status.MISS)]).word is Word.SAME
    assert row(base[:2], [base[0], unjudged(Status.MISS)]).word is Word.UNCLEAR
    bad = [record(states=broken(Promise.REMOVAL)) for _ in range(9)]
    assert row(base, [*bad, unjudged(Status.MISS)]).word is Word.REGRESSION
    assert row([*bad, unjudged(Status.MISS)], base).word is Word.FIX
    # Half of them might have been anything.
    lost = [unjudged(Status.MISS)] * 5
    assert row(base, [*base[:5], *lost]).word is Word.UNCLEAR


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


# -- what holds for any two kernels

STATES = st.dictionaries(st.sampled_from(Promise), st.sampled_from(State))
BLOCKS = st.none() | st.lists(st.sampled_from(sorted(BLOCK_ORDER)), min_size=4, max_size=4)
JUDGED = st.builds(
    record,
    st.sampled_from(["one", "two"]),
    pin=st.none() | st.sampled_from([*PIN_ORDER, "refused(EIO)", "dancing"]),
    states=STATES,
    blocks=BLOCKS,
    again=BLOCKS,
    hold_seconds=st.none() | st.sampled_from([0.0, 0.1, 5.0]),
    seconds=st.sampled_from([0.0, 0.1, 5.0]),
)
REPETITIONS = st.lists(
    JUDGED | st.builds(unjudged, st.sampled_from([Status.SKIP, Status.MISS]), st.just("one")),
    min_size=1,
    max_size=6,
)
MIRRORED = {
    Word.FIX: {Word.REGRESSION},
    Word.NEW: {Word.GONE},
    Word.GONE: {Word.NEW},
    Word.SAME: {Word.SAME},
    # What is worse and better at once is a regression from either side; so is what is worse
    # where something else is not known, which from the other side is unclear.
    Word.REGRESSION: {Word.FIX, Word.REGRESSION, Word.UNCLEAR},
    Word.UNCLEAR: {Word.UNCLEAR, Word.REGRESSION},
}


@settings(max_examples=400, deadline=None)
@given(REPETITIONS, REPETITIONS)
def test_seen_from_the_other_side_it_is_the_mirror_image(base: Records, candidate: Records) -> None:
    there = {one.scenario: one for one in compared(base, candidate).rows}
    back = {one.scenario: one for one in compared(candidate, base).rows}
    mirrored = {Change.WORSE: Change.BETTER, Change.BETTER: Change.WORSE}
    for name, found in there.items():
        assert back[name].word in MIRRORED[found.word]
        sure = {what: it for what, it in changes(found).items() if it in mirrored}
        for what, change in sure.items():
            assert changes(back[name])[what] in (mirrored[change], Change.UNCLEAR)
        assert (back[name].base, back[name].candidate) == (found.candidate, found.base)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([*PIN_ORDER, "refused(EIO)"]), st.sampled_from(sorted(PIN_ORDER)), STATES)
def test_a_regression_where_all_is_known_is_a_fix_the_other_way(
    before: str, after: str, states: dict[Promise, State]
) -> None:
    good = dict.fromkeys(Promise, State.KEPT)
    worse = {one: state for one, state in states.items() if state is not State.UNKNOWN}
    base, candidate = record(pin=before, states=good), record(pin=after, states=worse)
    there, back = row(base, candidate), row(candidate, base)
    if set(changes(there).values()) == {Change.WORSE}:
        assert (there.word, back.word) == (Word.REGRESSION, Word.FIX)
    assert (there.word is Word.SAME) == (not there.reasons) == (not back.reasons)


@settings(max_examples=200, deadline=None)
@given(REPETITIONS)
def test_nothing_is_a_regression_of_itself(records: Records) -> None:
    for found in compared(records, records).rows:
        assert found.word in (Word.SAME, Word.UNCLEAR)
        if found.word is Word.SAME and found.base is not None:
            untold = State.UNKNOWN.value in str(found.base.promises)
            assert not untold or Change.CHANCE in changes(found).values()
