# SPDX-License-Identifier: GPL-2.0-only
"""A person's terminal on a shell in the guest; a pipe works too (``echo uname -r | …``)."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import paramiko

from pinhole.errors import ChannelError
from pinhole.guest.deadline import Deadline
from pinhole.guest.guest import Guest
from pinhole.guest.ssh_transport import Transport, connect_transport

_CHUNK_BYTES = 1 << 15
_TICK_SECONDS = 0.5
_FEED_TICK_SECONDS = 0.02
"""Between two tries to send what the guest had no room for: nothing wakes us when it has."""
_UNKNOWN_SIZE = os.terminal_size((80, 24))


def attach(guest: Guest) -> int:
    """Connects this process's terminal to a shell in the guest until it ends.

    Returns the shell's exit status, 128 and the signal's number if a signal ended it. Raises the
    machine's own error if it dies meanwhile.
    """
    deadline = Deadline(guest.budgets.connect, "connecting a terminal to the guest")
    transport = connect_transport(
        guest.machine.ssh_address,
        client_key=guest.keys.client_key,
        host_key=guest.keys.host_key,
        deadline=deadline,
    )
    try:
        channel = transport.begin(deadline)
        channel.settimeout(0.0)
        copy = _Copy(transport, channel, guest.machine.check)
        if sys.stdin is not None and sys.stdin.isatty():
            size = _size()
            with _asking():
                channel.get_pty(os.environ.get("TERM", "vt100"), size.columns, size.lines)
                channel.invoke_shell()
            with _raw_terminal(), _size_changes() as changes:
                copy.run(changes)
        else:
            with _asking():
                channel.exec_command("exec /bin/sh")
            copy.run(None)
        return copy.exit_status()
    except BrokenPipeError:
        return 128 + signal.SIGPIPE  # nobody reads what the guest says any more
    finally:
        transport.stop()


class _Copy:
    """Data both ways between this process's standard streams and the guest's shell."""

    def __init__(
        self, transport: Transport, channel: paramiko.Channel, check: Callable[[], None]
    ) -> None:
        self._transport = transport
        self._channel = channel
        self._check = check
        self._stdin: int | None = None if sys.stdin is None else sys.stdin.fileno()
        self._typed = b""

    def run(self, changes: int | None) -> None:
        """Until the shell has ended; ``changes`` becomes readable when the terminal's size does."""
        if self._stdin is None:
            self._channel.shutdown_write()
        while True:
            ended = self._ended()  # asked first: what is drained then is all that there is
            self._drain()
            if ended:
                return
            self._feed()
            watched: list[paramiko.Channel | int] = [] if changes is None else [changes]
            # At its end the channel stays readable, and the shell's status may still be to come.
            if not self._channel.eof_received:
                watched.append(self._channel)
            if self._stdin is not None and not self._typed:
                watched.append(self._stdin)
            busy = self._typed or self._channel.eof_received
            tick = _FEED_TICK_SECONDS if busy else _TICK_SECONDS
            ready, _, _ = select.select(watched, [], [], tick)
            if changes in ready and changes is not None:
                os.read(changes, _CHUNK_BYTES)
                size = _size()
                self._channel.resize_pty(size.columns, size.lines)
            if self._stdin in ready:
                self._read_typed()
            if not ready:
                self._check()

    def exit_status(self) -> int:
        """How the shell ended; raises the machine's own error, or ``ChannelError``."""
        name = self._transport.exit_signal
        if name is not None:
            return 128 + getattr(signal, f"SIG{name}", 0)
        status = self._channel.exit_status
        if status < 0:
            self._check()
            raise ChannelError("the connection to the guest broke before its shell ended")
        return status

    def _ended(self) -> bool:
        if self._transport.closed_by_guest.is_set() or self._channel.closed:
            return True
        return bool(self._channel.eof_received) and self._channel.exit_status_ready()

    def _drain(self) -> None:
        while self._channel.recv_ready():
            _write(sys.stdout.fileno(), self._channel.recv(_CHUNK_BYTES))
        while self._channel.recv_stderr_ready():
            _write(sys.stderr.fileno(), self._channel.recv_stderr(_CHUNK_BYTES))

    def _read_typed(self) -> None:
        assert self._stdin is not None
        try:
            self._typed = os.read(self._stdin, _CHUNK_BYTES)
        except OSError:
            self._typed = b""  # a terminal that was hung up, or a standard input that is closed
        if not self._typed:
            self._stdin = None
            self._channel.shutdown_write()

    def _feed(self) -> None:
        """Sends what the guest has room for; it may be busy writing, which must not wait for us."""
        try:
            while self._typed and self._channel.send_ready():
                self._typed = self._typed[self._channel.send(self._typed) :]
        except TimeoutError:
            return
        except OSError:
            self._typed, self._stdin = b"", None  # the shell reads no more; its end says the rest


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _size() -> os.terminal_size:
    size = os.get_terminal_size(sys.stdin.fileno())
    return size if size.columns and size.lines else _UNKNOWN_SIZE


@contextmanager
def _asking() -> Iterator[None]:
    try:
        yield
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise ChannelError(f"the guest's SSH opened no shell: {error or 'it hung up'}") from error


@contextmanager
def _raw_terminal() -> Iterator[None]:
    """Keys go to the guest as they are typed; the terminal is put back whatever happens."""
    stdin = sys.stdin.fileno()
    before = termios.tcgetattr(stdin)
    try:
        tty.setraw(stdin)
        yield
    finally:
        termios.tcsetattr(stdin, termios.TCSADRAIN, before)


@contextmanager
def _size_changes() -> Iterator[int]:
    """A file that becomes readable when the terminal's size has changed.

    The handler itself sends nothing: it may run in the middle of sending, and paramiko's locks
    cannot be taken twice by one thread.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def changed(number: int, frame: object) -> None:
        del number, frame
        with suppress(BlockingIOError):
            os.write(writing, b"c")

    before = signal.signal(signal.SIGWINCH, changed)
    try:
        yield reading
    finally:
        signal.signal(signal.SIGWINCH, before)
        os.close(reading)
        os.close(writing)
