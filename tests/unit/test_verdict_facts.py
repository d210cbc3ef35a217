# SPDX-License-Identifier: GPL-2.0-only
"""Every fact of real evidence counts: gone, no promise that rests on it stays kept; changed, the
verdict changes. The evidence was captured from runs of the default plan under TCG."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.unit.fact_by_fact import changes, having, leaves, rests_on, told, value_at, without

from pinhole.plan import Promise, Scenario, check_plan
from pinhole.resources import shipped
from pinhole.scenario.facts import pointer
from pinhole.scenario.ruling import State
from pinhole.scenario.verdict import judge
from pinhole.scenario.vocabulary import vocabulary
from pinhole.yamlfile import YamlFile

CAPTURED = sorted((Path(__file__).parent / "captured" / "evidence").glob("*.json"))
CAPTURED_IO_URING = Path(__file__).parent / "captured/evidence/debian-6.12-io_uring-anonymous.json"

CONTEXT = (
    # Who, where and when: nothing that a promise could rest on.
    "/format",
    "/scenario",
    "/kernel",
    "/machine",
    "/started",
    "/phases",
    "/clock",
    "/end/phase",
    "/end/error",
    "/end/error_kind",
    "/end/status",
    "/target/dimm",
)
"""Facts that no verdict reads, by prefix: a new fact has to be read, or be named here."""
CONTEXT_NAMES = {
    "/guest": {"boottime", "release"},
    "/holder/events": {
        *("boottime", "pid", "version", "way", "kind", "tricks", "size_bytes", "hold_bytes"),
        *("node", "memlock_limit_bytes", "total_bytes", "free_bytes", "usable_bytes", "address"),
        *("bytes", "pages_by_node", "pages", "seconds", "began", "call", "errno", "errno_name"),
        *("flags", "mapcounts", "first_page"),
        *(
            "buffers",
            "pipes",
            "swapped",
            "hidden",
            "held",
            "by",
            "when",
            "taken_bytes",
            "unmapped_by",
            "trick",
            "point",
            "result",
        ),
        # what a trick did, and what the process was doing whose call never returned
        *("block", "nr_isolated", "nr_isolated_before", "locked_pfn", "locked_pages", "readers"),
        *("offliner_wchan", "offliner_stack", "offliner_errno", "offliner_errno_name"),
        *("grace_seconds", "task_state", "wchan", "stack", "signal"),
        *("wchan_after_sigkill", "stack_after_sigkill"),
    },
    "/holder": {"stderr", "exit_signal"},
    "/removals": {
        *("call", "errno", "errno_name", "signal", "began", "grace_seconds", "sigkill_at"),
        *("interrupted_by", "sampled_at", "task_state", "stack", "wchan", "state_during", "passes"),
        *("task_state_after_sigterm", "stack_after_sigterm", "wchan_after_sigterm"),
        *("passes_source", "sigterm_at"),
    },
    "/unplug": {"said", "seconds", "budget_seconds", "ost"},
    "/qmp/events": {"host_monotonic", "qemu_time", "data"},
    "/snapshots": {"boottime", "errors"},
}
"""The same by the field's name, below a prefix."""
CONTEXT_FILES = ("/proc/vmstat", "auto_online_blocks", "/meminfo", "/phys_index", "/valid_zones")
"""Files of a snapshot that are kept for people and for later judges."""


def read(path: Path) -> tuple[Scenario, dict[str, Any]]:
    evidence = json.loads(path.read_text())
    return Scenario.model_validate(evidence["scenario"]), evidence


@pytest.fixture(params=CAPTURED, ids=lambda path: path.stem)
def case(request: pytest.FixtureRequest) -> tuple[Scenario, dict[str, Any]]:
    return read(request.param)


def test_there_is_evidence_of_every_scenario_of_the_default_plan() -> None:
    default = check_plan(YamlFile.read(shipped("plans") / "default.yaml"), vocabulary())
    assert {path.stem for path in CAPTURED} >= {
        f"debian-{kernel}-{scenario.name}"
        for kernel in ("5.10", "6.12")
        for scenario in default.scenarios
    }


def test_a_fact_that_is_gone_leaves_no_promise_kept_that_rests_on_it(
    case: tuple[Scenario, dict[str, Any]],
) -> None:
    scenario, evidence = case
    whole = judge(scenario, evidence)
    checked = 0
    for path in leaves(evidence):
        resting = [one.promise for one in whole.judgements if rests_on(one, path)]
        if not resting:
            continue
        verdict = judge(scenario, without(evidence, path))
        for promise in resting:
            checked += 1
            assert verdict.of(promise).state is not State.KEPT, f"{promise}: {pointer(path)}"
    assert checked > 200


def test_a_fact_that_is_changed_changes_the_verdict(
    case: tuple[Scenario, dict[str, Any]],
) -> None:
    scenario, evidence = case
    key = evidence["kernel"]["key"]
    whole = judge(scenario, evidence, key)
    for path in leaves(evidence):
        if not any(rests_on(one, path) for one in whole.judgements):
            continue
        others = changes(value_at(evidence, path))
        assert any(
            told(judge(scenario, having(evidence, path, other), key)) != told(whole)
            for other in others
        ), pointer(path)


def test_what_no_promise_rests_on_is_named_as_context(
    case: tuple[Scenario, dict[str, Any]],
) -> None:
    scenario, evidence = case
    whole = judge(scenario, evidence)
    unread = [
        pointer(path)
        for path in leaves(evidence)
        if not any(rests_on(one, path) for one in whole.judgements) and not _is_context(path)
    ]
    assert unread == []


def _judged(scenario: Scenario, evidence: dict[str, Any], promise: Promise) -> State:
    return judge(scenario, evidence).of(promise).state


HELD_NODE1 = ("snapshots", "held", "files", "/sys/devices/system/node/node1/vmstat")
HELD_NODE0 = ("snapshots", "held", "files", "/sys/devices/system/node/node0/vmstat")
PLUGGED_ZONES = ("snapshots", "plugged", "files", "/proc/zoneinfo")
HELD_ZONES = ("snapshots", "held", "files", "/proc/zoneinfo")
AFTER_ZONES = ("snapshots", "unplugged", "files", "/proc/zoneinfo")
AFTER_MEMORY = ("snapshots", "unplugged", "files", "/proc/meminfo")
AGAIN_NODE1 = ("snapshots", "removed_again", "files", "/sys/devices/system/node/node1/vmstat")

LINES = [
    (Promise.PLACEMENT, HELD_NODE0, r"nr_foll_pin_acquired (\d+)"),
    (Promise.PLACEMENT, HELD_NODE1, r"nr_foll_pin_released (\d+)"),
    (Promise.PLACEMENT, PLUGGED_ZONES, r"(?s)Node 1, zone  Movable.*?start_pfn: +(\d+)"),
    (Promise.PLACEMENT, HELD_ZONES, r"(?s)Node 0, zone    DMA32.*?start_pfn: +(\d+)"),
    (Promise.LEDGER, AGAIN_NODE1, r"nr_foll_pin_acquired (\d+)"),
    (Promise.LEDGER, AFTER_MEMORY, r"MemTotal: +(\d+)"),
    (Promise.LEDGER, AFTER_ZONES, r"(?s)Node 0, zone    DMA32.*?present +(\d+)"),
    (Promise.LEDGER, AFTER_ZONES, r"(?s)Node 0, zone    DMA32.*?managed +(\d+)"),
]


@pytest.mark.parametrize(("promise", "path", "pattern"), LINES, ids=lambda value: str(value)[-40:])
def test_a_line_of_raw_text_counts(promise: Promise, path: Any, pattern: str) -> None:
    """Inside raw text too: the line gone is unknown, its number changed is never kept."""
    scenario, evidence = read(CAPTURED_IO_URING)
    assert _judged(scenario, evidence, promise) is State.KEPT
    text = value_at(evidence, path)
    found = re.search(pattern, text)
    assert found is not None
    begin = text.rfind("\n", 0, found.end()) + 1
    end = text.find("\n", found.end()) + 1
    gone = having(evidence, path, text[:begin] + text[end:])
    assert _judged(scenario, gone, promise) is State.UNKNOWN
    other = str(int(found[1]) + (1 << 18 if "start_pfn" in pattern else 1))
    changed = having(evidence, path, text[: found.start(1)] + other + text[found.end(1) :])
    assert _judged(scenario, changed, promise) is not State.KEPT


def test_every_record_of_the_log_counts(case: tuple[Scenario, dict[str, Any]]) -> None:
    scenario, evidence = case
    path = ("kmsg", "records")
    records = re.split(r"(?m)^(?=\d)", evidence["kmsg"]["records"])[1:]
    # A guest that had played others before shows the scenario's own records alone.
    shared = " after " in evidence["kmsg"]["begin_mark"]
    assert len(records) > (20 if shared else 300)
    for number in {0, 1, len(records) // 3, len(records) // 2, len(records) - 2, len(records) - 1}:
        cut = "".join(records[:number] + records[number + 1 :])
        assert _judged(scenario, having(evidence, path, cut), Promise.HEALTH) is State.UNKNOWN


def test_an_oops_of_the_kernel_breaks_health_and_one_of_a_process_does_not(
    case: tuple[Scenario, dict[str, Any]],
) -> None:
    scenario, evidence = case
    path = ("kmsg", "records")
    records = re.split(r"(?m)^(?=\d)", evidence["kmsg"]["records"])[1:]
    number = len(records) // 2
    stamp = records[number].split(";")[0].split(",")[1:]
    for priority, state in (("1", State.BROKEN), ("9", State.KEPT)):
        line = f"{priority},{','.join(stamp)};BUG: unable to handle page fault for address: ffff8\n"
        changed = having(evidence, path, "".join([*records[:number], line, *records[number + 1 :]]))
        assert _judged(scenario, changed, Promise.HEALTH) is state


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("GUEST_PANICKED", {"action": "pause"}),
        ("SHUTDOWN", {"guest": True, "reason": "guest-reset"}),
        ("RESET", {"guest": True, "reason": "guest-reset"}),
    ],
)
def test_qemus_word_of_a_panic_breaks_health(
    case: tuple[Scenario, dict[str, Any]], name: str, data: dict[str, Any]
) -> None:
    scenario, evidence = case
    event = {**evidence["qmp"]["events"][1], "name": name, "data": data}
    changed = having(evidence, ("qmp", "events", 1), event)
    assert _judged(scenario, changed, Promise.HEALTH) is State.BROKEN


def _is_context(path: tuple[str | int, ...]) -> bool:
    text = pointer(path)
    if text.startswith(CONTEXT):
        return True
    if path[0] == "snapshots" and len(path) == 4 and path[2] == "files":
        return True
    return any(
        text.startswith(prefix) and any(part in names for part in path)
        for prefix, names in CONTEXT_NAMES.items()
    )


def test_a_verdict_tells_the_holds_time_and_both_rounds(
    case: tuple[Scenario, dict[str, Any]],
) -> None:
    scenario, evidence = case
    verdict = judge(scenario, evidence)
    ends = ("hold", "unanswered")
    (hold,) = [one for one in evidence["holder"]["events"] if one["event"] in ends]
    assert verdict.hold_seconds == hold["seconds"]
    for blocks, name in ((verdict.blocks, "held"), (verdict.blocks_after_release, "released")):
        assert blocks is not None
        tried = evidence["removals"][name]["attempts"]
        assert [one.seconds for one in blocks] == [one["seconds"] for one in tried]
    gone = judge(scenario, without(evidence, ("removals", "released")))
    assert (gone.blocks_after_release, gone.blocks) == (None, verdict.blocks)
