# SPDX-License-Identifier: GPL-2.0-only
"""What has become of the machine: every wait goes through here and ends at once when it dies.

A panic is what QEMU says (GUEST_PANICKED, or SHUTDOWN by the guest), never what the console
shows: any process of the guest can print an oops. Once QEMU has said so, the console's text names
the panic.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pinhole.errors import GuestPanickedError, HostError, MachineError, QemuDiedError

if TYPE_CHECKING:
    from pinhole.machine.console import Console
    from pinhole.machine.process import QemuProcess

_END_GRACE_SECONDS = 2.0
_PANIC_LINES = 5000
_PANIC = re.compile(r"Kernel panic - not syncing: [^\r\n]*")
_BROKEN_STATES = {"internal-error", "io-error", "guest-panicked"}


class Watch:
    """Shared by all parts of a machine. ``news`` guards their state and is notified of changes."""

    def __init__(self, console_log: Path) -> None:
        self.news = threading.Condition()
        self.process: QemuProcess | None = None
        self.console: Console | None = None
        self.query_status: Callable[[], str] | None = None
        self.settle: Callable[[], None] = lambda: None
        self.go_on: Callable[[], object] | None = None
        self._console_log = console_log
        self._ended = False
        self._failure: BaseException | None = None
        self._guest_end: tuple[str, Mapping[str, object]] | None = None
        self._stop_unexplained = False
        self._shut_down = False

    def hear(self, name: str, data: Mapping[str, object]) -> None:
        """Takes an event of QEMU."""
        with self.news:
            by_guest = name == "GUEST_PANICKED" or (name == "SHUTDOWN" and data.get("guest"))
            if by_guest and self._guest_end is None:
                self._guest_end = (name, data)
            self._shut_down |= name == "SHUTDOWN"
            if name in {"STOP", "RESUME"}:
                # QEMU gives no reason with STOP: check() asks it for one.
                self._stop_unexplained = name == "STOP"
            self.news.notify_all()
        if by_guest and self.console is not None:
            self.console.end()

    def end(self, failure: BaseException | None) -> None:
        """QEMU has ended, or reading its ports failed."""
        with self.news:
            self._ended = True
            self._failure = failure
            self.news.notify_all()
        if self.console is not None:
            self.console.end()

    @property
    def ended(self) -> bool:
        return self._ended

    def wait(self, found: Callable[[], bool], budget: float) -> bool:
        """Whether ``found()`` (called under ``news``) came true within ``budget`` seconds.

        Raises what ``check`` raises as soon as the machine is dead and ``found()`` is false.
        """
        deadline = time.monotonic() + budget
        while True:
            come = False

            def decided() -> bool:
                nonlocal come
                come = found()
                return come or self._doubtful()

            with self.news:
                decided_in_time = self.news.wait_for(decided, max(0.0, deadline - time.monotonic()))
            if come:
                return True
            self.check()
            if not decided_in_time:
                return False

    def check(self) -> None:
        """Raises the reason if the machine is dead: ``GuestPanickedError``, ``QemuDiedError``, or
        ``MachineError`` for a guest that shut down or that QEMU cannot go on with."""
        if self._guest_end is not None:
            raise self._guest_error(*self._guest_end)
        if isinstance(self._failure, OSError):
            raise HostError(
                f"writing the machine's logs beside {self._console_log} failed: "
                f"{self._failure.strerror}; free some space"
            ) from self._failure
        if self._failure is not None:
            raise MachineError(f"reading QEMU's ports failed: {self._failure!r}") from self._failure
        if self._ended:
            assert self.process is not None
            raise QemuDiedError(f"QEMU {self._epitaph()}. Last console line: {self._last_line()}")
        if self._stop_unexplained and self.query_status is not None:
            status = self.query_status()
            if status in _BROKEN_STATES:
                words = self.process.last_words() if self.process is not None else ""
                raise MachineError(
                    f"QEMU stopped the guest: {status}; QEMU said: {words or 'nothing'}"
                )
            self._stop_unexplained = False

    def check_end(self) -> None:
        """As ``check``, for who found QEMU's end of a socket closed: QEMU's sockets close a
        little before the process can be reaped."""
        with self.news:
            self.news.wait_for(lambda: self._ended, _END_GRACE_SECONDS)
        self.check()

    def _doubtful(self) -> bool:
        return self._ended or self._guest_end is not None or self._stop_unexplained

    def _guest_error(self, name: str, data: Mapping[str, object]) -> MachineError:
        reason = data.get("reason")
        # The guest printed the panic before QEMU knew of it: it has arrived, if not been read.
        self.settle()
        panics = self._panics()
        if name == "GUEST_PANICKED" and not panics:
            self._let_it_speak()
            panics = self._panics()
        words = f"QEMU said {name}" + (f" ({reason})" if reason else "")
        if reason == "guest-shutdown":
            return MachineError(
                f"the guest shut itself down ({words}). Last console line: {self._last_line()}"
            )
        if panics:
            return GuestPanickedError(
                f"the guest panicked ({words}): {panics[-1][:400]}. All of it: {self._console_log}"
            )
        verb = "panicked" if name == "GUEST_PANICKED" else "reset itself"
        return GuestPanickedError(
            f"the guest {verb} ({words}) without naming a panic on the console. "
            f"Last console line: {self._last_line()}"
        )

    def _panics(self) -> list[str]:
        return _PANIC.findall(self.console.tail(_PANIC_LINES)) if self.console else []

    def _let_it_speak(self) -> None:
        """Lets a guest go on that panicked without a word, until it resets itself.

        panic() calls its notifiers, pvpanic among them, before it flushes the console: of a panic
        in an NMI nothing has been printed by then (*measured*, 6.12).
        """
        go_on, self.go_on = self.go_on, None
        if go_on is None or self._ended:
            return
        try:
            go_on()
        except MachineError:
            return  # that it panicked is all that can be said
        with self.news:
            self.news.wait_for(lambda: self._ended or self._shut_down, _END_GRACE_SECONDS)
        self.settle()

    def _epitaph(self) -> str:
        assert self.process is not None
        self.process.wait(_END_GRACE_SECONDS)
        return self.process.epitaph()

    def _last_line(self) -> str:
        return self.console.last_line() if self.console is not None else "(no console yet)"
