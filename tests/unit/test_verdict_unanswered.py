# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts on a call that never returned: what shows that it spun, was killed, left nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pinhole.plan import Promise, Scenario
from pinhole.scenario.ruling import State
from pinhole.scenario.verdict import Judgement, Verdict, judge

CAPTURED = Path(__file__).parent / "captured"
NODE0 = "/sys/devices/system/node/node0/vmstat"


class Killed:
    """A copy of captured evidence of a pin that spun until it was killed."""

    def __init__(self) -> None:
        path = CAPTURED / "evidence" / "debian-6.12-io_uring-isolated.json"
        self.evidence: dict[str, Any] = json.loads(path.read_text())
        self.scenario = Scenario.model_validate(self.evidence["scenario"])

    @property
    def events(self) -> list[dict[str, Any]]:
        return self.evidence["holder"]["events"]  # type: ignore[no-any-return]

    @property
    def call(self) -> dict[str, Any]:
        return self.event("unanswered")

    @property
    def verdict(self) -> Verdict:
        return judge(self.scenario, self.evidence)

    @property
    def refusal(self) -> Judgement:
        return self.verdict.of(Promise.CLEAN_REFUSAL)

    def event(self, name: str, **having: str) -> dict[str, Any]:
        wanted = {"event": name, **having}
        return next(one for one in self.events if wanted.items() <= one.items())

    def put_events(self, events: list[dict[str, Any]]) -> None:
        self.evidence["holder"]["events"] = [
            {**one, "index": index} for index, one in enumerate(events)
        ]
        self.evidence["holder"]["events_count"] = len(events)


@pytest.fixture
def killed() -> Killed:
    return Killed()


def test_a_pin_that_spins_until_it_is_killed(killed: Killed) -> None:
    verdict = killed.verdict
    budget = killed.call["budget_seconds"]
    assert str(verdict.pin) == f"spinning-killable({budget:g} s)"
    assert verdict.hold_seconds == killed.call["seconds"]
    assert verdict.of(Promise.PLACEMENT).state is State.NOT_APPLICABLE
    assert killed.refusal.state is State.KEPT
    assert f"never returned: spinning-killable({budget:g} s)" in killed.refusal.reason
    for promise in (Promise.REMOVAL, Promise.RECOVERY, Promise.LEDGER, Promise.HEALTH):
        assert verdict.of(promise).state is State.KEPT


def test_pins_that_a_killed_call_left_break_clean_refusal(killed: Killed) -> None:
    files = killed.evidence["snapshots"]["held"]["files"]
    files[NODE0] = re.sub(
        r"nr_foll_pin_acquired (\d+)",
        lambda found: f"nr_foll_pin_acquired {int(found[1]) + 5}",
        files[NODE0],
    )
    assert killed.refusal.state is State.BROKEN
    assert "5 of its pins are still held" in killed.refusal.reason


@pytest.mark.parametrize(
    "changed",
    [
        {"sigkill_at": 1.0},  # before the budget had ended
        {"seconds": 1.0},  # gone before it was killed
        {"signal": 11},
        {"signal": None},
        {"sigkill_at": None},  # not we: and no word of the OOM killer in the log
        {"cpu_seconds": 0.0},  # it slept
        {"cpu_seconds": 3600.0},  # more than there was time for
        {"sampled_at": 3600.0},
        {"sampled_at": None},
        {"ended": None},
        {"ended": False},  # given up before the grace had ended
        {"budget_seconds": None},
    ],
    ids=str,
)
def test_a_call_that_contradicts_itself_is_unknown(
    killed: Killed, changed: dict[str, object]
) -> None:
    killed.call.update(changed)
    assert killed.verdict.pin is None
    assert killed.verdict.of(Promise.PLACEMENT).state is State.UNKNOWN
    assert killed.refusal.state is State.UNKNOWN


def test_a_call_that_sleeps_is_not_said_to_spin(killed: Killed) -> None:
    killed.call["cpu_seconds"] = killed.call["cpu_seconds_sampled"]
    assert killed.verdict.pin is None
    assert "it slept" in killed.refusal.reason


def test_a_call_that_not_even_sigkill_ends_breaks_clean_refusal(killed: Killed) -> None:
    grace, killed_at = killed.call["grace_seconds"], killed.call["sigkill_at"]
    killed.call.update(ended=False, signal=None, seconds=killed_at + grace)
    assert killed.verdict.pin is not None
    assert killed.verdict.pin.name == "spinning-unkillable"
    assert killed.refusal.state is State.BROKEN


@pytest.mark.parametrize("release", ["5.10", "6.12"])
def test_the_oom_killer_is_known_by_the_kernels_word_alone(killed: Killed, release: str) -> None:
    lines = (CAPTURED / release / "oom.kmsg").read_text().splitlines()
    (line,) = [line for line in lines if "Killed process" in line]
    pid = killed.call["pid"]
    text = re.sub(r"Killed process \d+", f"Killed process {pid}", line.split(";", 1)[1])
    killed.call.update(sigkill_at=None, seconds=0.5)
    records = killed.evidence["kmsg"]["records"].splitlines(keepends=True)
    at = next(number for number, record in enumerate(records) if " offline memory" in record)
    stamp = records[at].split(";")[0].split(",", 1)[1]
    for priority, said in (("3", "oom-killed"), ("11", None)):  # the kernel, a process
        changed = [*records[:at], f"{priority},{stamp};{text}\n", *records[at:]]
        killed.evidence["kmsg"]["records"] = "".join(changed)
        pin = killed.verdict.pin
        assert (pin.name if pin else None) == said
    killed.call["pid"] = pid + 1  # another process
    killed.evidence["kmsg"]["records"] = "".join([*records[:at], f"3,{stamp};{text}\n"])
    assert killed.verdict.pin is None


def test_a_call_that_both_returned_and_did_not_is_unknown(killed: Killed) -> None:
    hold = {"event": "hold", "boottime": 1.0, "result": 0, "errno_name": None, "pages": 4096}
    killed.put_events([*killed.events, hold])
    verdict = killed.verdict
    assert (verdict.pin, verdict.blocks) == (None, None)
    for promise in (Promise.PLACEMENT, Promise.CLEAN_REFUSAL, Promise.REMOVAL, Promise.RECOVERY):
        assert verdict.of(promise).state is State.UNKNOWN


@pytest.mark.parametrize("name", ["unanswered", "killed"])
def test_half_of_the_end_is_no_end(killed: Killed, name: str) -> None:
    killed.put_events([one for one in killed.events if one["event"] != name])
    assert killed.verdict.pin is None
    assert State.KEPT not in {killed.refusal.state, killed.verdict.of(Promise.REMOVAL).state}


@pytest.mark.parametrize("status", [0, 1, None])
def test_another_exit_status_leaves_recovery_unknown(killed: Killed, status: int | None) -> None:
    killed.evidence["holder"]["exit_status"] = status
    assert killed.verdict.of(Promise.RECOVERY).state is State.UNKNOWN


def test_memory_that_went_with_its_process_cannot_have_been_read(killed: Killed) -> None:
    killed.event("verify").update(ok=True, bad_pages=0)
    assert killed.verdict.of(Promise.LEDGER).state is State.UNKNOWN


@pytest.mark.parametrize("gone", [True, False], ids=["never undone", "undone in vain"])
def test_a_trick_that_still_acts_leaves_removal_unknown(killed: Killed, gone: bool) -> None:
    """Its own offliner would be taken for what the hold does to removal."""
    undone = killed.event("trick", point="after-attempt")
    if gone:
        killed.put_events([one for one in killed.events if one is not undone])
    else:
        undone["result"] = -1
    assert killed.verdict.of(Promise.REMOVAL).state is State.UNKNOWN
    assert killed.verdict.blocks is None


def test_lines_of_the_tricks_own_offliner_show_no_hole() -> None:
    path = CAPTURED / "evidence" / "debian-5.10-io_uring-isolated.json"
    evidence = json.loads(path.read_text())
    scenario = Scenario.model_validate(evidence["scenario"])
    log = evidence["kmsg"]["records"]
    assert log.index("migrating pfn") < log.index("offline memory32")
    after = log[log.index("offline memory32") :]
    (line,) = judge(scenario, evidence).of(Promise.REMOVAL).lines
    assert line in after
    cut = log[: log.index("offline memory32")] + after.replace("migrating pfn", "moving pfn")
    evidence["kmsg"]["records"] = cut.replace("failed to isolate", "failed to move")
    assert not any(
        "migrating pfn" in one for one in judge(scenario, evidence).of(Promise.REMOVAL).lines
    )
