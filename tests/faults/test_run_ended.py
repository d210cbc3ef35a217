# SPDX-License-Identifier: GPL-2.0-only
"""``pinhole run`` ended by a signal, or its QEMU killed, in each phase of a scenario."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from typing import Any

import pytest
from tests.faults.run_command import MEDDLE, ONE_SCENARIO, PHASES, Ended, Place

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -signal.SIGKILL}
SNAPSHOT_OF = {
    "bare": "bare",
    "plug": "plugged",
    "hold": None,
    "remove": "removed",
    "release": "released",
    "remove again": "removed_again",
    "unplug": "unplugged",
    "collect": None,
}
PROMPT_SECONDS = 10.0
"""From the signal to the end; it takes 0.2 to 0.6 s on an idle host."""

# Each phase by one signal, and each signal in three phases; the rest of the matrix is long.
MATRIX = [
    pytest.param(
        phase, number, id=f"{number.name}-{phase}", marks=() if chosen else pytest.mark.full
    )
    for row, phase in enumerate(PHASES)
    for column, number in enumerate(SIGNALS)
    for chosen in [(row + 2) % 3 == column]
]


def before(phase: str) -> list[str]:
    """The phases that leave evidence and were over when ``phase`` began."""
    names = list(PHASES)
    return names[1 : names.index(phase)]


def assert_evidence_up_to(phase: str, evidence: dict[str, Any]) -> None:
    done = before(phase)
    assert [one["name"] for one in evidence["phases"]] == done
    snapshots = {SNAPSHOT_OF[name] for name in done} - {None}
    assert snapshots <= set(evidence["snapshots"])
    assert (evidence["holder"] is not None) >= ("hold" in done)
    assert ("held" in evidence["removals"]) >= ("remove" in done)
    assert ("released" in evidence["removals"]) >= ("remove again" in done)


def interrupted(place: Place, phase: str, numbers: Sequence[signal.Signals]) -> Ended:
    with place.start_run(*ONE_SCENARIO) as running:
        running.await_line(PHASES[phase])
        for number in numbers:
            running.signal(number)
        ended = running.end(60)
    # Its machine goes with it: what judge and the next run find is the whole of it.
    place.assert_nothing_is_left()
    return ended


@pytest.mark.parametrize(("phase", "number"), MATRIX)
def test_signal_ends_the_machine_and_leaves_a_run_that_can_be_judged(
    place: Place, phase: str, number: signal.Signals
) -> None:
    ended = interrupted(place, phase, [number])
    assert ended.status == STATUS[number]
    assert ended.seconds < PROMPT_SECONDS
    assert ended.stdout == ""
    if number is not signal.SIGKILL:
        assert ended.last_word == f"pinhole: ended by {number.name}"
        assert f"0 of 1 scenario runs finished; to see them: pinhole judge {place.runs}" in (
            ended.stderr
        )
        assert "Traceback" not in ended.stderr
        assert "Warning" not in ended.stderr
    judged = place.judge()
    assert judged.status == 3
    (record,) = place.records()
    assert (record["status"], record["verdict"]) == ("MISS", None)
    evidence = place.evidence()
    assert_evidence_up_to(phase, evidence)
    if number is signal.SIGKILL:
        done = before(phase)
        where = f"after the phase {done[-1]!r}" if done else "during boot"
        assert record["reason"] == f"pinhole was killed {where}, or is still at it"
        assert evidence["end"] is None
    else:
        assert record["reason"] == f"{phase}: pinhole was interrupted"
        assert (evidence["end"]["phase"], evidence["end"]["completed"]) == (phase, False)


def test_impatient_user(place: Place) -> None:
    """A second Ctrl-C during the cleaning up of the first leaves nothing either."""
    ended = interrupted(place, "hold", [signal.SIGINT] * 3)
    assert ended.status == 130
    assert ended.seconds < PROMPT_SECONDS


def test_run_after_a_killed_one_is_whole(place: Place) -> None:
    """With the same cache and --runs; and what nohup(1) asks for is heeded."""
    interrupted(place, "remove", [signal.SIGKILL])
    killed = place.newest_run()
    before_it = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        running = place.start_run(*ONE_SCENARIO)
    finally:
        signal.signal(signal.SIGHUP, before_it)
    with running:
        running.await_line(PHASES["hold"])
        running.signal(signal.SIGHUP)
        ended = running.end(120)
    assert ended.status == 0, ended.stderr
    assert "1 as expected" in ended.stdout
    assert place.newest_run() != killed
    assert [record["status"] for record in place.records()] == ["PASS"]
    assert place.judge(killed).status == 3


@pytest.mark.parametrize(
    "phases",
    [("boot", "hold", "remove", "unplug"), pytest.param(tuple(PHASES), marks=pytest.mark.full)],
)
def test_qemu_killed_in_a_phase_is_a_miss_and_the_next_scenario_is_unaffected(
    place: Place, phases: tuple[str, ...]
) -> None:
    with place.start_run(*ONE_SCENARIO, "--repeat", str(len(phases) + 1)) as running:
        for phase in phases:
            running.await_line(PHASES[phase])
            os.kill(place.qemu(), signal.SIGKILL)
        ended = running.end(300)
    assert ended.status == 3
    *missed, last = sorted(place.records(), key=lambda record: record["repetition"])
    assert last["status"] == "PASS"
    assert len(missed) == len(phases)
    for phase, record in zip(phases, missed, strict=True):
        assert (record["status"], record["verdict"]) == ("MISS", None)
        assert record["reason"].startswith(f"{phase}: QEMU was ended by SIGKILL and said nothing")
        evidence = place.evidence(record["repetition"])
        assert_evidence_up_to(phase, evidence)
        assert evidence["end"]["error_kind"] == "QemuDiedError"
        if phase != "boot":
            assert evidence["qmp"]["events"]


def test_guest_that_powers_off_is_a_miss(place: Place) -> None:
    program = (*MEDDLE, PHASES["remove"], "(sleep 0.3; kill -TERM 1) > /dev/null 2>&1 &")
    ended = place.run(*ONE_SCENARIO, program=program)
    assert ended.status == 3
    (record,) = place.records()
    assert record["status"] == "MISS"
    assert record["reason"].startswith("remove: the guest shut itself down (QEMU said SHUTDOWN")
