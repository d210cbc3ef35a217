# SPDX-License-Identifier: GPL-2.0-only
"""The protocol by which everything else reaches inside the guest.

Each call has a budget in seconds. One that runs out raises ``BudgetError``, after the machine was
asked whether it is alive (``QemuDiedError`` and ``GuestPanickedError`` win over it) and
after the process in the guest was ended. A connection that broke raises ``ChannelError``,
likewise. ``tests/vm/channel_contract.py`` is what every implementation must pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from pinhole.errors import GuestCommandError
from pinhole.guest.fileset import FileSet
from pinhole.guest.quote import shown
from pinhole.size import MIB

STREAM_LIMIT_BYTES = 8 * MIB
"""How much of one stream of a command is kept; the rest is read and dropped."""

KILL_SECONDS = 5.0
"""How long a process may take to go once it was sent KILL, where nobody says otherwise."""

Alive = Callable[[], None]
"""Raises the machine's own error (QEMU died, the guest panicked), or returns at once."""


class GuestFileError(GuestCommandError):
    """A file in the guest could not be read or written.

    ``errno_name`` is ``ENOENT``, ``EBUSY``, …; None where the guest's words name none.
    """

    def __init__(self, doing: str, path: str, errno_name: str | None, words: str = "") -> None:
        reason = ", ".join(part for part in (errno_name, words) if part) or "no reason given"
        super().__init__(f"cannot {doing} {path!r} in the guest: {reason}")
        self.path = path
        self.errno_name = errno_name


@dataclass(frozen=True)
class Completed:
    """A command that ended: by itself with ``status``, or by ``signal`` (``TERM``, no ``SIG``).

    ``stdout`` and ``stderr`` hold at most the first ``STREAM_LIMIT_BYTES`` that were written.
    """

    argv: tuple[str, ...]
    status: int | None
    signal: str | None
    stdout: bytes
    stderr: bytes
    stdout_truncated: bool
    stderr_truncated: bool
    seconds: float

    @property
    def ok(self) -> bool:
        """The command ended with status 0."""
        return self.status == 0

    @property
    def text(self) -> str:
        """``stdout``, decoded with replacement."""
        return self.stdout.decode(errors="replace")

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        return f"signal {self.signal}" if self.signal else f"status {self.status}"

    def check(self) -> Completed:
        """This, if the command ended with status 0; else raises ``GuestCommandError``."""
        if not self.ok:
            words = self.stderr.decode(errors="replace").strip()[-300:]
            raise GuestCommandError(
                f"{shown(self.argv)} in the guest ended with {self.ending}, wanted status 0"
                + (f"; it said {words!r}" if words else " and said nothing on standard error")
            )
        return self


class GuestProcess(Protocol):
    """A process in the guest that runs on; leaving its ``with`` block ends it."""

    @property
    def argv(self) -> tuple[str, ...]: ...

    @property
    def pid(self) -> int:
        """Its process id in the guest, also the id of its process group."""
        ...

    def read_line(self, budget: float) -> str | None:
        """The next line of its standard output, without the newline; None at the end.

        A line over ``STREAM_LIMIT_BYTES`` raises ``ChannelError``. A budget that runs out raises
        ``BudgetError`` and leaves the process, and the part of a line that was read, as they are.
        """
        ...

    def write(self, data: bytes, *, budget: float) -> None:
        """Writes to its standard input; ``ChannelError`` if it has closed that."""
        ...

    def close_stdin(self) -> None:
        """Ends its standard input."""
        ...

    def signal(self, name: str, *, budget: float) -> None:
        """Sends it the signal ``name`` (``TERM``, no ``SIG``); nothing if it has ended."""
        ...

    def wait(self, budget: float) -> Completed:
        """How it ended, with what was not read of its output; ``BudgetError`` leaves it."""
        ...

    def kill(self, budget: float = ...) -> None:
        """Sends KILL to it and its group and waits; ``BudgetError`` if even that fails."""
        ...

    def __enter__(self) -> GuestProcess: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Channel(Protocol):
    """A way into the guest. Several threads may use one at once."""

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", budget: float) -> Completed:
        """Runs ``argv`` to its end."""
        ...

    def spawn(self, argv: Sequence[str], *, budget: float) -> GuestProcess:
        """Starts ``argv``; ``budget`` is for starting it only."""
        ...

    def read(self, path: str, *, budget: float, limit_bytes: int = STREAM_LIMIT_BYTES) -> bytes:
        """The content of a file; ``GuestFileError`` if that fails or it is over the limit."""
        ...

    def write(self, path: str, data: bytes, *, budget: float) -> None:
        """Makes ``data`` the content of a file, with one write(2) up to 64 KiB (sysfs)."""
        ...

    def read_many(self, globs: Sequence[str], *, budget: float) -> FileSet:
        """All files that match, in one round trip; what could not be read says its errno."""
        ...

    def close(self) -> None:
        """Ends the connection; calling it again does nothing."""
        ...
