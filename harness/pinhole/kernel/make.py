# SPDX-License-Identifier: GPL-2.0-only
"""Runs make on a kernel: every line kept, progress in percent, the first error shown.

make and all that it starts end with the harness: confined builds by bubblewrap's own process
namespace, others by a process group that a keeper kills when the harness is gone.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pinhole.errors import KernelError
from pinhole.kernel.sandbox import Confinement
from pinhole.kernel.tool import ToolError, find
from pinhole.machine.text import printable
from pinhole.progress import Progress

_STEP = re.compile(r"^  [A-Z][A-Z0-9_]*(?: \[M\])? +\S")
"""kbuild's short lines: two blanks, what is done, to which file."""
_PLANNED = "echo '  "
"""How make -n shows that line."""
_SHORT_SECONDS = 120.0
_COUNT_AFTER_SECONDS = 12.0
"""make -n takes about 5 s of one core: not worth it for a build of one changed file."""
_ERRORS = (
    re.compile(r"^(?P<file>[^\s:][^:]*):(?P<line>\d+):(?:\d+:)? (?:fatal )?error: (?P<what>.*)"),
    re.compile(r"^(?P<file>[^\s:][^:]*):(?P<line>\d+): (?P<what>.*\bundefined reference.*)"),
    re.compile(r"^(?P<file>(?:\S*/)?ld): (?P<what>.*)"),
    re.compile(r"^(?P<file>\S*Kconfig\S*):(?P<line>\d+): (?P<what>.*)"),
    re.compile(r"^(?P<what>.*(?:No space left on device|Disk quota exceeded).*)"),
    re.compile(r"^make(?:\[\d+\])?: \*\*\* (?P<what>(?!\[.*\] Error \d).*)"),
)
_TIMED = """
my $status = system { $ARGV[0] } @ARGV;
my (undef, undef, $user, $system) = times;
printf "pinhole-times %.2f\\n", $user + $system;
exit($status == -1 ? 127 : $status & 127 ? 128 + ($status & 127) : $status >> 8);
"""
"""Says what a command and its children took: a process namespace hides that from wait4(2). In
perl, which every kernel's build takes anyway."""
_TIMES = re.compile(r"pinhole-times (\d+\.\d+)")
_NO_NEWS = re.compile(r"pinhole-times |make(?:\[\d+\])?: (?:Entering|Leaving) directory ")
_KEEPER = """
import os, signal, subprocess, sys
def end(*ignored):
    os.killpg(0, signal.SIGKILL)
signal.signal(signal.SIGTERM, end)
sys.exit(subprocess.run(sys.argv[1:]).returncode)
"""


@dataclass(frozen=True)
class Built:
    """What a make cost: ``cpu_seconds`` are user + system of it and all that it started."""

    steps: int
    cpu_seconds: float

    def __add__(self, other: Built) -> Built:
        return Built(self.steps + other.steps, self.cpu_seconds + other.cpu_seconds)


class Make:
    """make in one build folder; ``log`` takes every line of every call."""

    def __init__(
        self,
        confinement: Confinement,
        settings: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        progress: Progress,
    ) -> None:
        self._confinement = confinement
        self._settings = list(settings)
        self._environment = environment
        self._log = log
        self._progress = progress
        self._looking: subprocess.Popen[str] | None = None

    def run(self, *targets: str, text: str = "", settings: Sequence[str] = ()) -> Built:
        """Makes ``targets``; with ``text`` the percentage is shown behind it.

        Raises ``KernelError`` with the first error and where the whole log is; a full disk is a
        ``ToolError``, for those who know which folder it is.
        """
        return self.command(self._make(*targets, settings=settings), text=text, targets=targets)

    def command(self, argv: Sequence[str], *, text: str = "", targets: Sequence[str] = ()) -> Built:
        """Any command of the build, as ``run``."""
        lines: list[str] = []
        with self._log.open("a", encoding="utf-8", errors="replace", buffering=1) as log:
            log.write(f"$ {' '.join(argv)}\n")
            process = self._start(argv)
            counter = _Counter(self, process, targets if text else (), text, self._progress)
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    log.write(line)
                    counter.see(line)
                    lines.append(line.rstrip("\n"))
                    del lines[:-4000]
                process.wait()
            finally:
                counter.end()
                self._end(process)
        if process.returncode != 0:
            raise self._failure(argv, process.returncode, lines)
        counter.finished()
        took = [float(found[1]) for line in lines[-3:] if (found := _TIMES.fullmatch(line))]
        return Built(counter.steps, took[-1] if took else 0.0)

    def output(self, argv: Sequence[str], environment: Mapping[str, str]) -> str:
        """What a short command of the build says, with ``environment`` besides the build's own."""
        process = self._start(argv, environment)
        try:
            said, _ = process.communicate(timeout=_SHORT_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise ToolError(argv, f"was not done after {_SHORT_SECONDS:.0f} s") from error
        finally:
            self._end(process)
        if process.returncode != 0:
            raise ToolError(argv, f"failed with status {process.returncode}", (said[-400:],))
        return _TIMES.sub("", said)

    def planned(self, targets: Sequence[str]) -> int:
        """How many steps make has before it for ``targets``; 0 where that cannot be asked.

        make -n runs lines that begin with + all the same: the one that links vmlinux is among
        them (scripts/Makefile.vmlinux; Makefile of 5.10), beside the make that is building, in
        the same folder. So it is asked only where it cannot write there, with the temporary
        folder of cc-option elsewhere: its name, .tmp_PID, is that of another process in there.
        """
        if not self._confinement.confined:
            return 0
        words = self._make(*targets, settings=["TMPOUT=/tmp/.tmp_$$$$"])
        process = self._looking = self._start([*words, "-n", "-k"], looks_only=True)
        try:
            assert process.stdout is not None
            return sum(1 for line in process.stdout if _PLANNED in line)
        finally:
            self._looking = None
            self._end(process)

    def stop_looking(self) -> None:
        """Nobody waits for ``planned`` any more, which another thread may be in."""
        process = self._looking
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def _make(self, *targets: str, settings: Sequence[str] = ()) -> list[str]:
        return ["make", f"-j{os.cpu_count() or 1}", *self._settings, *settings, *targets]

    def _start(
        self,
        argv: Sequence[str],
        more: Mapping[str, str] | None = None,
        *,
        looks_only: bool = False,
    ) -> subprocess.Popen[str]:
        timed = ["perl", "-e", _TIMED, "--", *argv]
        environment = {**self._environment, **(more or {})}
        command = self._confinement.command(timed, environment, looks_only=looks_only)
        if not self._confinement.confined:
            command = [sys.executable, "-c", _KEEPER, *command]
        guard = "KILL" if self._confinement.confined else "TERM"
        return subprocess.Popen(
            [find("setpriv", "util-linux"), "--pdeathsig", guard, "--", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,
        )

    def _end(self, process: subprocess.Popen[str]) -> None:
        """Ends whatever of it still runs, and reaps it."""
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def _failure(self, argv: Sequence[str], status: int, lines: Sequence[str]) -> Exception:
        first = first_error(lines)
        if first is not None and ("No space left" in first or "quota exceeded" in first):
            return ToolError(argv, f"failed with status {status}", (first,))
        said = (line for line in reversed(lines) if line.strip() and not _NO_NEWS.match(line))
        shown = first or next(said, "it said nothing")
        return KernelError(
            f"the kernel does not build: {printable(shown)}\nThe whole log: {self._log}; mend the "
            "source or the patches and build again"
        )


class _Counter:
    """Counts steps as they come, and shows the share done once make was asked for the rest."""

    def __init__(
        self,
        make: Make,
        process: subprocess.Popen[str],
        targets: Sequence[str],
        text: str,
        progress: Progress,
    ) -> None:
        self.steps = 0
        self._make = make
        self._text = text
        self._progress = progress
        self._total: int | None = None
        self._timer: threading.Timer | None = None
        if targets:
            self._timer = threading.Timer(_COUNT_AFTER_SECONDS, self._count, (make, targets))
            self._timer.daemon = True
            self._timer.start()

    def see(self, line: str) -> None:
        """One line of make's."""
        if _STEP.match(line) is None:
            return
        self.steps += 1
        if self._text and self._total:
            self._progress.share(self._text, min(self.steps / self._total, 1.0))

    def finished(self) -> None:
        """It ended well: what was under way when the rest was counted was counted twice."""
        if self._text and self._total:
            self._progress.share(self._text, 1.0)

    def end(self) -> None:
        """No more lines come."""
        if self._timer is not None:
            self._timer.cancel()
            self._make.stop_looking()
            if self._timer.is_alive():
                self._timer.join()

    def _count(self, make: Make, targets: Sequence[str]) -> None:
        done = self.steps
        planned = make.planned(targets)
        if planned:
            self._total = done + planned  # too few where it was stopped: then nothing follows


def first_error(lines: Sequence[str]) -> str | None:
    """The first line that says what went wrong, with the source's own paths (``mm/gup.c:12:3``)."""
    for pattern in _ERRORS:
        for line in lines:
            if pattern.search(line):
                return line.replace("../", "").strip()
    return None
