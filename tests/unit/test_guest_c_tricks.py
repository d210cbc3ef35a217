# SPDX-License-Identifier: GPL-2.0-only
"""pinholder's tricks on this host's own kernel: what each does to the memory, and who tells it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.unit.test_guest_c_fuzz import alone, await_pins, pins
from tests.unit.test_guest_c_pinholder import (
    PAGE_BYTES,
    Event,
    call,
    events,
    io_uring_answer,
    named,
    names,
    needs_pagemap,
    pinholder,
)

__all__ = ["alone", "pinholder"]  # the fixtures

BYTES = 4 << 20
PAGES = BYTES // PAGE_BYTES
WATCHED = ["--hold-budget", "30"]
UNSUPPORTED = 5

needs_io_uring = pytest.mark.skipif(
    io_uring_answer() != 0, reason=f"io_uring_setup: errno {io_uring_answer()}"
)
pytestmark = [needs_pagemap, needs_io_uring]


def tricks(found: list[Event]) -> list[tuple[str, str]]:
    return [(one["trick"], one["point"]) for one in found if one["event"] == "trick"]


@contextmanager
def holding(
    pinholder: Path, *arguments: str
) -> Iterator[tuple[subprocess.Popen[str], list[Event]]]:
    """A pinholder of 4 MiB that holds its pages, in a session of its own, and what it said."""
    with subprocess.Popen(
        [pinholder, "--size", str(BYTES), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        said: list[Event] = []
        assert process.stdout is not None
        while not said or said[-1]["event"] != "holding":
            said.append(json.loads(process.stdout.readline()))
            assert said[-1]["event"] != "error", said[-1]
        try:
            yield process, said
        finally:
            if process.poll() is None:
                process.kill()


def alive(session: int) -> list[int]:
    """The processes of a session that have not ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # it has ended since
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.mark.parametrize(
    ("kind", "trick", "pins_a_page"),
    [
        ("anonymous", "munmap", 1),
        ("anonymous", "madv-dontneed", 1),
        ("memfd", "ftruncate", 1),
        ("anonymous", "exec", 1),
        ("anonymous", "double-pin", 2),
        ("memfd", "two-processes", 2),
    ],
)
def test_the_kernel_counts_what_a_trick_leaves_pinned(
    pinholder: Path, kind: str, trick: str, pins_a_page: int
) -> None:
    before = pins()
    chosen = ["--hold", "io_uring", "--kind", kind, "--trick", trick]
    with holding(pinholder, *chosen) as (process, _):
        taken = pins() - before
        rest, _ = process.communicate("release\n", timeout=60)
    # Others may pin a page or two meanwhile, not a thousand.
    assert pins_a_page * PAGES <= taken < (pins_a_page + 0.5) * PAGES
    assert named(events(rest), "released")["held"] is True
    assert process.returncode == 0
    assert await_pins(before + PAGES // 2) <= before + PAGES // 2


@pytest.mark.parametrize("trick", ["munmap", "madv-dontneed", "ftruncate", "exec"])
def test_contents_that_are_gone_are_not_verified(pinholder: Path, trick: str) -> None:
    status, out, _ = call(
        pinholder, "--hold", "vmsplice", "--kind", "memfd", "--size", "64K", "--trick", trick,
        orders="pages\nrelease\n",
    )  # fmt: skip
    found = events(out)
    assert status == 0
    assert tricks(found) == [(trick, "after-hold")]
    now = [event for event in found if event["event"] == "pages"][-1]
    assert (now["when"], now["runs"], now["unmapped_by"]) == ("now", None, trick)
    assert named(found, "verify")["ok"] is None
    assert named(found, "verify")["unmapped_by"] == trick


@pytest.mark.parametrize(("trick", "by"), [("exit", "exit"), ("sigkill", "SIGKILL")])
def test_who_watches_tells_that_the_holder_has_ended(pinholder: Path, trick: str, by: str) -> None:
    status, out, err = call(
        pinholder, "--hold", "io_uring", "--size", "64K", "--trick", trick, *WATCHED
    )
    found = events(out)
    assert (status, err) == (0, "")
    assert tricks(found) == [(trick, "after-map"), (trick, "before-release")]
    assert names(found)[-3:] == ["trick", "verify", "released"]
    assert named(found, "verify")["ok"] is True
    released = named(found, "released")
    assert (released["held"], released["by"]) == (True, by)
    assert 0 < released["seconds"] < 30

    status, out, err = call(pinholder, "--hold", "io_uring", "--size", "64K", "--trick", trick)
    assert status == 3
    assert "use --hold-budget" in err


@pytest.mark.parametrize(
    ("way", "errno_name"), [("io_uring", "ENOMEM"), ("af_xdp", "ENOBUFS"), ("vmsplice", None)]
)
def test_the_limit_of_locked_memory_refuses_who_accounts(
    pinholder: Path, way: str, errno_name: str | None
) -> None:
    status, out, _ = call(pinholder, "--hold", way, "--size", "1M", "--trick", "memlock-limit")
    found = events(out)
    if status == UNSUPPORTED:
        pytest.skip(named(found, "unsupported")["message"])
    assert named(found, "hold")["errno_name"] == errno_name
    assert status == (1 if errno_name else 0)
    if errno_name:
        assert named(found, "usable")["ok"] is True


@pytest.mark.parametrize("trick", ["ftruncate", "two-processes"])
def test_private_memory_is_no_file_of_anybodys(pinholder: Path, trick: str) -> None:
    status, out, _ = call(pinholder, "--hold", "io_uring", "--size", "64K", "--trick", trick)
    said = named(events(out), "unsupported")
    assert (status, said["doing"], said["errno_name"]) == (UNSUPPORTED, trick, "EBADF")


@pytest.mark.parametrize("budget", [[], WATCHED], ids=["unbounded", "bounded"])
def test_an_offliner_takes_a_node_and_nobody_stays_behind(
    pinholder: Path, budget: list[str]
) -> None:
    with subprocess.Popen(
        [pinholder, "--hold", "io_uring", "--size", "64K", "--trick", "offline-meanwhile", *budget],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        out, err = process.communicate(timeout=60)
    found = events(out)
    assert process.returncode == 3
    assert tricks(found) == [
        ("offline-meanwhile", "before-setup"),
        ("offline-meanwhile", "before-attempt"),
    ]
    assert names(found).index("pages") < len(found) - 2, "where they were is told beforehand"
    assert "say which one with --node" in err
    _await_none(process.pid)


@pytest.mark.parametrize("watched", [[], WATCHED], ids=["unwatched", "watched"])
@pytest.mark.parametrize(
    ("kind", "trick"),
    [("anonymous", "double-pin"), ("memfd", "two-processes"), ("anonymous", "exec")],
)
def test_sigkill_lets_go_of_all_that_tricks_hold(
    pinholder: Path, kind: str, trick: str, watched: list[str]
) -> None:
    before = pins()
    chosen = ["--hold", "io_uring", "--kind", kind, "--trick", trick, *watched]
    with holding(pinholder, *chosen) as (process, _):
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=60)
    _await_none(process.pid)
    assert await_pins(before + PAGES // 2) <= before + PAGES // 2


def _await_none(session: int) -> None:
    deadline = time.monotonic() + 10
    while alive(session) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert alive(session) == []
