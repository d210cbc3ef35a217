# SPDX-License-Identifier: GPL-2.0-only
"""Outcomes: what a mechanism answered, in the words of that mechanism."""

from __future__ import annotations

from pinhole.yamlfile import StrictModel

MIGRATED = "migrated"
PINNED_IN_MOVABLE = "pinned-in-movable"
HELD = "held"
"""Pages are held by plain references: no long-term pin, so nothing had to be migrated."""
NOT_HELD = "not-held"
"""The call came to where it should hold, and no page is held by it."""
REFUSED = "refused"
REFUSED_LEAKY = "refused-leaky"
SPINNING_KILLABLE = "spinning-killable"
"""The call did not return in its budget, used a CPU all the while, and SIGKILL ended it."""
SPINNING_UNKILLABLE = "spinning-unkillable"
OOM_KILLED = "oom-killed"
REMOVED = "removed"
STILL_LOOPING = "still-looping"
UNKILLABLE = "unkillable"


class Outcome(StrictModel):
    """A word, and what stands beside it: an errno, or the budget for which it was watched.

    Nothing is called endless that was only watched for a while: ``budget_seconds`` says how long,
    ``passes`` how many migrations the kernel tried meanwhile (null where it cannot be counted).
    """

    word: str
    errno: str | None = None
    budget_seconds: float | None = None
    passes: int | None = None

    @property
    def name(self) -> str:
        """The outcome as expectations name it: ``removed``, ``refused(ENOMEM)``."""
        return f"{self.word}({self.errno})" if self.errno else self.word

    def __str__(self) -> str:
        if self.budget_seconds is None:
            return self.name
        watched = f"{self.budget_seconds:g} s"
        return (
            f"{self.word}({watched})"
            if self.passes is None
            else (f"{self.word}({watched}, {self.passes} passes)")
        )


class BlockOutcome(StrictModel):
    """What became of one try to remove one memory block, and how many held pages are in it."""

    block: str
    outcome: Outcome
    held_pages: int
    seconds: float
