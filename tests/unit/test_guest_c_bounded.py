# SPDX-License-Identifier: GPL-2.0-only
"""pinholder --hold-budget, with ways to hold that never return, on this host's own kernel.

The ways are files and rows of their own beside those of ``guest/``: that is all a new one takes.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

GUEST = Path(__file__).resolve().parents[2] / "guest"

WAY = """
#include "pinholder/holding.h"
#include <signal.h>
#include <unistd.h>
static int setup(struct holding *h, struct failure *w) {{ (void)h; (void)w; return 0; }}
static int release(struct holding *h, struct failure *w) {{ (void)h; (void)w; return 0; }}
static void hold(struct holding *h, struct hold_result *r)
{{ (void)h; r->result = 0; r->pages = 0; {body} }}
const struct hold_path hold_{name} = {{ .name = "{name}", .summary = "-", .call = "{name}()",
    .setup = setup, .hold = hold, .release = release }};
"""
BODIES = {
    "spin": "for (volatile int i = 0;; i++) ;",
    "sleep": "for (;;) pause();",
    "stab": "raise(SIGKILL);",
    "quick": "",
}
TRICK = """
#include "pinholder/holding.h"
static int act(struct holding *h, struct failure *w) { (void)h; (void)w; return 0; }
const struct trick trick_witness = { .name = "witness", .summary = "-", .call = "act()",
    .at = { [BEFORE_SETUP] = act, [AFTER_ATTEMPT] = act, [AFTER_HOLD] = act } };
"""


@pytest.fixture(scope="module")
def pinholder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bounded")
    source = folder / "guest"
    shutil.copytree(GUEST, source)
    for name, body in BODIES.items():
        (source / "hold" / f"{name}.c").write_text(WAY.format(name=name, body=body))
    (source / "trick" / "witness.c").write_text(TRICK)
    tables = source / "pinholder" / "tables.c"
    text = tables.read_text()
    for table, row in [
        *(("hold_path", f"hold_{name}") for name in BODIES),
        ("trick", "trick_witness"),
    ]:
        start = next(
            line for line in text.splitlines() if line.startswith(f"const struct {table} *const ")
        )
        text = text.replace(start, f"extern const struct {table} {row};\n{start}\n\t&{row},", 1)
    tables.write_text(text)
    subprocess.run(
        ["make", "-s", "-j2", "-C", source, f"O={folder}", f"{folder}/pinholder"], check=True
    )
    return folder / "pinholder"


def run(pinholder: Path, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    done = subprocess.run(
        [pinholder, "--size", "64K", *arguments],
        check=False,
        input="pages\nrelease\n",
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def named(events: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = [event for event in events if event["event"] == name]
    return found


def test_a_call_that_spins_is_killed_after_its_budget(pinholder: Path) -> None:
    status, events = run(pinholder, "--hold", "spin", "--hold-budget", "0.6")
    assert status == 4
    names = [event["event"] for event in events]
    assert names[names.index("unanswered") :] == [
        *("unanswered", "killed", "pages", "verify", "released")
    ]
    assert "hold" not in names
    found = named(events, "unanswered")
    assert (found["way"], found["call"], found["budget_seconds"]) == ("spin", "spin()", 0.6)
    assert 0.3 <= found["sampled_at"] < 0.6 <= found["sigkill_at"] <= found["seconds"]
    assert found["cpu_seconds_sampled"] < found["cpu_seconds"]
    assert (found["ended"], found["signal"]) == (True, signal.SIGKILL)
    assert found["pid"] != named(events, "start")["pid"]
    verify = named(events, "verify")
    assert (verify["ok"], verify["unmapped_by"]) == (None, "kill")
    assert named(events, "released")["held"] is False
    assert [event["runs"] for event in events if event["event"] == "pages"][-1] is None


def test_a_call_that_sleeps_uses_no_cpu_until_it_is_killed(pinholder: Path) -> None:
    status, events = run(pinholder, "--hold", "sleep", "--hold-budget", "0.6")
    assert status == 4
    found = named(events, "unanswered")
    assert found["task_state"] == "S"
    assert found["cpu_seconds_sampled"] == found["cpu_seconds"]


def test_a_process_that_somebody_else_kills_is_told_apart(pinholder: Path) -> None:
    """As the OOM killer does: by SIGKILL too, but not by us."""
    status, events = run(pinholder, "--hold", "stab", "--hold-budget", "30")
    assert status == 4
    found = named(events, "unanswered")
    assert (found["sigkill_at"], found["cpu_seconds"]) == (None, None)
    assert (found["ended"], found["signal"]) == (True, signal.SIGKILL)
    assert found["seconds"] < 30


@pytest.mark.parametrize("budget", [[], ["--hold-budget", "30"]], ids=["unbounded", "bounded"])
def test_a_call_that_returns_holds_as_ever(pinholder: Path, budget: list[str]) -> None:
    status, events = run(pinholder, "--hold", "quick", *budget, "--trick", "witness")
    assert status == 0
    points = [event["point"] for event in events if event["event"] == "trick"]
    assert points == ["before-setup", "after-attempt", "after-hold"]
    assert named(events, "released")["held"] is True


def test_what_a_trick_undoes_after_the_attempt_it_undoes_for_a_killed_call(
    pinholder: Path,
) -> None:
    _, events = run(pinholder, "--hold", "spin", "--hold-budget", "0.2", "--trick", "witness")
    names = [event.get("point", event["event"]) for event in events]
    assert names.index("unanswered") < names.index("after-attempt") < names.index("killed")
    assert "after-hold" not in names


def test_without_a_budget_a_call_takes_as_long_as_it_likes(pinholder: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(
            [pinholder, "--size", "64K", "--hold", "spin"],
            check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=1.5,
        )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_who_ends_pinholder_ends_its_call(pinholder: Path, number: signal.Signals) -> None:
    """SIGTERM lets go as without a budget; SIGKILL takes the process that holds with it."""
    argv: list[str | Path] = [pinholder, "--size", "64K", "--hold", "quick"]
    argv += ["--hold-budget", "30"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if json.loads(line)["event"] == "holding":
                break
        children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        assert len(children) == 1
        child = int(children[0])
        run.send_signal(number)
        assert run.wait(timeout=20) == (0 if number == signal.SIGTERM else -number)
        deadline = time.monotonic() + 20
        while _lives(child) and time.monotonic() < deadline:
            time.sleep(0.01)
        lived_on = _lives(child)
        if lived_on:
            os.kill(child, signal.SIGKILL)  # it would keep our pipes open for good
        rest = [json.loads(line)["event"] for line in run.stdout.read().splitlines()]
    assert not lived_on
    assert ("released" in rest) == (number == signal.SIGTERM)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


@pytest.mark.parametrize("option", ["--hold-budget", "--hold-grace"])
@pytest.mark.parametrize("text", ["0", "-1", "soon", "1e9"])
def test_what_is_no_budget_is_a_mistake(pinholder: Path, option: str, text: str) -> None:
    done = subprocess.run(
        [pinholder, "--hold", "quick", f"{option}={text}"],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"{option} '{text}' is not a time in seconds" in done.stderr
