# SPDX-License-Identifier: GPL-2.0-only
"""``pinhole run`` as a process of its own, watched from outside: what it says, and what it leaves.

Every process that a run starts inherits a mark in its environment, so that one which outlives the
run is found wherever it went.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PINHOLE = (sys.executable, "-c", "from pinhole.cli import main; main()")
MEDDLE = (sys.executable, str(Path(__file__).with_name("meddle.py")))
ONE_SCENARIO = ("-k", "io_uring-anonymous and 6.12")
"""The quickest of the default plan: no removal loops until its budget is over."""
PHASES = {
    "boot": "booting 6.12",
    "bare": "reading the guest as it is",
    "plug": "plugging dimm0",
    "hold": "holding pages",
    "remove": "taking the memory away while",
    "release": "letting the pages go",
    "remove again": "taking the memory away again",
    "unplug": "unplugging dimm0",
    "collect": "collecting the kernel's log",
}
"""What progress says as each phase begins (scenario/play.py, guest/guest.py)."""
KEPT = {"run.json", "evidence.json", "record.json"} | {
    f"{name}.log" for name in ("console", "status", "qemu", "qmp")
}
PATIENCE = "3"
"""For a host whose cores are shared; no wait of these tests runs out where it should not."""

_MARK = "PINHOLE_TEST_MARK"
_GONE_SECONDS = 3.0
_TERMINAL = {"FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS"}


@dataclass(frozen=True)
class Ended:
    """How a command ended; ``seconds`` from the last signal sent to it, or from its start."""

    status: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def last_word(self) -> str:
        """The last line of standard error: where an error is told."""
        return (self.stderr.strip().splitlines() or [""])[-1]

    def document(self) -> dict[str, Any]:
        """What ``--json`` printed."""
        found = json.loads(self.stdout)
        assert isinstance(found, dict)
        return found


@dataclass
class Place:
    """Where commands of one test run: folders of their own for cache, runs and temporary files."""

    folder: Path
    cache: Path
    mark: str = field(default_factory=lambda: secrets.token_hex(8))
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for folder in (self.runs, self.temporary):
            folder.mkdir(exist_ok=True)

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    def env(self) -> Mapping[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in _TERMINAL}
        return {
            **kept,
            "PINHOLE_CACHE": str(self.cache),
            "TMPDIR": str(self.temporary),
            "PYTHONUNBUFFERED": "1",
            _MARK: self.mark,
            **self.environment,
        }

    def run(
        self, *arguments: str | Path, program: Sequence[str] = PINHOLE, within: float = 300
    ) -> Ended:
        """``pinhole run`` to its end, as ``start_run``."""
        with self.start_run(*arguments, program=program) as running:
            return running.end(within)

    def start_run(self, *arguments: str | Path, program: Sequence[str] = PINHOLE) -> Running:
        """Starts ``pinhole run``, under TCG and with patience unless ``arguments`` say otherwise,
        with ``--runs`` in this place."""
        chosen = [] if "--accel" in arguments else ["--accel", "tcg"]
        chosen += [] if "--patience" in arguments else ["--patience", PATIENCE]
        start = [*program, "run", "--runs", self.runs, "--offline"]
        return Running(self, [str(one) for one in (*start, *chosen, *arguments)])

    def judge(self, *arguments: str | Path) -> Ended:
        """``pinhole judge`` on the newest run."""
        command = [*PINHOLE, "judge", "--runs", self.runs, *arguments]
        with Running(self, [str(one) for one in command]) as running:
            return running.end(30)

    def newest_run(self) -> Path:
        return max(path.parent for path in self.runs.glob("*/run.json"))

    def job_folder(self, repetition: int = 0) -> Path:
        """The folder of the newest run's job (there is one kernel and one scenario)."""
        folders = [path for path in self.newest_run().glob("*/*") if path.is_dir()]
        (folder,) = folders
        return folder / str(repetition + 1) if repetition else folder

    def evidence(self, repetition: int = 0) -> dict[str, Any]:
        """The evidence of that job."""
        found = json.loads((self.job_folder(repetition) / "evidence.json").read_text())
        assert isinstance(found, dict)
        return found

    def records(self) -> list[dict[str, Any]]:
        """The newest run's records, as ``judge`` gives them."""
        found = self.judge("--json").document()["records"]
        assert isinstance(found, list)
        return found

    def assert_nothing_is_left(self) -> None:
        """No process, temporary file, half-made cache entry or file of evidence, and no key."""
        deadline = time.monotonic() + _GONE_SECONDS
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.02)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert not left, f"processes that outlive the run: {left}"
        strays = [*self.temporary.iterdir(), *self.cache.glob("*/.making-*")]
        assert not strays, f"left behind: {strays}"
        for path in self.runs.rglob("*"):
            if path.is_file():
                assert path.name in KEPT, f"left behind: {path}"
                assert b"PRIVATE KEY" not in path.read_bytes(), f"a key: {path}"

    def processes(self) -> dict[int, str]:
        """The processes alive that were started here: command lines by id."""
        mark, found = f"{_MARK}={self.mark}".encode(), {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with suppress(OSError):
                    if mark in (folder / "environ").read_bytes().split(b"\0"):
                        words = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                        found[int(folder.name)] = words.decode(errors="replace")
        return found

    def qemu(self) -> int:
        """The process id of the one QEMU that runs here."""
        (pid,) = (pid for pid, words in self.processes().items() if words.startswith("/usr/bin/q"))
        return pid


class Running:
    """A command on its way; what it says on standard error can be waited for."""

    def __init__(self, place: Place, command: Sequence[str]) -> None:
        self.place = place
        self._since = time.monotonic()
        self._popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=place.env(),
            text=True,
            errors="strict",
        )
        self._lines: list[str] = []
        self._out: list[str] = []
        self._seen = 0
        self._news = threading.Condition()
        self._threads = [
            threading.Thread(target=self._read_stderr),
            threading.Thread(target=self._read_stdout),
        ]
        for thread in self._threads:
            thread.start()

    def await_line(self, text: str, within: float = 120) -> None:
        """Waits for a line of standard error that holds ``text``, after the last one found."""

        def come() -> bool:
            for number in range(self._seen, len(self._lines)):
                if text in self._lines[number]:
                    self._seen = number + 1
                    return True
            return self._popen.poll() is not None

        with self._news:
            self._news.wait_for(come, within)
            found = self._seen > 0 and text in self._lines[self._seen - 1]
        assert found, f"it never said {text!r}, but:\n{''.join(self._lines)}"

    def signal(self, number: int) -> None:
        """Sends it (alone) a signal; ``Ended.seconds`` then counts from here."""
        self._since = time.monotonic()
        self._popen.send_signal(number)

    def end(self, within: float) -> Ended:
        """Waits for its end."""
        try:
            status = self._popen.wait(within)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"no end in {within} s:\n{''.join(self._lines)}") from error
        seconds = time.monotonic() - self._since
        for thread in self._threads:
            thread.join()
        return Ended(status, "".join(self._out), "".join(self._lines), seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._popen.poll() is None:
            self._popen.kill()
            self._popen.wait()
        for thread in self._threads:
            thread.join()
        for stream in (self._popen.stdout, self._popen.stderr):
            if stream is not None:
                stream.close()

    def _read_stderr(self) -> None:
        assert self._popen.stderr is not None
        for line in self._popen.stderr:
            with self._news:
                self._lines.append(line)
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def _read_stdout(self) -> None:
        assert self._popen.stdout is not None
        self._out.append(self._popen.stdout.read())
