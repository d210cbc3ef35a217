# SPDX-License-Identifier: GPL-2.0-only
"""One command on a channel of an SSH connection: bytes in, bounded bytes out, how it ended."""

from __future__ import annotations

import select
from collections.abc import Callable, Sequence

import paramiko
from paramiko.ssh_exception import SSHException

from pinhole.errors import ChannelError
from pinhole.guest.channel import STREAM_LIMIT_BYTES, Completed
from pinhole.guest.deadline import Deadline
from pinhole.guest.quote import shell_line, shown
from pinhole.guest.ssh_attend import attended
from pinhole.guest.ssh_transport import Transport

_CHUNK_BYTES = 1 << 16
_TICK_SECONDS = 0.25
_FEED_TICK_SECONDS = 0.01
_PID_LINE_BYTES = 32


class Stream:
    """The first ``limit_bytes`` of what a process wrote to one stream; the rest is dropped."""

    def __init__(self, limit_bytes: int) -> None:
        self.data = bytearray()
        self.truncated = False
        self._limit = limit_bytes

    def add(self, data: bytes) -> None:
        room = self._limit - len(self.data)
        self.data += data[:room]
        self.truncated = self.truncated or len(data) > room


class Command:
    """``argv`` running in the guest in a session of its own, so that all of it can be killed."""

    def __init__(
        self,
        transport: Transport,
        argv: Sequence[str],
        *,
        deadline: Deadline,
        check: Callable[[], None],
        limit_bytes: int = STREAM_LIMIT_BYTES,
    ) -> None:
        """Starts it. ``check`` is called while waiting, and raises if the machine is dead."""
        self.argv = tuple(argv)
        self.name = f"{shown(argv)} in the guest"
        self.pid = 0
        self._ended: Completed | None = None
        self.stdout = Stream(limit_bytes)
        self.stderr = Stream(limit_bytes)
        self.stdin = bytearray()
        self._stdin_ends = False
        self._stdin_ended = False
        self._check = check
        self._clock = Deadline(deadline.budget, self.name)
        self.transport = transport
        self._pid_line = bytearray()
        # The shell says its process id and becomes setsid, which becomes the program: they all
        # have the same id, which is then also that of the session and the process group.
        line = f"echo $$; exec setsid {shell_line(argv)}"

        def begin() -> paramiko.Channel:
            channel = transport.begin(deadline)
            channel.exec_command(line.encode())
            return channel

        try:
            self._channel = attended(
                begin,
                alive=check,
                abort=transport.close,
                deadline=deadline,
            )
        except (SSHException, OSError, EOFError) as error:
            raise self.broken(deadline, f"cannot start {self.name}: {error}") from error
        self._channel.settimeout(0.0)
        self._poll = select.poll()
        self._poll.register(self._channel.fileno(), select.POLLIN)

    @property
    def has_exited(self) -> bool:
        """The process ended; what it started may run on."""
        return (
            self._ended is not None
            or self.transport.exit_signal is not None
            or (self._channel.exit_status_ready() and self._channel.exit_status != -1)
        )

    @property
    def has_finished(self) -> bool:
        """The process ended, all of its output is here, and the connection is free again."""
        if self._ended is not None:
            return True
        closed = self.transport.closed_by_guest.is_set()
        return closed and self.has_exited and not self._ready()

    @property
    def is_at_end(self) -> bool:
        """No more output will come."""
        return bool(self._channel.eof_received or self._channel.closed) and not self._ready()

    def end_stdin(self) -> None:
        """No more input follows what is in ``stdin``."""
        self._stdin_ends = True

    def pump(self, deadline: Deadline, until: Callable[[], bool]) -> None:
        """Moves data both ways until ``until()``; raises ``BudgetError`` or ``ChannelError``."""
        while not until():
            if self._drain() or self.feed():
                continue
            if until():
                return
            if self._is_closed:
                raise self.broken(deadline, f"the connection broke during {self.name}")
            if deadline.left <= 0:
                self._check()
                raise deadline.error()
            self._check()
            tick = _FEED_TICK_SECONDS if self.stdin else _TICK_SECONDS
            if self._channel.eof_received:  # the pipe stays readable from here on
                self.transport.closed_by_guest.wait(min(deadline.left, tick))
            else:
                self._poll.poll(1000 * min(deadline.left, tick))

    def await_pid(self, deadline: Deadline) -> None:
        """Until the process has said its id, or can no longer do so."""
        self.pump(deadline, lambda: self.pid > 0 or self.has_finished)

    def completed(self) -> Completed:
        """How it ended; only after ``has_finished``."""
        if self._ended is not None:
            return self._ended
        signal = self.transport.exit_signal
        return Completed(
            argv=self.argv,
            status=None if signal else self._channel.exit_status,
            signal=signal,
            stdout=bytes(self.stdout.data),
            stderr=bytes(self.stderr.data),
            stdout_truncated=self.stdout.truncated,
            stderr_truncated=self.stderr.truncated,
            seconds=self._clock.spent,
        )

    def close(self) -> None:
        """Ends the channel, not the process."""
        if self.has_finished:
            # The connection's next command overwrites how this one ended.
            self._ended = self.completed()
        self._channel.close()

    def broken(self, deadline: Deadline, what: str) -> Exception:
        """The error for a channel that closed: the machine's own, the budget's, or this."""
        self._check()
        if deadline.left <= 0:
            return deadline.error()
        return ChannelError(f"{what} ({self.transport.get_exception() or 'closed by the guest'})")

    @property
    def _is_closed(self) -> bool:
        """The channel ended, by the guest or with the connection."""
        return self._channel.closed or self.transport.closed_by_guest.is_set()

    def _ready(self) -> bool:
        return self._channel.recv_ready() or self._channel.recv_stderr_ready()

    def _drain(self) -> bool:
        moved = False
        while self._channel.recv_ready():
            self._take(self._channel.recv(_CHUNK_BYTES))
            moved = True
        while self._channel.recv_stderr_ready():
            self.stderr.add(self._channel.recv_stderr(_CHUNK_BYTES))
            moved = True
        return moved

    def _take(self, data: bytes) -> None:
        """Standard output, whose first line is the shell's and names the process."""
        if self.pid:
            self.stdout.add(data)
            return
        self._pid_line += data
        line, newline, rest = self._pid_line.partition(b"\n")
        if newline and line.isdigit() and int(line) > 1:
            self.pid = int(line)
            self.stdout.add(bytes(rest))
        elif newline or len(self._pid_line) > _PID_LINE_BYTES:
            raise ChannelError(f"the guest's shell did not name a process for {self.name}")

    def feed(self) -> bool:
        """Sends what fits of ``stdin``, then its end; False if nothing moved."""
        if self._stdin_ended or not (self.stdin or self._stdin_ends):
            return False
        try:
            if not self.stdin:
                self._stdin_ended = True
                self._channel.shutdown_write()
                return True
            if not self._channel.send_ready():
                return False
            sent = self._channel.send(bytes(self.stdin[:_CHUNK_BYTES]))
        except TimeoutError:
            return False
        except (OSError, EOFError):
            # The process went without reading all of it, as `true` does: how it ended says more.
            self._stdin_ended = True
            sent = len(self.stdin)
        del self.stdin[:sent]
        return True

    @property
    def takes_input(self) -> bool:
        """Its standard input is open, as far as can be known."""
        return not (self._stdin_ended or self._stdin_ends or self.has_exited)

    @property
    def connection_is_lost(self) -> bool:
        """No command can be sent on this connection any more."""
        return not self.transport.is_active()
