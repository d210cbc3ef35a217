# SPDX-License-Identifier: GPL-2.0-only
"""A try to take memory away by a write that may not return: client of ``pinguest remove``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pinhole.guest.channel import Channel
from pinhole.guest.fileset import field, json_object

# Beside its budget and two graces (SIGTERM, SIGKILL) the try takes a start and an answer.
_ANSWER_SECONDS = 10.0


@dataclass(frozen=True)
class RemovalAttempt:
    """What came of writing ``value`` into ``path``; times in seconds since the try began.

    ``ended`` is False where not even SIGKILL ended the write. ``errno_name`` is None where the
    write succeeded or never returned. ``passes`` counts the kernel's passes over the
    block, where that could be counted. ``raw`` is the whole line, for evidence.
    """

    path: str
    value: str
    ended: bool
    errno_name: str | None
    began: float
    seconds: float
    budget_seconds: float
    sigterm_at: float | None
    sigkill_at: float | None
    passes: int | None
    raw: Mapping[str, Any]

    @property
    def succeeded(self) -> bool:
        """The write returned without an error, before SIGTERM was needed."""
        returned = self.raw.get("result") == 0
        return self.ended and returned and self.sigterm_at is None

    def __str__(self) -> str:
        if self.succeeded:
            return f"done in {self.seconds:.2f} s"
        if not self.ended:
            return f"not even SIGKILL ended the write in {self.seconds:.1f} s"
        if self.sigterm_at is None:
            return f"refused with {self.errno_name} after {self.seconds:.2f} s"
        return f"ended by a signal after its budget of {self.budget_seconds:g} s"


def parse_attempt(text: str) -> RemovalAttempt:
    """The line of ``pinguest remove``; raises ``ParseError``."""
    raw = json_object(text, "pinguest remove")
    number, optional = (int, float), (int, float, type(None))
    field(raw, "result", (int, type(None)))
    return RemovalAttempt(
        path=field(raw, "path", str),
        value=field(raw, "value", str),
        ended=field(raw, "ended", bool),
        errno_name=field(raw, "errno_name", (str, type(None))),
        began=field(raw, "began", number),
        seconds=field(raw, "seconds", number),
        budget_seconds=field(raw, "budget_seconds", number),
        sigterm_at=field(raw, "sigterm_at", optional),
        sigkill_at=field(raw, "sigkill_at", optional),
        passes=field(raw, "passes", (int, type(None))),
        raw=raw,
    )


def try_removal(
    channel: Channel,
    path: str,
    value: str,
    *,
    budget: float,
    grace: float,
    count_passes: bool = True,
) -> RemovalAttempt:
    """Writes ``value`` into ``path``: SIGTERM after ``budget``, SIGKILL ``grace`` later.

    Returns whatever came of it; raises only if the try itself could not be made.
    """
    argv = ["pinguest", "remove", f"--budget={budget:.3f}", f"--grace={grace:.3f}"]
    argv += ["--count-passes"] if count_passes else []
    whole = budget + 2 * grace + _ANSWER_SECONDS
    done = channel.run([*argv, "--", path, value], budget=whole).check()
    return parse_attempt(done.text)
