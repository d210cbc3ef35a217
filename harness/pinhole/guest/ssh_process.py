# SPDX-License-Identifier: GPL-2.0-only
"""A process in the guest that runs on, over SSH."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from pinhole.errors import ChannelError, MachineError
from pinhole.guest.channel import KILL_SECONDS, STREAM_LIMIT_BYTES, Completed
from pinhole.guest.deadline import Deadline
from pinhole.guest.ssh_command import Command

if TYPE_CHECKING:
    from pinhole.guest.ssh import SshChannel


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

    def kill(self, budget: float = KILL_SECONDS) -> None:
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
            self._channel.finish(self._command)
