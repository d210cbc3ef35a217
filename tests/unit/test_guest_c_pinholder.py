# SPDX-License-Identifier: GPL-2.0-only
"""pinholder on this host's own kernel: its options, its events, the ways in which it lets go."""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import resource
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

GUEST = Path(__file__).resolve().parents[2] / "guest"
PAGE_BYTES = resource.getpagesize()
SYS_IO_URING_SETUP = 425

HELD = ["start", "available", "memory", "pages", "hold", "pages", "holding", "verify", "released"]

Event = dict[str, Any]


@pytest.fixture(scope="session")
def pinholder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.getbasetemp() / "guest-c"
    subprocess.run(["make", "-s", "-j2", "-C", GUEST, f"O={folder}"], check=True)
    return folder / "pinholder"


def call(pinholder: Path, *arguments: str, orders: str = "release\n") -> tuple[int, str, str]:
    done = subprocess.run(
        [pinholder, *arguments],
        check=False,
        input=orders,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


def events(stdout: str) -> list[Event]:
    return [json.loads(line) for line in stdout.splitlines()]


def names(found: list[Event]) -> list[str]:
    return [event["event"] for event in found]


def named(found: list[Event], name: str) -> Event:
    return next(event for event in found if event["event"] == name)


def pagemap_answer() -> str:
    """What this kernel tells about a page of ours: its ``pfn``, ``hidden``, or an errno's name."""
    with mmap.mmap(-1, PAGE_BYTES) as memory:
        memory[0] = 1
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        try:
            with Path("/proc/self/pagemap").open("rb", buffering=0) as pagemap:
                pagemap.seek(address // PAGE_BYTES * 8)
                entry = int.from_bytes(pagemap.read(8), "little")
        except OSError as error:
            return errno.errorcode[error.errno or 0]
        return "pfn" if entry & ((1 << 55) - 1) else "hidden"


def io_uring_answer() -> int:
    """0 if this kernel gives out a ring, else the errno."""
    libc = ctypes.CDLL(None, use_errno=True)
    ring = libc.syscall(SYS_IO_URING_SETUP, 1, ctypes.create_string_buffer(120))
    if ring < 0:
        return ctypes.get_errno()
    os.close(ring)
    return 0


def check_pages(event: Event, pages: int) -> None:
    """``event`` says where each of ``pages`` is, as far as the kernel tells it."""
    if pagemap_answer() == "hidden":
        assert event["runs"] is None
        assert event["hidden"] == pages
    else:
        assert sum(run[1] for run in event["runs"]) == pages
        assert all(run[0] for run in event["runs"])
    assert event["absent"] == 0


needs_pagemap = pytest.mark.skipif(
    pagemap_answer() not in ("pfn", "hidden"), reason=f"pagemap: {pagemap_answer()}"
)


def test_help_names_every_row_of_the_tables(pinholder: Path) -> None:
    status, listed, _ = call(pinholder, "--list")
    assert status == 0
    tables = json.loads(listed)
    assert {"io_uring", "vmsplice"} <= {row["name"] for row in tables["ways"]}
    assert [row["points"] for row in tables["tricks"] if row["name"] == "munmap"] == [
        ["after-hold"]
    ]
    status, text, _ = call(pinholder, "--help")
    assert status == 0
    for table in ("ways", "kinds", "tricks"):
        for row in tables[table]:
            assert row["name"] in text
            assert row["summary"] in text
    assert "exit status" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--hold WAY is missing"),
        (["--hold", "vfoi"], "unknown way to hold 'vfoi'"),
        (["--hold", "vmsplice", "--kind", "tph"], "unknown kind of memory 'tph'"),
        (["--hold", "vmsplice", "--trick", "unmap"], "unknown trick 'unmap'"),
        (["--hold", "vmsplice", "--size", "-1"], "--size '-1' is not a size"),
        (["--hold", "vmsplice", "--size", "0"], "--size '0' is not a size"),
        (["--hold", "vmsplice", "--size", "5000"], "not a multiple of the page size"),
        (["--hold", "vmsplice", "--size", "1M", "--hold-size", "2M"], "more than --size"),
        (["--hold", "vmsplice", "--node", "one"], "--node 'one' is not the number"),
        (["--hold", "vmsplice", "--node", "1024"], "--node '1024' is not the number"),
        (["--hold", "vmsplice", "more"], "unexpected argument 'more'"),
        (["--hodl", "vmsplice"], "unrecognized option"),
        (["--hold", "vmsplice", *["--trick", "munmap"] * 9], "more than 8 tricks"),
    ],
)
def test_mistakes_are_status_2(pinholder: Path, arguments: list[str], said: str) -> None:
    status, stdout, stderr = call(pinholder, *arguments)
    assert (status, stdout) == (2, "")
    assert said in stderr


@needs_pagemap
def test_vmsplice_holds_what_was_asked(pinholder: Path) -> None:
    status, stdout, stderr = call(
        pinholder, "--hold", "vmsplice", "--size", "3M", "--hold-size", "2M"
    )
    found = events(stdout)
    assert names(found) == HELD
    assert (status, stderr) == (0, "")
    start, memory, hold = (named(found, name) for name in ("start", "memory", "hold"))
    assert (start["way"], start["kind"], start["tricks"]) == ("vmsplice", "anonymous", [])
    assert start["page_size_bytes"] == PAGE_BYTES
    assert memory["pages"] == (3 << 20) // PAGE_BYTES
    if memory["pages_by_node"] is not None:
        assert sum(memory["pages_by_node"].values()) == memory["pages"]
    assert hold["result"] == 2 << 20
    assert hold["pages"] == (2 << 20) // PAGE_BYTES
    assert (hold["errno"], hold["errno_name"]) == (0, None)
    for event in found:
        if event["event"] == "pages":
            check_pages(event, memory["pages"])
    assert named(found, "verify")["ok"] is True
    assert named(found, "released")["held"] is True
    times = [event["boottime"] for event in found]
    assert times == sorted(times)


@needs_pagemap
def test_io_uring_holds_or_says_why_not(pinholder: Path) -> None:
    status, stdout, stderr = call(pinholder, "--hold", "io_uring", "--size", "64K")
    found = events(stdout)
    refused = io_uring_answer()
    if refused:
        assert status == 3
        assert names(found)[-1] == "error"
        assert found[-1]["call"] == "io_uring_setup(1)"
        assert found[-1]["errno_name"] == errno.errorcode[refused]
        assert "io_uring_setup(1)" in stderr
    else:
        assert (status, names(found)) == (0, HELD)
        assert named(found, "hold")["pages"] == (64 << 10) // PAGE_BYTES


@needs_pagemap
def test_munmap_takes_the_pages_first(pinholder: Path) -> None:
    status, stdout, _ = call(
        pinholder, "--hold", "vmsplice", "--size", "64K", "--trick", "munmap",
        orders="pages\nrelease\n",
    )  # fmt: skip
    found = events(stdout)
    assert status == 0
    order = names(found)
    assert order.index("trick") > order.index("hold")
    before, after, now = (event for event in found if event["event"] == "pages")
    check_pages(before, (64 << 10) // PAGE_BYTES)
    check_pages(after, (64 << 10) // PAGE_BYTES)
    assert (now["when"], now["runs"], now["unmapped_by"]) == ("now", None, "munmap")
    verify = named(found, "verify")
    assert (verify["ok"], verify["unmapped_by"]) == (None, "munmap")


@needs_pagemap
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_let_go(pinholder: Path, number: signal.Signals) -> None:
    argv: list[str | Path] = [pinholder, "--hold", "vmsplice", "--size", "64K"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as held:
        assert held.stdout is not None
        for line in held.stdout:
            if json.loads(line)["event"] == "holding":
                break
        held.send_signal(number)
        rest = events(held.stdout.read())
        assert named(rest, "released")["by"] == number.name
        assert held.wait(timeout=10) == 0


@needs_pagemap
def test_the_end_of_input_lets_go_and_unknown_orders_do_not(pinholder: Path) -> None:
    status, stdout, stderr = call(
        pinholder, "--hold", "vmsplice", "--size", "64K", orders="dance\npages"
    )
    found = events(stdout)
    assert status == 0
    assert "unknown order" in stderr
    assert [event["when"] for event in found if event["event"] == "pages"][-1] == "now"
    assert named(found, "released")["by"] == "eof"


def test_too_much_memory_is_refused_before_it_is_taken(pinholder: Path) -> None:
    status, stdout, stderr = call(pinholder, "--hold", "vmsplice", "--size", "32T")
    found = events(stdout)
    assert status == 3
    assert names(found) == ["start", "available", "error"]
    assert found[1]["usable_bytes"] < 32 << 40
    assert found[-1]["errno_name"] == "ENOMEM"
    assert str(found[1]["usable_bytes"]) in found[-1]["message"]
    assert found[-1]["message"] in stderr


def test_a_node_that_is_not_there_is_named(pinholder: Path) -> None:
    status, stdout, stderr = call(pinholder, "--hold", "vmsplice", "--node", "1023")
    assert status == 3
    assert events(stdout)[-1]["errno_name"] == "ENOENT"
    assert "there is no node 1023" in stderr


@needs_pagemap
@pytest.mark.parametrize("budget", [[], ["--hold-budget", "30"]], ids=["unbounded", "bounded"])
def test_isolating_takes_a_node(pinholder: Path, budget: list[str]) -> None:
    """The helper that the trick had begun ends too: nobody is left to keep our pipes open."""
    trick = ["--trick", "isolated-elsewhere", "--size", "64K"]
    status, stdout, stderr = call(pinholder, "--hold", "vmsplice", *trick, *budget)
    found = events(stdout)
    assert status == 3
    assert names(found) == ["start", "trick", "available", "memory", "trick", "error"]
    points = [event["point"] for event in found if event["event"] == "trick"]
    assert points == ["before-setup", "after-memory"]
    assert found[-1]["errno_name"] == "EINVAL"
    assert "say which one with --node" in stderr


def test_output_that_cannot_be_written_ends_it(pinholder: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [pinholder, "--hold", "vmsplice"], check=False, stdin=subprocess.PIPE, stdout=full,
            stderr=subprocess.PIPE, text=True, timeout=60,
        )  # fmt: skip
    assert done.returncode == 3
    assert "write(standard output)" in done.stderr
