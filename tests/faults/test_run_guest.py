# SPDX-License-Identifier: GPL-2.0-only
"""``pinhole run`` with guests that panic, that only say so, that stay silent, or that flood."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from tests.faults.run_command import MEDDLE, ONE_SCENARIO, PHASES, Place

from pinhole.health.kmsg import parse_kmsg
from pinhole.size import MIB

TESTS = Path(__file__).parents[1]
OOPS = TESTS / "unit" / "captured" / "6.12" / "null-dereference.kmsg"
PANIC = TESTS / "faults" / "captured" / "panic-6.12.console"
"""The end of a console after unknown_nmi_panic, as it came."""


def states(record: dict[str, object]) -> dict[str, str]:
    """The states of a record's promises by name."""
    verdict = record["verdict"]
    assert isinstance(verdict, dict)
    return {one["promise"]: one["state"] for one in verdict["judgements"]}


def unfolded(table: str) -> str:
    """The text of a table's only column of values, in one line."""
    rows = [line.split("│")[2].strip() for line in table.splitlines() if line.count("│") == 3]
    return " ".join(rows)


# -- panics


def test_kernel_that_panics_at_boot_is_a_miss_that_names_the_panic(place: Place) -> None:
    ended = place.run(*ONE_SCENARIO, "--append", "rdinit=/none", "--append", "init=/none")
    assert ended.status == 3
    (record,) = place.records()
    assert (record["status"], record["verdict"]) == ("MISS", None)
    assert record["reason"].startswith("boot: the guest panicked (QEMU said ")
    assert (
        "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block"
        in (record["reason"])
    )
    # The table names the log whole, for copying; it may be folded.
    console = str(place.job_folder() / "console.log")
    assert console.replace(" ", "") in unfolded(ended.stdout).replace(" ", "")


def test_panic_in_a_scenario_is_a_broken_promise_and_keeps_the_evidence(place: Place) -> None:
    script = "(sleep 0.3; echo c > /proc/sysrq-trigger) > /dev/null 2>&1 &"
    ended = place.run(*ONE_SCENARIO, program=(*MEDDLE, PHASES["remove"], script))
    assert ended.status == 1
    assert "Kernel panic - not syncing: sysrq triggered crash" in unfolded(ended.stdout)
    (record,) = place.records()
    assert record["status"] == "FAIL"
    assert record["reason"].startswith("remove: the guest panicked (QEMU said ")
    found = states(record)
    assert found.pop("health") == "broken"
    assert set(found.values()) <= {"unknown", "kept", "not-applicable"}
    assert {found["removal"], found["recovery"], found["ledger"]} == {"unknown"}
    evidence = place.evidence()
    assert set(evidence["snapshots"]) == {"bare", "plugged", "held"}
    assert evidence["holder"]["events"][-1]["event"] == "holding"
    assert evidence["end"]["phase"] == "remove"
    assert "sysrq triggered crash" in (place.job_folder() / "console.log").read_text()


def test_panic_that_was_not_printed_when_qemu_told_of_it_is_named(place: Place) -> None:
    path = place.folder / "qmp.sock"
    monitor = ("--qemu-arg=-qmp", f"--qemu-arg=unix:{path},server=on,wait=off")
    with place.start_run(*ONE_SCENARIO, *monitor, "--append", "unknown_nmi_panic") as running:
        running.await_line(PHASES["hold"])
        with socket.socket(socket.AF_UNIX) as port:
            port.connect(str(path))
            with port.makefile("rw") as qmp:
                for command in ("qmp_capabilities", "inject-nmi"):
                    qmp.write(json.dumps({"execute": command}) + "\n")
                    qmp.flush()
                    while "return" not in json.loads(qmp.readline()):
                        pass
        ended = running.end(60)
    assert ended.status == 1
    (record,) = place.records()
    assert record["status"] == "FAIL"
    assert "Kernel panic - not syncing: NMI: Not continuing" in record["reason"]
    assert states(record)["health"] == "broken"


def test_oops_and_panic_that_are_only_printed_break_nothing(place: Place) -> None:
    """To the console, to its terminal, and to the kernel's log, as any root process can."""
    records = parse_kmsg(OOPS.read_text())
    text = "".join(f"[   {one.usec / 1e6:.6f}] {one.text}\n" for one in records)
    text += PANIC.read_text()
    assert text.count("\n") > 80
    quoted = text.replace("'", "'\\''")
    script = f"""
        printf '%s' '{quoted}' > /dev/console
        printf '%s' '{quoted}' > /dev/ttyS0
        printf '%s' '{quoted}' | while IFS= read -r line; do
            echo "<0>${{line#*] }}" > /dev/kmsg
        done
    """
    ended = place.run(*ONE_SCENARIO, program=(*MEDDLE, PHASES["remove"], script))
    assert ended.status == 0, ended.stdout
    (record,) = place.records()
    assert record["status"] == "PASS"
    assert states(record)["health"] == "kept"
    evidence = place.evidence()
    assert "BUG: kernel NULL pointer dereference" in evidence["kmsg"]["records"]
    assert "Kernel panic - not syncing: NMI" in evidence["kmsg"]["records"]
    assert not [event for event in evidence["qmp"]["events"] if "PANIC" in event["name"]]
    log = (place.job_folder() / "console.log").read_text()
    assert log.count("Kernel panic - not syncing: NMI: Not continuing") >= 3


# -- guests that do not come up in time


def test_guest_that_never_says_ready(place: Place) -> None:
    quiet = ("--append", "rdinit=/bin/sleep", "--append", "--", "--append", "1000")
    ended = place.run(*ONE_SCENARIO, *quiet, "--patience", "0.1")
    assert ended.status == 3
    (record,) = place.records()
    assert record["status"] == "MISS"
    assert record["reason"].startswith(
        "boot: the guest did not say that it is ready within 12 s; the last stage it named: none; "
        "its last console line: "
    )
    assert record["reason"].endswith("or give it more time with --patience")


def test_scenario_that_takes_longer_than_its_timeout(place: Place) -> None:
    ended = place.run(*ONE_SCENARIO, "--timeout", "3")
    assert ended.status == 3
    assert ended.seconds < 30
    (record,) = place.records()
    assert record["status"] == "MISS"
    assert record["reason"].endswith("io_uring-anonymous took longer than --timeout 3 s")


# -- memory


def test_more_memory_than_the_node_holds(place: Place) -> None:
    plan = place.folder / "plan.yaml"
    plan.write_text(
        "version: 1\nkernels: [debian:6.12]\n"
        "scenarios: [{name: big, summary: twice the DIMM, hold: io_uring, size: 1G}]\n"
    )
    ended = place.run(plan)
    assert ended.status == 3
    (record,) = place.records()
    assert record["status"] == "ERROR"
    assert record["reason"].startswith(
        "hold: pinholder failed: memory: allocating 1073741824 bytes: Cannot allocate memory; "
        "node 1 has 536870912 of 536870912 bytes free, "
    )
    evidence = place.evidence()
    assert [event["event"] for event in evidence["holder"]["events"]] == [
        *("start", "available", "error"),
    ]
    events = [event["name"] for event in evidence["qmp"]["events"]]
    assert not {"GUEST_PANICKED", "SHUTDOWN", "RESET"} & set(events)
    console = (place.job_folder() / "console.log").read_text()
    assert "oom-kill" not in console
    assert "Out of memory" not in console


# -- output


@pytest.mark.parametrize("size", [2 * MIB, pytest.param(24 * MIB, marks=pytest.mark.full)])
def test_flood_of_the_console_with_bytes_that_are_no_text(place: Place, size: int) -> None:
    script = f"""
        printf '\\377\\376\\300\\200 no text \\033[2J\\n' | tee /dev/kmsg > /dev/ttyS0
        tr '\\0' '\\377' < /dev/zero | head -c {size} > /dev/ttyS0
        printf '\\nall of it\\n' > /dev/ttyS0
    """
    ended = place.run(
        *ONE_SCENARIO, "--patience", "20", program=(*MEDDLE, PHASES["remove"], script), within=580
    )
    assert ended.status == 0, ended.stdout
    (record,) = place.records()
    assert record["status"] == "PASS"
    log = (place.job_folder() / "console.log").read_bytes()
    assert log.count(b"\xff") >= size
    assert b"\xff\xfe\xc0\x80 no text \x1b[2J" in log
    assert b"all of it" in log
    assert "\\xff\\xfe\\xc0\\x80 no text \\x1b[2J" in place.evidence()["kmsg"]["records"]
    assert "\x1b[2J" not in ended.stdout + ended.stderr
