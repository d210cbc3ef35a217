# SPDX-License-Identifier: GPL-2.0-only
"""Holds that last because somebody does not answer or read, on this host's own kernel.

Each is held, looked at from outside, and let go or killed; then nothing of it may be left.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.unit.test_guest_c_pinholder import PAGE_BYTES, Event, named, pinholder

__all__ = ["pinholder"]  # the fixture

CORE_PATTERN = Path("/proc/sys/kernel/core_pattern")
EXIT_UNSUPPORTED = 5
WAYS = {
    "coredump": ("--size", "1M"),
    "direct_fuse": ("--size", "1M"),
    "fuse_locked": ("--size", "1M", "--kind", "own", "--node", "0"),
    "fuse_writeback": ("--size", "512K", "--kind", "own", "--node", "0"),
    "zsmalloc": ("--size", "512K", "--kind", "own", "--node", "0"),
}


@contextmanager
def holding(pinholder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], Event]]:
    """A pinholder that holds, and its ``hold`` event; skipped where the host cannot do it."""
    process = subprocess.Popen(
        [pinholder, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    found: list[Event] = []
    try:
        for line in process.stdout:
            found.append(json.loads(line))
            if found[-1]["event"] in ("unsupported", "error"):
                reason = f"{found[-1]['message']}"
                if process.wait(30) == EXIT_UNSUPPORTED or "Operation not permitted" in reason:
                    pytest.skip(reason)
                pytest.fail(reason)
            if found[-1]["event"] == "refused":
                errno_name = named(found, "hold")["errno_name"]
                if "zsmalloc" in arguments and errno_name in ("EBUSY", "EBADMSG"):
                    pytest.skip("on a busy host zsmalloc's pages cannot be told from others")
                pytest.fail(f"refused: {errno_name}")
            if found[-1]["event"] == "holding":
                break
        yield process, named(found, "hold")
    finally:
        process.kill()
        process.communicate(timeout=30)


def children(pid: int) -> set[int]:
    """Those of a process, now."""
    return {
        int(child)
        for path in Path(f"/proc/{pid}/task").glob("*/children")
        for child in path.read_text().split()
    }


def come_true(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def left_behind(before: set[str], helpers: set[int]) -> list[str]:
    """What a holder left: its helpers, mounts in /tmp, a core_pattern."""
    left = [f"process {pid}" for pid in helpers if Path(f"/proc/{pid}").exists()]
    left += [line for line in Path("/proc/self/mounts").read_text().splitlines() if "fuse" in line]
    left += [path.name for path in Path("/sys/block").glob("zram*")]
    left += ["core_pattern"] if "pinholder" in CORE_PATTERN.read_text() else []
    return sorted(set(left) - before)


@pytest.mark.parametrize("way", WAYS)
def test_all_is_let_go_when_told(pinholder: Path, way: str) -> None:
    before = set(left_behind(set(), set()))
    with holding(pinholder, "--hold", way, *WAYS[way]) as (process, hold):
        assert (hold["result"], hold["errno"]) == (0, 0)
        # zsmalloc's can be moved, and so are not held.
        assert (hold["pages"] > 0) == (way != "zsmalloc")
        helpers = children(process.pid)
        assert helpers
        out, _ = process.communicate("release\n", timeout=30)
        found = [json.loads(line) for line in out.splitlines()]
        assert named(found, "verify")["ok"] is not False
        assert named(found, "released")["held"] is True
        assert process.returncode == 0
    assert left_behind(before, helpers) == []


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_left_of_a_killed_holder(pinholder: Path, way: str) -> None:
    before = set(left_behind(set(), set()))
    with holding(pinholder, "--hold", way, *WAYS[way]) as (process, _):
        helpers = children(process.pid)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    assert come_true(lambda: left_behind(before, helpers) == []), left_behind(before, helpers)


def test_the_page_of_a_core_is_the_one_that_the_full_pipe_has_not(pinholder: Path) -> None:
    with holding(pinholder, "--hold", "coredump", "--size", "1M") as (_, hold):
        # Headers and notes are a few pages, one of them not full; 16 are in the pipe.
        assert hold["pages"] == 1
        assert 0 < hold["first_page"] < 16
        assert hold["core_bytes"] > 0


def test_a_core_that_the_pipe_would_take_is_refused(pinholder: Path) -> None:
    done = subprocess.run(
        [pinholder, "--hold", "coredump", "--size", str(16 * PAGE_BYTES)],
        check=False,
        input="",
        capture_output=True,
        text=True,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode == EXIT_UNSUPPORTED:
        pytest.skip(named(found, "unsupported")["message"])
    assert done.returncode == 3
    assert f"hold {32 * PAGE_BYTES} bytes or more" in named(found, "error")["message"]
