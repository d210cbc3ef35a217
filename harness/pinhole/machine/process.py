# SPDX-License-Identifier: GPL-2.0-only
"""The QEMU process: found, spawned so that it cannot outlive this one, killed and reaped."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from pinhole.errors import HostError, MachineError, UsageError
from pinhole.machine.text import file_tail, printable

QEMU_NAME = "qemu-system-x86_64"
MINIMUM_VERSION = (7, 2, 0)
_PACKAGE = "install it (apt-get install qemu-system-x86), or name another with --qemu PATH"
_LAST_WORDS_BYTES = 16 << 10
_REAP_SECONDS = 10.0
_TELLING = re.compile(r"qemu[\w-]*: |KVM internal error|emulation failure|KVM: ")

# The child waits at this gate until the parent has hold of it: if the parent dies (or leaves
# start() by an exception) between fork and the death signal's prctl, the read finds the end of
# the pipe and QEMU never starts.
_GATE = 'read -r go && exec "$@" </dev/null'


def find_qemu(path: Path | None = None) -> Path:
    """``path``, or the host's QEMU; raises ``HostError`` naming the package if there is none, or
    the version if it is older than 7.2."""
    if path is None:
        found = shutil.which(QEMU_NAME)
        if found is None:
            raise HostError(f"no {QEMU_NAME} on PATH: {_PACKAGE}")
        path = Path(found)
    if not path.is_file() or not os.access(path, os.X_OK):
        raise HostError(f"{path} is no program that can be run: {_PACKAGE}")
    version = qemu_version(path)
    if version < MINIMUM_VERSION:
        raise HostError(
            f"{path} is QEMU {'.'.join(map(str, version))}; pinhole needs 7.2 or newer: {_PACKAGE}"
        )
    return path


def qemu_version(path: Path) -> tuple[int, int, int]:
    """What ``path --version`` says; raises ``HostError`` if it does not speak like QEMU."""
    return _version(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=16)
def _version(path: Path, mtime_ns: int) -> tuple[int, int, int]:  # noqa: ARG001 (the cache's key)
    try:
        said = subprocess.run(
            [str(path), "--version"], capture_output=True, timeout=20, check=False, text=True
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError) as error:
        raise HostError(f"{path} --version failed: {error}; {_PACKAGE}") from error
    found = re.search(r"QEMU emulator version (\d+)\.(\d+)\.(\d+)", said.stdout)
    if found is None:
        words = printable((said.stdout or said.stderr).strip()[:200]) or "nothing"
        raise HostError(f"{path} is no QEMU: --version said {words!r}; {_PACKAGE}")
    return int(found[1]), int(found[2]), int(found[3])


class QemuProcess:
    """One QEMU, its standard error in ``log``; ``close()`` ends it whatever state it is in.

    It must be spawned from the main thread: the parent-death signal follows the thread that
    forked (prctl(2), PR_SET_PDEATHSIG).
    """

    def __init__(self, log: Path) -> None:
        self.log = log
        self.pidfd = -1
        self._popen: subprocess.Popen[bytes] | None = None

    def spawn(self, command: Sequence[str], pass_fds: Collection[int]) -> None:
        """Runs ``command`` with ``pass_fds`` inherited. Raises ``HostError`` without setpriv(1)."""
        if threading.current_thread() is not threading.main_thread():
            raise UsageError(
                "a machine was started outside the main thread; QEMU would be killed when that "
                "thread ends: start it from the main thread, or from a process of its own"
            )
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            raise HostError("no setpriv on PATH; install it: apt-get install util-linux")
        gate = ["sh", "-c", _GATE, "sh", *command]
        reading, writing = os.pipe()
        try:
            with self.log.open("wb") as stderr:
                self._popen = subprocess.Popen(
                    [setpriv, "--pdeathsig", "KILL", "--", *gate],
                    stdin=reading,
                    stdout=stderr,
                    stderr=stderr,
                    pass_fds=tuple(pass_fds),
                    # Ctrl-C belongs to the harness, which then ends QEMU in good order.
                    process_group=0,
                )
            self.pidfd = os.pidfd_open(self._popen.pid)
            os.write(writing, b"go\n")
        finally:
            os.close(reading)
            os.close(writing)

    @property
    def pid(self) -> int | None:
        """QEMU's process id (setpriv and sh have become QEMU); None before ``spawn``."""
        return None if self._popen is None else self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    def wait(self, budget: float) -> bool:
        """Whether the process ended within ``budget`` seconds."""
        if self._popen is not None:
            with suppress(subprocess.TimeoutExpired):
                self._popen.wait(budget)
        return not self.running

    @property
    def ended_by_itself(self) -> bool:
        """Whether it ended by exit() or abort(): in both it says why on standard error."""
        status = None if self._popen is None else self._popen.poll()
        return status is not None and (status >= 0 or status == -signal.SIGABRT)

    def epitaph(self) -> str:
        """How the process ended and its last words, for messages."""
        status = None if self._popen is None else self._popen.poll()
        if status is None:
            how = "is still running"
        elif status < 0:
            how = f"was ended by {signal.Signals(-status).name}"
        else:
            how = f"exited with status {status}"
        words = self.last_words()
        return f"{how}; it said: {words}" if words else f"{how} and said nothing"

    def last_words(self) -> str:
        """The last lines of QEMU's standard error, made printable; of a register dump, the lines
        that say what it is about."""
        lines = printable(file_tail(self.log, _LAST_WORDS_BYTES)).strip().split("\n")
        telling = [line for line in lines if _TELLING.match(line)]
        return "\n".join((telling or lines)[-8:])

    def close(self) -> None:
        """Kills the process if it runs and reaps it; idempotent.

        Raises ``MachineError`` if even SIGKILL does not end it (a task stuck in the host's kernel).
        """
        try:
            if self._popen is not None and self.running:
                self._popen.kill()
            if not self.wait(_REAP_SECONDS):
                raise MachineError(
                    f"QEMU (pid {self.pid}) does not end after SIGKILL; it is stuck in the host's "
                    f"kernel, see /proc/{self.pid}/stack"
                )
        finally:
            if self.pidfd >= 0:
                os.close(self.pidfd)
                self.pidfd = -1
