# SPDX-License-Identifier: GPL-2.0-only
"""The guest's serial console: always drained, searched with pexpect, in bounded memory."""

from __future__ import annotations

import codecs
import re
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

import pexpect
from pexpect.spawnbase import SpawnBase

from pinhole.errors import BudgetError, QemuDiedError
from pinhole.machine.text import printable

if TYPE_CHECKING:
    _StrSpawn = SpawnBase[str]  # generic in its stubs only
else:
    _StrSpawn = SpawnBase

_TAIL_BYTES = 256 << 10
_UNREAD_BYTES = 1 << 20
_WINDOW_CHARS = 64 << 10
_SLICE_CHARS = 1 << 20
_READ_BYTES = 1 << 14


class Console:
    """What the guest prints on ttyS0, and a way to type there.

    ``log`` gets all of it, as it comes; here are the last 256 KiB, and for
    ``expect`` up to 1 MiB that nobody has looked at yet: beyond that the oldest is dropped, and
    ``dropped_bytes`` says how much.
    """

    def __init__(self, port: socket.socket, log: BinaryIO, check: Callable[[], None]) -> None:
        """``log`` is unbuffered; ``check`` raises the reason when the machine is dead."""
        self._port = port
        self._log = log
        self._check = check
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._changed = threading.Condition()
        self._tail = bytearray()
        self._unread = bytearray()
        self._ended = False
        self.total_bytes = 0
        self.dropped_bytes = 0
        self._spawn = _Spawn(self._take)

    def feed(self, data: bytes) -> None:
        """Takes what the port brought; called by the thread that drains it."""
        # Not QEMU's own logfile=: it writes a byte again each time the socket is full (measured,
        # QEMU 7.2: 18 bytes twice in 1 MiB).
        self._log.write(data)
        with self._changed:
            self.total_bytes += len(data)
            _append(self._tail, data, _TAIL_BYTES)
            self.dropped_bytes += _append(self._unread, data, _UNREAD_BYTES)
            self._changed.notify_all()

    def end(self) -> None:
        """QEMU has ended, or the guest is stopped for good: nobody need wait for more."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def expect(self, pattern: str, budget: float) -> re.Match[str]:
        """Waits until the console matches ``pattern``, from where the last ``expect`` ended.

        A match may span at most 64 Ki characters. Raises ``BudgetError``, or, if QEMU or the
        guest dies first, what ``Machine.check`` raises.
        """
        deadline = time.monotonic() + budget
        while True:
            left = max(0.0, deadline - time.monotonic())
            try:
                self._spawn.expect(pattern, timeout=left, searchwindowsize=_WINDOW_CHARS)
            except pexpect.EOF as error:
                self._check()
                raise QemuDiedError(
                    f"the console ended while waiting for {pattern!r}; its last line: "
                    f"{self.last_line()}"
                ) from error
            except pexpect.TIMEOUT as error:
                if time.monotonic() >= deadline:
                    raise BudgetError(
                        f"the console did not show {pattern!r} within {budget:g} s; its last line: "
                        f"{self.last_line()}"
                    ) from error
                self._spawn = self._spawn.next_slice()
                continue
            assert isinstance(self._spawn.match, re.Match)
            return self._spawn.match

    def send_line(self, text: str) -> None:
        """Types ``text`` and Enter. Raises ``QemuDiedError`` if QEMU is gone, ``BudgetError`` if
        the guest reads nothing (after the send timeout of the socket)."""
        try:
            self._port.sendall(text.encode() + b"\n")
        except BlockingIOError as error:
            raise BudgetError("the guest reads nothing from its console") from error
        except OSError as error:
            self._check()
            raise QemuDiedError(f"cannot type on the console: {error}") from error

    def tail(self, lines: int = 20) -> str:
        """The last ``lines`` lines, made printable."""
        with self._changed:
            text = self._tail.decode(errors="replace")
        return "\n".join(printable(text).rstrip("\n").split("\n")[-lines:])

    def last_line(self) -> str:
        """The last line that is not empty, cut at 400 characters; says so if there is none."""
        lines = [line for line in self.tail(200).split("\n") if line.strip()]
        return lines[-1].strip()[:400] if lines else "(nothing on the console)"

    def _take(self, size: int, budget: float | None) -> str:
        """What up to ``size`` unread bytes decode to; empty when ``budget`` brought nothing.

        Raises ``pexpect.EOF`` when there will be no more.
        """
        deadline = None if budget is None else time.monotonic() + budget
        with self._changed:
            while True:
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                self._changed.wait_for(lambda: self._unread or self._ended, left)
                if not self._unread:
                    if self._ended:
                        raise pexpect.EOF("the console has ended")
                    return ""
                text = self._decoder.decode(bytes(self._unread[:size]))
                del self._unread[:size]
                if text:  # half a character decodes to nothing yet
                    return text


class _Spawn(_StrSpawn):
    """pexpect's matching over what a ``Console`` receives, one slice long.

    pexpect keeps all that it read without a match, for its ``before``. After a slice it is made
    to time out, and a new one goes on with the end of the old one's text: memory stays bounded
    however much the guest prints.
    """

    def __init__(self, take: Callable[[int, float | None], str], carried: str = "") -> None:
        super().__init__(encoding="utf-8", maxread=_READ_BYTES)
        self.delayafterread = None
        self._take = take
        self._carried = carried
        self._left = _SLICE_CHARS

    def read_nonblocking(self, size: int = 1, timeout: float | None = None) -> str:
        if self._carried:
            text, self._carried = self._carried, ""
            return text
        if self._left <= 0:
            raise pexpect.TIMEOUT("a slice of the console was searched")
        text = self._take(size, timeout)
        if not text:
            raise pexpect.TIMEOUT("nothing came")
        self._left -= len(text)
        return text

    def next_slice(self) -> _Spawn:
        return _Spawn(self._take, self.buffer[-_WINDOW_CHARS:])


def _append(buffer: bytearray, data: bytes, limit: int) -> int:
    """Appends, keeping at most ``limit`` bytes (twice that between trims); returns the dropped."""
    buffer += data
    if len(buffer) <= 2 * limit:
        return 0
    excess = len(buffer) - limit
    del buffer[:excess]
    return excess
