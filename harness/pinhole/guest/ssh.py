# SPDX-License-Identifier: GPL-2.0-only
"""The channel into the guest over SSH: one connection, a channel of it for each command."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections.abc import Sequence
from types import TracebackType

import paramiko

from pinhole.errors import BudgetError, ChannelError, MachineError, UsageError
from pinhole.guest.channel import (
    STREAM_LIMIT_BYTES,
    Alive,
    Completed,
    GuestFileError,
    GuestProcess,
)
from pinhole.guest.deadline import Deadline
from pinhole.guest.fileset import FileSet, parse_fileset
from pinhole.guest.quote import glob_literal, shown
from pinhole.guest.ssh_command import Command
from pinhole.guest.ssh_transport import Transport, connect_transport
from pinhole.size import MIB

# What read_many() may bring: a snapshot is under 1 MiB, the kernel's whole log about 2 MiB.
_FRAMED_LIMIT_BYTES = 64 * MIB
_KILL_BUDGET_SECONDS = 5.0
# QEMU's end is seen by its own watcher a moment after the socket breaks.
_DEATH_SECONDS = 1.0
_WRITE_BYTES = "64k"


class SshChannel:
    """A ``Channel`` over one SSH connection; also a context manager that closes it."""

    def __init__(self, transport: Transport, alive: Alive | None = None) -> None:
        self._transport = transport
        self._alive = alive
        self._closing = threading.Lock()

    @classmethod
    def connect(
        cls,
        address: tuple[str, int],
        *,
        client_key: paramiko.PKey,
        host_key: paramiko.PKey,
        budget: float,
        alive: Alive | None = None,
    ) -> SshChannel:
        """Connects to a guest that has said that it is ready.

        Not before: QEMU's user networking accepts the connection, and the handshake then waits
        out its budget. Keys as in ``connect_transport``. ``alive`` is called about four times a
        second while something is waited for, and whenever the connection breaks.
        """
        try:
            deadline = Deadline(budget, "connecting to the guest by SSH")
            return cls(
                connect_transport(
                    address, client_key=client_key, host_key=host_key, deadline=deadline
                ),
                alive,
            )
        except ChannelError:
            _await_death(alive)
            raise

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", budget: float) -> Completed:
        """Runs ``argv`` to its end."""
        return self._run(argv, stdin, budget, STREAM_LIMIT_BYTES)

    def _run(self, argv: Sequence[str], stdin: bytes, budget: float, limit_bytes: int) -> Completed:
        deadline = Deadline(budget, f"{shown(argv)} in the guest")
        command = self._start(argv, deadline, limit_bytes)
        try:
            command.stdin += stdin
            command.end_stdin()
            command.pump(deadline, lambda: command.has_finished)
            return command.completed()
        except BudgetError as error:
            raise deadline.error(self._end(command)) from error
        except MachineError:
            raise
        except BaseException as error:  # an interrupt: leave nothing behind
            error.add_note(self._end(command))
            raise
        finally:
            command.close()

    def spawn(self, argv: Sequence[str], *, budget: float) -> GuestProcess:
        """Starts ``argv``; the process is ended by leaving its ``with`` block."""
        deadline = Deadline(budget, f"starting {shown(argv)} in the guest")
        command = self._start(argv, deadline, STREAM_LIMIT_BYTES)
        try:
            command.await_pid(deadline)
        except BaseException as error:
            if not isinstance(error, ChannelError):
                error.add_note(self._end(command))
            command.close()
            raise
        return SshProcess(self, command)

    def read(self, path: str, *, budget: float, limit_bytes: int = STREAM_LIMIT_BYTES) -> bytes:
        """The content of a file."""
        argv = ["pinguest", "read", f"--limit={limit_bytes}", "--", glob_literal(path)]
        found = parse_fileset(self._framed(argv, budget=budget))
        file = next(iter(found.files.values()))
        if file.errno_name is not None:
            raise GuestFileError("read", path, file.errno_name)
        if file.truncated:
            raise GuestFileError("read", path, "EFBIG", f"it is over {limit_bytes} bytes")
        return file.data

    def write(self, path: str, data: bytes, *, budget: float) -> None:
        """Makes ``data`` the content of a file."""
        # dd, not a redirection: sysfs wants its value in one write(), and dd says why it failed.
        argv = ["dd", f"of={path}", f"bs={_WRITE_BYTES}", "iflag=fullblock"]
        done = self.run(argv, stdin=data, budget=budget)
        if not done.ok:
            words = done.stderr.decode(errors="replace")
            reasons = [line.rpartition(": ")[2] for line in words.splitlines()]
            named = [_ERRNO_OF[reason] for reason in reasons if reason in _ERRNO_OF]
            raise GuestFileError(
                "write", path, named[0] if named else None, "" if named else words[:200]
            )

    def read_many(self, globs: Sequence[str], *, budget: float) -> FileSet:
        """All files that match, in one round trip."""
        return parse_fileset(self._framed(["pinguest", "read", "--", *globs], budget=budget))

    def _framed(self, argv: Sequence[str], *, budget: float) -> bytes:
        """The output of one of pinhole's programs that frames its own, larger output."""
        done = self._run(argv, b"", budget, _FRAMED_LIMIT_BYTES).check()
        if done.stdout_truncated:
            raise ChannelError(f"{shown(argv)} wrote over {_FRAMED_LIMIT_BYTES} bytes")
        return done.stdout

    def close(self) -> None:
        """Ends the connection and its thread."""
        with self._closing:
            self._transport.stop()

    def __enter__(self) -> SshChannel:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _start(self, argv: Sequence[str], deadline: Deadline, limit_bytes: int) -> Command:
        return Command(
            self._transport, argv, deadline=deadline, check=self._check, limit_bytes=limit_bytes
        )

    def _check(self) -> None:
        """Raises the machine's own error if it is dead, and waits for it if it may just be."""
        if not self._transport.is_active():
            _await_death(self._alive)
        elif self._alive is not None:
            self._alive()

    def send_signal(self, target: str, name: str, budget: float) -> None:
        """``kill -NAME target``: a process id, or a process group's with ``-`` before it.

        Nothing happens if it is gone. Raises ``UsageError`` for a signal that does not exist.
        """
        if f"SIG{name}" not in signal.Signals.__members__:
            raise UsageError(f"{name!r} names no signal (write TERM, KILL, USR1, …)")
        deadline = Deadline(budget, f"kill -{name} {target} in the guest")
        kill = self._start(["kill", f"-{name}", "--", target], deadline, STREAM_LIMIT_BYTES)
        try:
            kill.end_stdin()
            kill.pump(deadline, lambda: kill.has_finished)
        finally:
            kill.close()

    def kill_group(self, command: Command, budget: float) -> None:
        """Kills the command and all that it started; ``BudgetError`` if it does not go."""
        deadline = Deadline(budget, f"killing {command.name} (process {command.pid})")
        command.await_pid(deadline)
        self.send_signal(f"-{command.pid}", "KILL", deadline.left)
        command.pump(deadline, lambda: command.has_finished)

    def _end(self, command: Command) -> str:
        """Ends the command; what became of it, in words, for the error that is on its way."""
        try:
            self.kill_group(command, _KILL_BUDGET_SECONDS)
        except BudgetError:
            return f"its process {command.pid or 'without an id'} could not be killed either"
        except MachineError as error:
            return f"its process {command.pid} may live on ({error})"
        return f"its process {command.pid} was killed"


class SshProcess:
    """A ``GuestProcess`` over SSH."""

    def __init__(self, channel: SshChannel, command: Command) -> None:
        self._channel = channel
        self._command = command

    @property
    def argv(self) -> tuple[str, ...]:
        """The command, as it was given."""
        return self._command.argv

    @property
    def pid(self) -> int:
        """Its process id in the guest."""
        return self._command.pid

    def read_line(self, budget: float) -> str | None:
        """The next line of its standard output; None at the end."""
        command, stdout = self._command, self._command.stdout
        deadline = Deadline(budget, f"a line of {command.name}")
        command.pump(
            deadline, lambda: b"\n" in stdout.data or stdout.truncated or command.is_at_end
        )
        if b"\n" not in stdout.data and stdout.truncated:
            raise ChannelError(f"{command.name} wrote a line of over {STREAM_LIMIT_BYTES} bytes")
        if not stdout.data:
            if command.connection_is_lost:
                raise command.broken(deadline, f"the connection broke before {command.name} ended")
            return None
        line, _, rest = bytes(stdout.data).partition(b"\n")
        stdout.data[:] = rest
        return line.decode(errors="replace")

    def write(self, data: bytes, *, budget: float) -> None:
        """Writes to its standard input."""
        command = self._command
        if not command.takes_input:
            raise ChannelError(f"{command.name} takes no more input")
        command.stdin += data
        command.pump(Deadline(budget, f"writing to {command.name}"), lambda: not command.stdin)

    def close_stdin(self) -> None:
        """Ends its standard input."""
        self._command.end_stdin()
        self._command.feed()

    def signal(self, name: str, *, budget: float) -> None:
        """Sends it the signal ``name``; nothing if it has ended."""
        if not self._command.has_exited:
            self._channel.send_signal(str(self.pid), name, budget)

    def wait(self, budget: float) -> Completed:
        """How it ended, with what was not read of its output."""
        deadline = Deadline(budget, f"the end of {self._command.name}")
        self._command.pump(deadline, lambda: self._command.has_finished)
        return self._command.completed()

    def kill(self, budget: float = _KILL_BUDGET_SECONDS) -> None:
        """Kills it and its process group, and waits for its end."""
        if not self._command.has_finished:
            self._channel.kill_group(self._command, budget)

    def __enter__(self) -> SshProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.kill()
        except MachineError as failure:
            if error is None:
                raise
            error.add_note(f"and {self._command.name} could not be ended: {failure}")
        finally:
            self._command.close()


def _await_death(alive: Alive | None) -> None:
    """Gives a machine whose connection broke a moment to say that it is dead."""
    deadline = Deadline(_DEATH_SECONDS, "the machine's end")
    while alive is not None and deadline.left > 0:
        alive()
        time.sleep(0.05)


# The C library of the guest and of the host word errors alike in the "C" locale.
_ERRNO_OF = {os.strerror(code): name for code, name in errno.errorcode.items()}
