# SPDX-License-Identifier: GPL-2.0-only
"""pinholder's kinds of memory on this host's own kernel: what each must be, by the page flags."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.test_guest_c_pinholder import call, events, named, pinholder

from pinhole.scenario.kind import MEMORY_KINDS
from pinhole.scenario.part import MemoryKind, Start

__all__ = ["pinholder"]  # the fixture

KINDS = [kind for kind in MEMORY_KINDS.values() if kind.name != "own"]
EXIT_UNSUPPORTED = 5


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_pages_are_of_their_kind_and_all_is_taken_back(pinholder: Path, kind: MemoryKind) -> None:
    name, flags, lacks, starts = kind.name, kind.flags, kind.lacks, kind.starts
    status, out, err = call(pinholder, "--hold", "vmsplice", "--kind", name, "--size", "2M")
    found = events(out)
    if status == EXIT_UNSUPPORTED:
        pytest.skip(named(found, "unsupported")["message"])
    assert status == 0, err
    before = next(one for one in found if one["event"] == "pages" and one["when"] == "before")
    total = sum(count for _, count, _ in before["runs"])
    if before["flags"] is None:
        pytest.skip("this host hides /proc/kpageflags")
    if starts is Start.SWAPPED:
        assert before["swapped"] == before["absent"] == total
    else:
        assert {flag: before["flags"].get(flag) for flag in flags} == dict.fromkeys(flags, total)
        assert not lacks & before["flags"].keys()
    if starts is Start.MERGED:
        assert len({first for first, _, _ in before["runs"]}) < total
    assert named(found, "verify") | {"boottime": 0} == {
        "event": "verify",
        "boottime": 0,
        "ok": True,
        "bad_pages": 0,
    }


def test_a_size_that_is_no_multiple_of_the_huge_page_is_told(pinholder: Path) -> None:
    for kind in ("thp", "hugetlb"):
        status, out, _ = call(pinholder, "--hold", "vmsplice", "--kind", kind, "--size", "1M")
        if status == EXIT_UNSUPPORTED:
            continue
        assert status == 3
        assert "use a multiple" in named(events(out), "error")["message"]


def test_the_kind_own_goes_with_ways_that_make_their_pages(pinholder: Path) -> None:
    status, out, err = call(pinholder, "--hold", "io_uring", "--kind", "own")
    assert (status, out) == (2, "")
    assert "--kind own goes with ways that make the pages they hold" in err
