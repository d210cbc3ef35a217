# SPDX-License-Identifier: GPL-2.0-only
"""Runs of PFNs as pinholder tells them: parts of them, merged frames, and what they cannot be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinhole.guest.text import Zone
from pinhole.scenario.facts import EvidenceGapError
from pinhole.scenario.held_pages import PageRun, located, page_ranges, page_runs, pages_in

ZONES = (
    Zone(0, "Normal", 100, 100, 100, 100, 0),
    Zone(1, "Movable", 1000, 64, 64, 64, 0),
)


def expanded(runs: tuple[PageRun, ...]) -> list[int | None]:
    return [
        None if run.first is None else run.first + run.step * page
        for run in runs
        for page in range(run.count)
    ]


run_lists = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(1000, 5000)),
        st.integers(1, 20),
        st.sampled_from([1, 0, -1]),
    ).map(list),
    max_size=8,
)


@given(run_lists, st.integers(0, 40), st.integers(0, 40))
def test_a_part_of_the_pages_is_what_a_slice_of_them_is(
    raw: list[object], first: int, count: int
) -> None:
    runs = page_runs(raw)
    whole = expanded(runs)
    if first + count > len(whole):
        if count:
            with pytest.raises(EvidenceGapError, match="lacks"):
                pages_in(runs, first, count)
        return
    assert expanded(pages_in(runs, first, count)) == whole[first : first + count]


@given(st.sets(st.integers(1000, 1063), max_size=40), st.randoms())
def test_frames_are_counted_in_the_zone_and_block_that_they_are_in(
    pfns: set[int], random: object
) -> None:
    shuffled = sorted(pfns)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    runs = page_runs([[pfn, 1, 1] for pfn in shuffled])
    held = located(page_ranges(runs), ZONES, 16)
    assert held.count == held.frames == held.in_zone("Movable") == held.on_node(1) == len(pfns)
    assert sum(held.by_block.values()) == len(pfns)


def test_a_frame_that_stands_twice_is_a_gap_unless_pages_are_merged() -> None:
    twice = page_runs([[1000, 2, 1], [1001, 3, 0]])
    for runs in (twice, page_runs([[1000, 3, 0]])):
        with pytest.raises(EvidenceGapError, match="twice"):
            page_ranges(runs)
    held = located(page_ranges(twice, merged=True), ZONES, 16, 5)
    assert (held.count, held.frames) == (5, 2)


def test_an_absent_page_is_held_nowhere() -> None:
    with pytest.raises(EvidenceGapError, match="in no frame"):
        page_ranges(page_runs([[1000, 1, 1], [None, 3, 0]]))


@pytest.mark.parametrize(
    "raw",
    ["x", [[1, 2]], [[0, 1, 1]], [[5, 0, 1]], [[5, 1, 2]], [[2, 5, -1]], [[True, 1, 1]], [None]],
)
def test_what_pinholder_would_not_write_is_a_gap(raw: object) -> None:
    with pytest.raises(EvidenceGapError, match="malformed"):
        page_runs(raw)
