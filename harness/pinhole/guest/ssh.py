# SPDX-License-Identifier: GPL-2.0-only
"""The channel into the guest over SSH, with paramiko and the guest's dropbear."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import paramiko

from pinhole.errors import BudgetError, ChannelError, MachineError, UsageError
from pinhole.guest.channel import (
    KILL_SECONDS,
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
from pinhole.guest.ssh_pool import ConnectionPool, Reach
from pinhole.guest.ssh_process import SshProcess
from pinhole.size import MIB

# What read_many() may bring: a snapshot is under 1 MiB, the kernel's whole log about 2 MiB.
_FRAMED_LIMIT_BYTES = 64 * MIB
_WRITE_BYTES = "64k"


class SshChannel:
    """A ``Channel`` over SSH; also a context manager that closes it."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

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
        out its budget. ``alive`` is called about four times a second while something is waited
        for, and whenever a connection breaks.
        """
        pool = ConnectionPool(Reach(address, client_key, host_key), alive)
        first = pool.take(Deadline(budget, "connecting to the guest by SSH"))
        pool.give_back(first, reusable=True)
        return cls(pool)

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", budget: float) -> Completed:
        """Runs ``argv`` to its end."""
        return self._run(argv, stdin, budget, STREAM_LIMIT_BYTES)

    def _run(self, argv: Sequence[str], stdin: bytes, budget: float, limit_bytes: int) -> Completed:
        deadline = Deadline(budget, f"{shown(argv)} in the guest")
        with self._command(argv, deadline, limit_bytes) as command:
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

    def spawn(self, argv: Sequence[str], *, budget: float) -> GuestProcess:
        """Starts ``argv``; the process is ended by leaving its ``with`` block."""
        deadline = Deadline(budget, f"starting {shown(argv)} in the guest")
        command = self.start(argv, deadline, STREAM_LIMIT_BYTES)
        try:
            command.await_pid(deadline)
        except BaseException as error:
            if not isinstance(error, ChannelError):
                error.add_note(self._end(command))
            self.finish(command)
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
        """Ends all connections and their threads; what runs in the guest is not ended by that."""
        self._pool.close()

    def __enter__(self) -> SshChannel:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def start(self, argv: Sequence[str], deadline: Deadline, limit_bytes: int) -> Command:
        """Starts ``argv`` on a connection of its own; ``finish`` must follow."""
        transport = self._pool.take(deadline)
        try:
            return Command(
                transport,
                argv,
                deadline=deadline,
                check=lambda: self._pool.check(transport),
                limit_bytes=limit_bytes,
            )
        except BaseException:
            self._pool.give_back(transport, reusable=False)
            raise

    def finish(self, command: Command) -> None:
        """Frees the command's connection: for the next one if the command has finished."""
        reusable = command.has_finished
        command.close()
        self._pool.give_back(command.transport, reusable=reusable)

    @contextmanager
    def _command(
        self, argv: Sequence[str], deadline: Deadline, limit_bytes: int = STREAM_LIMIT_BYTES
    ) -> Iterator[Command]:
        command = self.start(argv, deadline, limit_bytes)
        try:
            yield command
        finally:
            self.finish(command)

    def send_signal(self, target: str, name: str, budget: float) -> None:
        """``kill -NAME target``: a process id, or a process group's with ``-`` before it.

        Nothing happens if it is gone. Raises ``UsageError`` for a signal that does not exist.
        """
        if f"SIG{name}" not in signal.Signals.__members__:
            raise UsageError(f"{name!r} names no signal (write TERM, KILL, USR1, …)")
        deadline = Deadline(budget, f"kill -{name} {target} in the guest")
        with self._command(["kill", f"-{name}", "--", target], deadline) as kill:
            kill.end_stdin()
            kill.pump(deadline, lambda: kill.has_finished)

    def kill_group(self, command: Command, budget: float) -> None:
        """Kills the command and all that it started; ``BudgetError`` if it does not go."""
        deadline = Deadline(budget, f"killing {command.name} (process {command.pid})")
        command.await_pid(deadline)
        self.send_signal(f"-{command.pid}", "KILL", deadline.left)
        command.pump(deadline, lambda: command.has_finished)

    def _end(self, command: Command) -> str:
        """Ends the command; what became of it, in words, for the error that is on its way."""
        try:
            self.kill_group(command, KILL_SECONDS)
        except BudgetError:
            return f"its process {command.pid or 'without an id'} could not be killed either"
        except MachineError as error:
            return f"its process {command.pid} may live on ({error})"
        return f"its process {command.pid} was killed"


# The C library of the guest and of the host word errors alike in the "C" locale.
_ERRNO_OF = {os.strerror(code): name for code, name in errno.errorcode.items()}
