# SPDX-License-Identifier: GPL-2.0-only
"""What holds for any two kernels: from the other side a comparison is its mirror image."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.compare_records import Records, changes, record, row, unjudged

from pinhole.plan import Promise
from pinhole.results.aspects import BLOCK_ORDER, PIN_ORDER
from pinhole.results.change import Change
from pinhole.results.compare import Word, compared
from pinhole.scenario.expect import Status
from pinhole.scenario.ruling import State

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
