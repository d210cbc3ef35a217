# SPDX-License-Identifier: GPL-2.0-only
"""What was held as the kernel counts it, what that foretells, and that a kind must be proved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pinhole.guest.kmsg import between
from pinhole.plan import Promise, Scenario
from pinhole.scenario import kind
from pinhole.scenario.part import MemoryKind, Start
from pinhole.scenario.ruling import State
from pinhole.scenario.verdict import Verdict, judge

CAPTURED = Path(__file__).parent / "captured" / "evidence"


def evidence(name: str) -> dict[str, Any]:
    return json.loads((CAPTURED / f"{name}.json").read_text())  # type: ignore[no-any-return]


def verdict_on(data: dict[str, Any]) -> Verdict:
    return judge(Scenario.model_validate(data["scenario"]), data)


def pages_event(data: dict[str, Any], when: str) -> dict[str, Any]:
    return next(
        one for one in data["holder"]["events"] if one["event"] == "pages" and one["when"] == when
    )


def test_pins_are_told_on_the_node_where_the_kernel_counts_them() -> None:
    found = verdict_on(evidence("debian-6.12-io_uring-anonymous")).account
    assert found is not None
    assert (found.pages, found.frames, found.pins) == (4096, 4096, {"0": 4096, "1": 0})
    assert found.before == {"node 1 Movable": 4096}
    assert set(found.after) == {"node 0 DMA32"}
    assert found.flags["ANON"] == 4096
    assert found.mapcounts == {"1": 4096}


def test_references_are_told_by_the_kernels_own_dump_of_a_page() -> None:
    found = verdict_on(evidence("debian-6.12-vmsplice-anonymous")).account
    assert found is not None
    assert found.pins == {"0": 0, "1": 0}
    assert found.page_dump is not None
    # One mapping, the pipe's reference, and the offliner's own isolation.
    assert found.page_dump.endswith("refcount 3, mapcount 1")


def test_a_refused_hold_has_no_account() -> None:
    assert verdict_on(evidence("debian-6.12-io_uring-refused")).account is None


@pytest.mark.parametrize("path", sorted(CAPTURED.glob("*.json")), ids=lambda path: path.stem)
def test_blocks_that_hold_pages_are_the_blocks_that_stayed(path: Path) -> None:
    found = verdict_on(evidence(path.stem)).prediction
    assert found is not None
    assert found.held, found


def test_a_block_that_stays_for_no_page_is_a_disagreement() -> None:
    data = evidence("debian-6.12-io_uring-anonymous")
    attempt = data["removals"]["held"]["attempts"][2]
    attempt |= {"result": -1, "errno": 16, "errno_name": "EBUSY"}
    block = attempt["path"].split("/")[-2]
    for files in (data["snapshots"]["removed"]["files"],):
        files[f"/sys/devices/system/memory/{block}/state"] = "online\n"
        files[f"/sys/devices/system/node/node1/{block}/state"] = "online\n"
    found = verdict_on(data).prediction
    assert found is not None
    assert (found.predicted, found.stayed, found.held) == ((), (block,), False)


def with_kind(monkeypatch: pytest.MonkeyPatch, one: MemoryKind) -> None:
    monkeypatch.setitem(kind.MEMORY_KINDS, "anonymous", one)


def test_pages_without_the_flags_of_their_kind_leave_the_pin_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = evidence("debian-6.12-io_uring-anonymous")
    proved = MemoryKind("anonymous", "", flags=frozenset({"ANON"}), lacks=frozenset({"THP"}))
    with_kind(monkeypatch, proved)
    assert verdict_on(data).of(Promise.PLACEMENT).state is State.KEPT
    pages_event(data, "before")["flags"]["ANON"] = 4095
    judgement = verdict_on(data).of(Promise.PLACEMENT)
    assert judgement.state is State.UNKNOWN
    assert judgement.reason == "only 4095 of 4096 pages have the flag ANON of anonymous"
    pages_event(data, "before")["flags"] |= {"ANON": 4096, "THP": 512}
    assert "which anonymous lacks" in verdict_on(data).of(Promise.PLACEMENT).reason
    pages_event(data, "before")["flags"] = None
    assert verdict_on(data).of(Promise.PLACEMENT).state is State.UNKNOWN


def test_pages_that_were_to_be_swapped_out_and_are_not_leave_the_pin_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = evidence("debian-6.12-io_uring-anonymous")
    with_kind(monkeypatch, MemoryKind("anonymous", "", starts=Start.SWAPPED))
    assert "0 of 4096 pages were swapped out" in verdict_on(data).of(Promise.PLACEMENT).reason
    before = pages_event(data, "before")
    before |= {"runs": [[None, 4096, 0]], "absent": 4096, "swapped": 4096}
    assert verdict_on(data).of(Promise.PLACEMENT).state is State.KEPT


def test_pages_that_were_to_be_merged_and_are_alone_leave_the_pin_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = evidence("debian-6.12-io_uring-anonymous")
    with_kind(monkeypatch, MemoryKind("anonymous", "", starts=Start.MERGED))
    reason = verdict_on(data).of(Promise.PLACEMENT).reason
    assert reason == "only 0 of 4096 pages are in a frame with others"
    pages_event(data, "before")["mapcounts"] = {"2": 4096}
    assert verdict_on(data).of(Promise.PLACEMENT).state is State.KEPT


def test_a_large_folio_may_count_as_one_pin_and_not_as_any_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = evidence("debian-5.10-io_uring-anonymous")
    assert verdict_on(data).of(Promise.PLACEMENT).state is State.BROKEN
    next(one for one in data["holder"]["events"] if one["event"] == "memory")["unit_bytes"] = (
        2 << 20
    )
    files = data["snapshots"]["held"]["files"]
    path = "/sys/devices/system/node/node1/vmstat"
    whole = files[path]
    for pins, state in ((8, State.BROKEN), (9, State.UNKNOWN)):
        files[path] = whole.replace("nr_foll_pin_acquired 4096", f"nr_foll_pin_acquired {pins}")
        assert files[path] != whole
        with_kind(monkeypatch, MemoryKind("anonymous", "", large=True))
        assert verdict_on(data).of(Promise.PLACEMENT).state is state


def test_a_log_of_a_shared_guest_begins_with_the_scenarios_mark() -> None:
    data = evidence("debian-6.12-vmsplice.anonymous")
    assert data["kmsg"]["begin_mark"].endswith(" after 1 others")
    assert verdict_on(data).of(Promise.HEALTH).state is State.KEPT
    data["kmsg"]["records"] = data["kmsg"]["records"].split("\n", 1)[1]
    assert verdict_on(data).of(Promise.HEALTH).state is State.UNKNOWN


def test_what_stands_around_the_marks_is_of_no_scenario() -> None:
    records = (
        "6,1,10,-;BUG: of another\n12,2,11,-;pinhole ab begin x\n6,3,12,-;then\n SUBSYSTEM=pci\n"
        "12,4,13,-;pinhole ab end x\n6,5,14,-;clocksource: late\n"
    )
    lines = records.splitlines(keepends=True)
    assert between("pinhole ab begin x", "pinhole ab end x", records) == "".join(lines[1:5])
    assert between("", "pinhole ab end x", records) == "".join(lines[:5])
    assert between("", "pinhole ab end y", records) == records
    assert between("pinhole ab begin y", "pinhole ab end x", records) == ""
