# SPDX-License-Identifier: GPL-2.0-only
"""Times, and outcomes that vary between repetitions: what is more than chance."""

from __future__ import annotations

import pytest
from tests.unit.compare_records import Records, broken, record, row, unjudged

from pinhole.plan import Promise
from pinhole.results.change import Change
from pinhole.results.compare import Word, compared
from pinhole.scenario.expect import Status

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


def test_a_count_of_repetitions_does_not_run_into_one_of_blocks() -> None:
    (reason,) = row([record()] * 2, [record(blocks=("refused(EBUSY)",) * 4)] * 2).reasons
    assert (reason.before, reason.after) == ("2x (4 removed)", "2x (4 refused(EBUSY))")


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
