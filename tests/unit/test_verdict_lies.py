# SPDX-License-Identifier: GPL-2.0-only
"""Evidence that lies in more than one place: what a single changed fact cannot show."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from pinhole.plan import Promise, Scenario
from pinhole.scenario.ruling import State
from pinhole.scenario.verdict import judge

CAPTURED = Path(__file__).parent / "captured" / "evidence"
MEMORY = "/sys/devices/system/memory"


class Lie:
    """A copy of captured evidence that a test may change, and its verdict."""

    def __init__(self, name: str) -> None:
        self.evidence: dict[str, Any] = json.loads((CAPTURED / f"{name}.json").read_text())
        self.scenario = Scenario.model_validate(self.evidence["scenario"])

    def state(self, promise: Promise) -> State:
        return judge(self.scenario, self.evidence).of(promise).state

    def reason(self, promise: Promise) -> str:
        return judge(self.scenario, self.evidence).of(promise).reason

    def files(self, snapshot: str) -> dict[str, str]:
        return self.evidence["snapshots"][snapshot]["files"]  # type: ignore[no-any-return]

    def event(self, **having: str) -> dict[str, Any]:
        events = self.evidence["holder"]["events"]
        return next(one for one in events if having.items() <= one.items())

    def renumber(self, round_name: str, attempts: list[dict[str, Any]]) -> None:
        self.evidence["removals"][round_name] = {
            "attempts": [{**one, "index": index} for index, one in enumerate(attempts)],
            "attempts_count": len(attempts),
        }


@pytest.fixture
def migrated() -> Lie:
    return Lie("debian-6.12-io_uring-anonymous")


@pytest.fixture
def pinned() -> Lie:
    return Lie("debian-5.10-io_uring-anonymous")


@pytest.fixture
def referenced() -> Lie:
    return Lie("debian-6.12-vmsplice-anonymous")


def test_the_captured_evidence_is_what_these_tests_take_it_for(
    migrated: Lie, pinned: Lie, referenced: Lie
) -> None:
    assert migrated.state(Promise.PLACEMENT) is State.KEPT
    assert pinned.state(Promise.PLACEMENT) is State.BROKEN
    assert referenced.state(Promise.REMOVAL) is State.BROKEN
    for one in (migrated, pinned, referenced):
        assert one.state(Promise.LEDGER) is one.state(Promise.HEALTH) is State.KEPT


def test_a_page_that_stands_twice_is_unknown(migrated: Lie) -> None:
    pages = migrated.event(event="pages", when="after")
    first = pages["runs"][-1][0]
    pages["runs"] = [[first, 2048, 1], [first, 2048, 1]]
    assert migrated.state(Promise.PLACEMENT) is State.UNKNOWN
    assert "twice" in migrated.reason(Promise.PLACEMENT)


def test_a_state_that_no_block_has_is_unknown_even_if_it_was_so_before(migrated: Lie) -> None:
    for snapshot in ("bare", "unplugged"):
        migrated.files(snapshot)[f"{MEMORY}/memory0/state"] = "lost\n"
    assert migrated.state(Promise.LEDGER) is State.UNKNOWN


def test_a_block_that_nobody_speaks_of_is_unknown(migrated: Lie) -> None:
    for snapshot in migrated.evidence["snapshots"].values():
        for path in [path for path in snapshot["files"] if "/memory35/" in path]:
            del snapshot["files"][path]
    for name, made in migrated.evidence["removals"].items():
        migrated.renumber(name, [one for one in made["attempts"] if "memory35" not in one["path"]])
    assert migrated.state(Promise.REMOVAL) is State.UNKNOWN
    assert migrated.state(Promise.RECOVERY) is State.UNKNOWN


def test_a_block_that_was_never_tried_is_unknown(migrated: Lie) -> None:
    attempts = migrated.evidence["removals"]["held"]["attempts"]
    migrated.renumber("held", attempts[:-1])
    assert migrated.state(Promise.REMOVAL) is State.UNKNOWN
    assert "memory35" in migrated.reason(Promise.REMOVAL)


def test_a_block_that_went_although_its_pages_are_held_is_unknown(referenced: Lie) -> None:
    """Write and state agree that it went: then the pages cannot be where pagemap shows them."""
    attempts = copy.deepcopy(referenced.evidence["removals"]["held"]["attempts"])
    stays = next(one for one in attempts if one["sigterm_at"] is not None)
    stays |= {"result": 0, "errno": 0, "errno_name": None, "sigterm_at": None, "seconds": 0.1}
    referenced.renumber("held", attempts)
    block = stays["path"].split("/")[-2]
    for path in (f"{MEMORY}/{block}/state", f"/sys/devices/system/node/node1/{block}/state"):
        referenced.files("removed")[path] = "offline\n"
    assert referenced.state(Promise.REMOVAL) is State.UNKNOWN
    assert "although pagemap shows 256 held pages" in referenced.reason(Promise.REMOVAL)


def test_a_free_block_that_is_refused_breaks_removal(migrated: Lie) -> None:
    attempts = copy.deepcopy(migrated.evidence["removals"]["held"]["attempts"])
    attempts[2] |= {"result": -1, "errno": 16, "errno_name": "EBUSY"}
    migrated.renumber("held", attempts)
    block = attempts[2]["path"].split("/")[-2]
    for path in (f"{MEMORY}/{block}/state", f"/sys/devices/system/node/node1/{block}/state"):
        migrated.files("removed")[path] = "online\n"
    assert migrated.state(Promise.REMOVAL) is State.BROKEN
    assert f"{block} (0 pages held): refused(EBUSY)" in migrated.reason(Promise.REMOVAL)


def test_a_held_block_that_is_refused_in_time_keeps_removal(referenced: Lie) -> None:
    attempts = copy.deepcopy(referenced.evidence["removals"]["held"]["attempts"])
    stays = next(one for one in attempts if one["sigterm_at"] is not None)
    stays |= {"errno": 16, "errno_name": "EBUSY", "sigterm_at": None, "seconds": 0.5}
    referenced.renumber("held", attempts)
    assert referenced.state(Promise.REMOVAL) is State.KEPT


def test_an_unkillable_removal_breaks_removal(referenced: Lie) -> None:
    attempts = copy.deepcopy(referenced.evidence["removals"]["held"]["attempts"])
    stays = next(one for one in attempts if one["sigterm_at"] is not None)
    stays |= {"ended": False, "result": None, "errno_name": None, "sigkill_at": 16.0}
    referenced.renumber("held", attempts)
    block = stays["path"].split("/")[-2]
    for path in (f"{MEMORY}/{block}/state", f"/sys/devices/system/node/node1/{block}/state"):
        referenced.files("removed")[path] = "going-offline\n"
    assert referenced.state(Promise.REMOVAL) is State.BROKEN
    assert "unkillable" in referenced.reason(Promise.REMOVAL)


@pytest.mark.parametrize(("taint", "state"), [("512\n", State.BROKEN), ("lots\n", State.UNKNOWN)])
def test_a_taint_that_came_breaks_health(migrated: Lie, taint: str, state: State) -> None:
    migrated.files("unplugged")["/proc/sys/kernel/tainted"] = taint
    assert migrated.state(Promise.HEALTH) is state


def test_with_cma_nobody_can_tell_where_a_pinned_page_is(migrated: Lie) -> None:
    migrated.files("held")["/proc/meminfo"] += "CmaTotal:          65536 kB\n"
    assert migrated.state(Promise.PLACEMENT) is State.UNKNOWN
    assert "CMA" in migrated.reason(Promise.PLACEMENT)


def test_blocks_and_zoneinfo_that_disagree_are_unknown(pinned: Lie) -> None:
    (block,) = judge(pinned.scenario, pinned.evidence).of(Promise.PLACEMENT).blocks
    pinned.files("held")[f"{MEMORY}/{block}/valid_zones"] = "Normal\n"
    assert pinned.state(Promise.PLACEMENT) is State.UNKNOWN


def test_counters_that_disagree_with_pagemap_are_unknown(pinned: Lie) -> None:
    path = "/sys/devices/system/node/node1/vmstat"
    pinned.files("held")[path] = re.sub(
        r"nr_foll_pin_acquired \d+", "nr_foll_pin_acquired 4095", pinned.files("held")[path]
    )
    assert pinned.state(Promise.PLACEMENT) is State.UNKNOWN
    assert pinned.state(Promise.REMOVAL) is State.UNKNOWN


def test_a_kernel_without_the_counters_is_unknown_and_never_zero(migrated: Lie) -> None:
    for snapshot in migrated.evidence["snapshots"].values():
        for path, text in snapshot["files"].items():
            if path.endswith("/vmstat"):
                snapshot["files"][path] = re.sub(r"nr_foll_pin_\w+ \d+\n", "", text)
    assert migrated.state(Promise.PLACEMENT) is State.UNKNOWN
    assert "nr_foll_pin_acquired" in migrated.reason(Promise.PLACEMENT)
    assert migrated.state(Promise.LEDGER) is State.UNKNOWN


def test_pins_that_stay_break_the_ledger(pinned: Lie) -> None:
    path = "/sys/devices/system/node/node1/vmstat"
    pinned.files("removed_again")[path] = re.sub(
        r"nr_foll_pin_released (\d+)",
        lambda found: f"nr_foll_pin_released {int(found[1]) - 3}",
        pinned.files("removed_again")[path],
    )
    assert pinned.state(Promise.LEDGER) is State.BROKEN
    assert "3 pins of node 1 were never released" in pinned.reason(Promise.LEDGER)


def test_a_dimm_that_stays_breaks_the_ledger(migrated: Lie) -> None:
    migrated.evidence["unplug"] |= {"outcome": "silent", "said": "silent(20 s)"}
    assert "the DIMM did not leave: silent(20 s)" in migrated.reason(Promise.LEDGER)
    assert migrated.state(Promise.LEDGER) is State.BROKEN


def test_pages_that_lost_their_data_break_the_ledger(migrated: Lie) -> None:
    migrated.event(event="verify").update(ok=False, bad_pages=2)
    assert migrated.state(Promise.LEDGER) is State.BROKEN


def test_pages_pinned_after_a_refusal_break_clean_refusal() -> None:
    refused = Lie("debian-6.12-io_uring-refused")
    assert refused.state(Promise.CLEAN_REFUSAL) is State.KEPT
    path = "/sys/devices/system/node/node0/vmstat"
    refused.files("held")[path] = re.sub(
        r"nr_foll_pin_acquired (\d+)",
        lambda found: f"nr_foll_pin_acquired {int(found[1]) + 5}",
        refused.files("held")[path],
    )
    assert refused.state(Promise.CLEAN_REFUSAL) is State.BROKEN
    verdict = judge(refused.scenario, refused.evidence)
    assert verdict.pin is not None
    assert verdict.pin.name == "refused-leaky(ENOMEM)"


def test_pages_that_cannot_be_used_after_a_refusal_break_it() -> None:
    refused = Lie("debian-6.12-io_uring-refused")
    refused.event(event="usable").update(ok=False, bad_pages=1)
    assert refused.state(Promise.CLEAN_REFUSAL) is State.BROKEN


def test_a_holder_that_still_ran_leaves_recovery_unknown(migrated: Lie) -> None:
    migrated.evidence["holder"]["exit_status"] = None
    assert migrated.state(Promise.RECOVERY) is State.UNKNOWN


def test_a_removal_that_fails_after_release_breaks_recovery(pinned: Lie) -> None:
    held = pinned.evidence["removals"]["held"]["attempts"]
    again = copy.deepcopy(pinned.evidence["removals"]["released"]["attempts"])
    stays = next(one for one in held if one["sigterm_at"] is not None)
    again = [stays if one["path"] == stays["path"] else one for one in again]
    pinned.renumber("released", again)
    block = stays["path"].split("/")[-2]
    for path in (f"{MEMORY}/{block}/state", f"/sys/devices/system/node/node1/{block}/state"):
        pinned.files("removed_again")[path] = "online\n"
    assert pinned.state(Promise.RECOVERY) is State.BROKEN


@pytest.mark.parametrize(
    "changed",
    [
        {"seconds": 3600.0},
        {"errno": 4},
        {"sigkill_at": 3599.0},
        {"signal": 9},
    ],
)
def test_a_refusal_that_contradicts_itself_is_unknown(
    referenced: Lie, changed: dict[str, object]
) -> None:
    """An errno in time is an answer; one that came after an hour, or of another number, is none."""
    attempts = copy.deepcopy(referenced.evidence["removals"]["held"]["attempts"])
    stays = next(one for one in attempts if one["sigterm_at"] is not None)
    stays |= {"errno": 16, "errno_name": "EBUSY", "sigterm_at": None, "seconds": 0.5, **changed}
    referenced.renumber("held", attempts)
    assert referenced.state(Promise.REMOVAL) is State.UNKNOWN


def test_evidence_of_another_kernel_or_scenario_is_unknown(migrated: Lie, referenced: Lie) -> None:
    key = migrated.evidence["kernel"]["key"]
    own = judge(migrated.scenario, migrated.evidence, key)
    assert own.of(Promise.HEALTH).state is State.KEPT
    for verdict in (
        judge(migrated.scenario, migrated.evidence, "debian1-of-another-kernel"),
        judge(referenced.scenario, migrated.evidence, key),
    ):
        assert {one.state for one in verdict.judgements} == {State.UNKNOWN}
        assert (verdict.pin, verdict.blocks) == (None, None)


def test_a_guest_that_ran_another_kernel_is_unknown(migrated: Lie) -> None:
    migrated.evidence["guest"]["release"] = "5.10.0-46-amd64"
    assert migrated.state(Promise.PLACEMENT) is State.UNKNOWN


def test_a_hold_of_fewer_pages_than_its_memory_is_unknown(referenced: Lie) -> None:
    referenced.event(event="hold")["pages"] = 1
    assert referenced.state(Promise.REMOVAL) is State.UNKNOWN


def test_a_trick_that_was_not_come_to_took_no_memory_away() -> None:
    """Where the hold was refused nothing was unmapped, so what the holder read back counts."""
    refused = Lie("debian-6.12-io_uring-refused")
    tricks = ["munmap", "extra-reference"]
    refused.evidence["scenario"]["tricks"] = tricks
    refused.scenario = refused.scenario.model_copy(update={"tricks": tuple(tricks)})
    assert refused.state(Promise.LEDGER) is State.KEPT


@pytest.mark.parametrize("state", ["online", "going-offline"])
@pytest.mark.parametrize(
    ("promise", "snapshot"),
    [(Promise.REMOVAL, "removed"), (Promise.RECOVERY, "removed_again")],
)
def test_a_write_that_succeeded_on_a_block_that_stayed_is_unknown(
    migrated: Lie, promise: Promise, snapshot: str, state: str
) -> None:
    for path in (f"{MEMORY}/memory33/state", "/sys/devices/system/node/node1/memory33/state"):
        migrated.files(snapshot)[path] = f"{state}\n"
    assert migrated.state(promise) is State.UNKNOWN
    assert "memory33: the write says removed" in migrated.reason(promise)


def test_a_removal_that_still_looped_on_a_block_that_went_is_unknown(referenced: Lie) -> None:
    attempts = referenced.evidence["removals"]["held"]["attempts"]
    stays = next(one for one in attempts if one["sigterm_at"] is not None)
    block = stays["path"].split("/")[-2]
    for path in (f"{MEMORY}/{block}/state", f"/sys/devices/system/node/node1/{block}/state"):
        referenced.files("removed")[path] = "offline\n"
    assert referenced.state(Promise.REMOVAL) is State.UNKNOWN
