# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's log, raw as /dev/kmsg gives it, and marks left in it.

``pinhole.health.kmsg`` parses the records: a verdict does so from evidence, without a guest.
"""

from __future__ import annotations

from dataclasses import dataclass

from pinhole.errors import GuestCommandError
from pinhole.guest.channel import Channel
from pinhole.guest.fileset import Frames, field


@dataclass(frozen=True)
class KernelLog:
    """Records of /dev/kmsg, raw. ``boottime`` is when the last of them was read.

    ``overrun``: records that were asked for had been overwritten. ``truncated``: there were more
    than fit. ``first_sequence`` and ``last_sequence`` are None where there was no record.
    """

    text: str
    overrun: bool
    truncated: bool
    first_sequence: int | None
    last_sequence: int | None
    boottime: float

    @property
    def complete(self) -> bool:
        """Nothing was cut off at the end (see ``overrun`` for the beginning)."""
        return not self.truncated


def read_kmsg(channel: Channel, *, budget: float, start: int = 0) -> KernelLog:
    """All records from the sequence number ``start`` on; raises ``GuestCommandError``."""
    argv = ["pinguest", "kmsg", "--from", str(start)]
    done = channel.run(argv, budget=budget).check()
    if done.stdout_truncated:
        raise GuestCommandError("the kernel's log is larger than what one command may write")
    return parse_log(done.stdout)


def parse_log(data: bytes) -> KernelLog:
    """The output of ``pinguest kmsg``; raises ``ParseError``."""
    frames = Frames(data)
    field(frames.line(), "boottime", (int, float))
    header = frames.line()
    raw = frames.raw(field(header, "bytes", int))
    end = frames.line()
    frames.finish()
    field(end, "end", bool)
    error = field(header, "errno_name", (str, type(None)))
    if error is not None:
        raise GuestCommandError(f"the kernel's log cannot be read in the guest: {error}")
    return KernelLog(
        text=raw.decode(errors="replace"),
        overrun=field(end, "overrun", bool),
        truncated=field(header, "truncated", bool),
        first_sequence=field(end, "first_seq", (int, type(None))),
        last_sequence=field(end, "last_seq", (int, type(None))),
        boottime=float(field(end, "boottime", (int, float))),
    )


def mark(channel: Channel, text: str, *, budget: float) -> None:
    """Writes ``text``, one line of at most 900 bytes, into the kernel's log."""
    channel.run(["pinguest", "mark", text], budget=budget).check()


def between(first: str, last: str, records: str) -> str:
    """``records`` from the mark ``first`` (empty: from their beginning) to the mark ``last``.

    The kernel may write on while they are read; where a mark is not among them nothing is cut at
    that end, or for ``first`` everything.
    """
    lines = records.splitlines(keepends=True)
    begin = _line_of(first, lines) if first else 0
    end = _line_of(last, lines)
    return "".join(lines[begin : end + 1])


def _line_of(mark: str, lines: list[str]) -> int:
    """The number of the line that is ``mark``; that behind the last one if there is none."""
    found = (number for number, line in enumerate(lines) if line.rstrip("\n").endswith(f";{mark}"))
    return next(found, len(lines))
