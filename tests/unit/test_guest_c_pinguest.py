# SPDX-License-Identifier: GPL-2.0-only
"""pinguest on this host: framed files, the kernel log, and a write that never returns."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

GUEST = Path(__file__).resolve().parents[2] / "guest"

Frame = tuple[dict[str, Any], bytes]


@pytest.fixture(scope="session")
def pinguest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.getbasetemp() / "guest-c"
    subprocess.run(["make", "-s", "-j2", "-C", GUEST, f"O={folder}"], check=True)
    return folder / "pinguest"


def call(pinguest: Path, *arguments: str | Path) -> tuple[int, bytes, str]:
    done = subprocess.run([pinguest, *arguments], check=False, capture_output=True, timeout=60)
    return done.returncode, done.stdout, done.stderr.decode()


def frames(stdout: bytes) -> tuple[list[Frame], dict[str, Any]]:
    """The frames between the first line and the last, and the last."""
    line, _, rest = stdout.partition(b"\n")
    assert "boottime" in json.loads(line)
    found: list[Frame] = []
    while True:
        line, _, rest = rest.partition(b"\n")
        header = json.loads(line)
        if "end" in header:
            assert rest == b""
            return found, header
        found.append((header, rest[: header["bytes"]]))
        assert rest[header["bytes"] :].startswith(b"\n")
        rest = rest[header["bytes"] + 1 :]


def read(pinguest: Path, *arguments: str | Path) -> list[Frame]:
    status, stdout, stderr = call(pinguest, "read", *arguments)
    assert (status, stderr) == (0, "")
    found, end = frames(stdout)
    assert end["files"] == len(found)
    return found


def test_files_come_whole_and_framed(pinguest: Path, tmp_path: Path) -> None:
    tricky = b'{"end":true,"files":1}\n\0\xff no newline'
    (tmp_path / "a").write_bytes(tricky)
    (tmp_path / "empty").write_bytes(b"")
    found = read(pinguest, tmp_path / "a", tmp_path / "empty")
    assert [content for _, content in found] == [tricky, b""]
    assert found[0][0] == {
        "path": str(tmp_path / "a"),
        "bytes": len(tricky),
        "errno": 0,
        "errno_name": None,
        "truncated": False,
    }


def test_what_cannot_be_read_has_its_errno(pinguest: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    wanted = [tmp_path / "none", tmp_path / "folder", tmp_path / "none*", tmp_path / "*" / "state"]
    found = read(pinguest, *wanted)
    assert [header["path"] for header, _ in found] == [str(path) for path in wanted]
    assert [header["errno_name"] for header, _ in found] == ["ENOENT", "EISDIR", "ENOENT", "ENOENT"]
    assert [header["errno"] for header, _ in found][:2] == [errno.ENOENT, errno.EISDIR]


def test_patterns_sort_numbers_by_value(pinguest: Path, tmp_path: Path) -> None:
    for block in (10, 2, 33):
        (tmp_path / f"memory{block}").mkdir()
        (tmp_path / f"memory{block}" / "state").write_text(f"{block}\n")
    (tmp_path / "memory_failure").mkdir()
    (tmp_path / ".memory1").mkdir()
    found = read(pinguest, tmp_path / "memory[0-9]*" / "stat?")
    assert [content for _, content in found] == [b"2\n", b"10\n", b"33\n"]


@pytest.mark.parametrize(
    ("size", "truncated"), [(99, False), (100, False), (101, True), (500, True)]
)
def test_limit_is_told_apart_from_the_end(
    pinguest: Path, tmp_path: Path, size: int, truncated: bool
) -> None:
    (tmp_path / "file").write_bytes(b"x" * size)
    ((header, content),) = read(pinguest, "--limit", "100", tmp_path / "file")
    assert header["truncated"] is truncated
    assert content == b"x" * min(size, 100)


def test_endless_and_silent_files_are_bounded(pinguest: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = os.open(fifo, os.O_RDWR)
    try:
        began = time.monotonic()
        found = read(pinguest, "--limit", "64K", fifo, "/dev/zero")
        assert time.monotonic() - began < 10
    finally:
        os.close(writer)
    assert found[0][0]["errno_name"] == "EAGAIN"
    assert (found[1][0]["truncated"], found[1][1]) == (True, bytes(64 << 10))


def test_hostile_file_names_stay_json(pinguest: Path, tmp_path: Path) -> None:
    for name in (b'"},\n{"end":true', b"\xff\xfe", b"back\\slash"):
        (tmp_path / os.fsdecode(name)).write_bytes(b"!")
    found = read(pinguest, tmp_path / "*")
    assert len(found) == 3
    assert {header["path"].rpartition("/")[2] for header, _ in found} >= {
        '"},\n{"end":true',
        "back\\slash",
    }


def remove(pinguest: Path, *arguments: str | Path) -> dict[str, Any]:
    status, stdout, stderr = call(pinguest, "remove", *arguments)
    assert (status, stderr) == (0, "")
    (line,) = stdout.splitlines()
    result: dict[str, Any] = json.loads(line)
    return result


def test_a_write_that_succeeds(pinguest: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_text("online")
    result = remove(pinguest, state, "offline")
    assert state.read_text() == "offline"
    assert (result["result"], result["errno"], result["ended"]) == (0, 0, True)
    assert result["sigterm_at"] is None
    assert result["stack"] is None
    assert result["passes"] is None
    assert 0 <= result["seconds"] < 5
    assert abs(result["began"] - time.clock_gettime(time.CLOCK_BOOTTIME)) < 60


def test_a_write_that_fails(pinguest: Path, tmp_path: Path) -> None:
    result = remove(pinguest, tmp_path / "none", "offline")
    assert (result["result"], result["errno_name"], result["call"]) == (-1, "ENOENT", "open")


def test_the_budget_ends_a_write_that_waits(pinguest: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    result = remove(pinguest, tmp_path / "fifo", "offline", "--budget", "0.6", "--grace", "5")
    assert (result["result"], result["errno_name"], result["ended"]) == (-1, "EINTR", True)
    assert 0.6 <= result["sigterm_at"] < 2
    assert 0.6 <= result["seconds"] < 2
    assert (result["sigkill_at"], result["signal"]) == (None, None)
    assert result["task_state"] == "S"
    assert 0.3 <= result["sampled_at"] < 0.6


@pytest.fixture
def waiting(pinguest: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """An attempt that waits on a FIFO, and the process id of its child."""
    os.mkfifo(tmp_path / "fifo")
    argv: list[str | Path] = [pinguest, "remove", tmp_path / "fifo", "offline", "--budget", "100"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as parent:
        try:
            yield parent, child_that_waits(parent.pid)
        finally:
            parent.kill()


def child_that_waits(parent: int) -> int:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
                if int(fields[1]) == parent:
                    # In the open() of the FIFO: signals unblocked, asleep.
                    status = (stat.parent / "status").read_text()
                    if "SigBlk:\t0000000000000000" in status and fields[0] == "S":
                        return int(stat.parent.name)
            except (FileNotFoundError, ProcessLookupError):
                continue  # a process that ended while we looked
        time.sleep(0.01)
    raise AssertionError(f"{parent} has no child that waits")


def test_told_to_stop_it_ends_the_attempt_and_reports(
    waiting: tuple[subprocess.Popen[bytes], int],
) -> None:
    parent, _ = waiting
    time.sleep(0.1)
    parent.send_signal(signal.SIGTERM)
    stdout, _ = parent.communicate(timeout=10)
    result = json.loads(stdout)
    assert (result["interrupted_by"], result["errno_name"]) == ("TERM", "EINTR")
    assert result["budget_seconds"] < 100


def test_killed_it_leaves_no_writer_behind(waiting: tuple[subprocess.Popen[bytes], int]) -> None:
    parent, child = waiting
    parent.kill()
    parent.wait(timeout=10)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not Path(f"/proc/{child}").exists()


def test_kmsg_gives_raw_records(pinguest: Path) -> None:
    status, stdout, _ = call(pinguest, "kmsg")
    ((header, content),), end = frames(stdout)
    try:
        os.close(os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK))
    except OSError as error:
        assert (status, header["errno"], content) == (3, error.errno, b"")
        return
    assert (status, header["errno"]) == (0, 0)
    records = [line for line in content.splitlines() if not line.startswith(b" ")]
    numbers = [int(line.split(b";")[0].split(b",")[1]) for line in records]
    assert numbers == sorted(set(numbers))
    assert (end["first_seq"], end["last_seq"]) == (numbers[0], numbers[-1])
    middle = numbers[len(numbers) // 2]
    _, stdout, _ = call(pinguest, "kmsg", "--from", str(middle))
    _, end = frames(stdout)
    assert (end["first_seq"], end["overrun"]) == (middle, False)
    _, stdout, _ = call(pinguest, "kmsg", "--from", str(numbers[-1] + 10**6))
    ((_, content),), end = frames(stdout)
    assert (content, end["first_seq"], end["last_seq"]) == (b"", None, None)


def test_boottime(pinguest: Path) -> None:
    status, stdout, _ = call(pinguest, "boottime")
    assert status == 0
    assert abs(json.loads(stdout)["boottime"] - time.clock_gettime(time.CLOCK_BOOTTIME)) < 10


def test_help_names_every_errand(pinguest: Path) -> None:
    status, stdout, _ = call(pinguest, "--help")
    assert status == 0
    for errand in ("read", "kmsg", "mark", "remove", "boottime"):
        assert f"pinguest {errand}" in stdout.decode()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["read"],
        ["read", "--limit", "0", "/dev/null"],
        ["read", "--budget", "soon", "/dev/null"],
        ["kmsg", "--from", "-1"],
        ["kmsg", "more"],
        ["mark"],
        ["mark", "two\nlines"],
        ["mark", "x" * 901],
        ["remove", "/dev/null"],
        ["remove", "/dev/null", "offline", "--budget", "-1"],
        ["remove", "/dev/null", "offline", "--grace", "nan"],
        ["remove", "/dev/null", "offline", "--bugdet", "1"],
        ["boottime", "now"],
    ],
)
def test_mistakes_are_status_2(pinguest: Path, arguments: list[str]) -> None:
    status, stdout, stderr = call(pinguest, *arguments)
    assert (status, stdout) == (2, b"")
    assert stderr.startswith("pinguest")
