# SPDX-License-Identifier: GPL-2.0-only
"""``pinhole shell`` as a person uses it, on a terminal, and as a script does, through a pipe."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pexpect
import pytest

SHELL = (
    sys.executable, "-c", "from pinhole.cli import main; main()",
    "shell", "--kernel", "debian:6.12", "--patience", "3",
)  # fmt: skip
PROMPT = "[~/] # "
BOOT_SECONDS = 120
SECONDS = 30

# The terminal's modes as stty says them, before and after.
AROUND = 'stty -g > before; "$@"; echo "status=$?"; stty -g > after'


@contextmanager
def terminal(folder: Path) -> Iterator[tuple[Any, str]]:
    """A terminal in which ``pinhole shell`` has shown its prompt; and its welcome before that."""
    child = pexpect.spawn(
        "/bin/sh",
        ["-c", AROUND, "sh", *SHELL],
        cwd=str(folder),
        env={**os.environ, "TERM": "vt100", "TMPDIR": str(folder)},
        dimensions=(33, 101),
        encoding="utf-8",
        timeout=SECONDS,
    )
    try:
        child.expect("'exit' or Ctrl-D ends the guest", timeout=BOOT_SECONDS)
        welcome = str(child.before)
        child.expect(PROMPT)
        yield child, welcome
    finally:
        child.close(force=True)


def ask(child: Any, command: str) -> str:
    """What ``command`` prints in the guest."""
    child.send(f"{command}\r")
    child.expect_exact(f"{command}\r\n")
    child.expect(PROMPT)
    return str(child.before).replace("\r\n", "\n").strip()


def children(pid: int) -> list[int]:
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        found += map(int, path.read_text().split())
    return found


def processes(child: Any) -> tuple[int, int]:
    """The process ids of pinhole and of its QEMU."""
    (pinhole,) = children(child.pid)
    (qemu,) = (
        pid
        for pid in children(pinhole)
        if Path(f"/proc/{pid}/comm").read_text().startswith("qemu-system")
    )
    return pinhole, qemu


def assert_all_is_as_before(folder: Path) -> None:
    """The terminal's modes are; of the machine's folder nothing is left."""
    before = (folder / "before").read_text()
    assert before
    assert (folder / "after").read_text() == before
    assert {path.name for path in folder.iterdir()} == {"before", "after"}


def test_shell_on_a_terminal(tmp_path: Path) -> None:
    with terminal(tmp_path) as (child, welcome):
        _, qemu = processes(child)
        assert re.fullmatch(r"6\.12\.\d+\S*", ask(child, "uname -r"))
        (block,) = re.findall(r"/sys/devices/system/memory/(memory\d+)/state", welcome)
        assert ask(child, f"cat /sys/devices/system/memory/{block}/valid_zones") == "Movable"
        assert ask(child, "stty size") == "33 101"
        assert ask(child, "echo $TERM") == "vt100"

        child.setwinsize(40, 120)
        deadline = time.monotonic() + SECONDS
        while ask(child, "stty size") != "40 120" and time.monotonic() < deadline:
            time.sleep(0.1)
        assert ask(child, "stty size") == "40 120"

        child.send("sleep 1000\r")
        child.expect_exact("sleep 1000\r\n")
        time.sleep(0.5)
        child.sendintr()
        child.expect(PROMPT)
        assert ask(child, "echo $?") == "130"

        ask(child, "(exit 5)")
        child.sendeof()
        child.expect_exact("status=5", timeout=BOOT_SECONDS)
        child.expect(pexpect.EOF)
    assert_all_is_as_before(tmp_path)
    assert not Path(f"/proc/{qemu}").exists()


def test_sigterm_ends_the_guest_and_puts_the_terminal_back(tmp_path: Path) -> None:
    with terminal(tmp_path) as (child, _):
        pinhole, qemu = processes(child)
        os.kill(pinhole, signal.SIGTERM)
        child.expect_exact(f"status={128 + signal.SIGTERM}")
        child.expect(pexpect.EOF)
    assert_all_is_as_before(tmp_path)
    assert not Path(f"/proc/{qemu}").exists()


def test_shell_through_a_pipe(tmp_path: Path) -> None:
    # More input than all buffers on the way hold, and each line makes more output of it: whoever
    # waits for the one to be taken before reading the other waits for ever.
    lines = "0123456789abcdef012\n" * 12_000
    script = (
        "uname -r\n"
        "echo to stderr >&2\n"
        "[ -t 0 ] || echo no terminal\n"
        "while read -r line && [ \"$line\" != end ]; do printf '%0400d' 0; done\n"
        f"{lines}end\n"
        "echo; kill -KILL $$\n"
    )
    done = subprocess.run(
        SHELL,
        input=script,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=300,
        check=False,
    )
    release, no_terminal, zeros = done.stdout.splitlines()
    assert re.fullmatch(r"6\.12\.\d+\S*", release)
    assert no_terminal == "no terminal"
    # busybox reads a part of the lines with the script that stands before them.
    assert 400 * 11_000 < len(zeros) <= 400 * 12_000
    assert set(zeros) == {"0"}
    assert "to stderr\n" in done.stderr
    assert "'exit' or Ctrl-D" not in done.stderr
    assert done.returncode == 128 + signal.SIGKILL


def test_panic_is_told_and_its_log_is_kept(tmp_path: Path) -> None:
    done = subprocess.run(
        SHELL,
        input="echo c > /proc/sysrq-trigger; sleep 1000\n",
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 3
    told = re.search(r"^pinhole: the guest panicked .*: sysrq triggered crash.* (/\S+)$",
                     done.stderr, re.M)  # fmt: skip
    assert told is not None, done.stderr
    assert "sysrq triggered crash" in Path(told[1]).read_text()
    (folder,) = tmp_path.iterdir()
    assert {path.suffix for path in folder.iterdir()} == {".log"}


@pytest.mark.parametrize(
    "redirection", ["| head -c 4", pytest.param("<&-", marks=pytest.mark.full)]
)
def test_shell_whose_streams_are_closed(redirection: str, tmp_path: Path) -> None:
    line = f'yes "echo said" | "$@" {redirection}'
    done = subprocess.run(
        ["/bin/sh", "-c", line, "sh", *SHELL],
        capture_output=True, text=True, cwd=tmp_path, timeout=300, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "pinhole:" not in done.stderr
    assert done.stdout == ("said" if "head" in redirection else "")
