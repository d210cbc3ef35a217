# SPDX-License-Identifier: GPL-2.0-only
"""Whether two counts differ by more than chance: ``0 of 10`` against ``6 of 10``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import comb

ALPHA = 0.05
"""A difference that chance alone gives less often than this is a change. The usual figure; the
exact test stays well below it: at most 0.021 for 10 repetitions a side, computed for every rate in
steps of 0.05."""


class Told(Enum):
    """What two counts tell."""

    EQUAL = "equal"
    CHANGED = "changed"
    CHANCE = "chance"
    TOO_FEW = "too few"
    """They differ, but with so few repetitions no difference could be told from chance."""


@dataclass(frozen=True)
class Shares:
    """``base`` of ``base_total`` repetitions against ``candidate`` of ``candidate_total``."""

    base: int
    base_total: int
    candidate: int
    candidate_total: int

    @property
    def more(self) -> bool:
        """Whether the candidate's share is the larger one."""
        return self.candidate * self.base_total > self.base * self.candidate_total

    @property
    def varied(self) -> bool:
        """Whether one side showed both answers."""
        return 0 < self.base < self.base_total or 0 < self.candidate < self.candidate_total

    def told(self) -> Told:
        """An answer that varied on neither side is taken at its word, in one run each too."""
        if self.base * self.candidate_total == self.candidate * self.base_total:
            return Told.EQUAL
        if not self.varied or self.probability() < ALPHA:
            return Told.CHANGED
        clearest = Shares(0, self.base_total, self.candidate_total, self.candidate_total)
        return Told.CHANCE if clearest.probability() < ALPHA else Told.TOO_FEW

    def probability(self) -> float:
        """How often chance alone gives counts as far apart: Fisher's exact test, two-sided."""
        both = self.base + self.candidate

        def ways(base: int) -> int:
            return comb(self.base_total, base) * comb(self.candidate_total, both - base)

        possible = range(max(0, both - self.candidate_total), min(self.base_total, both) + 1)
        seen = ways(self.base)
        as_far = sum(ways(base) for base in possible if ways(base) <= seen)
        return as_far / comb(self.base_total + self.candidate_total, both)

    def __str__(self) -> str:
        counts = (
            f"{self.base} of {self.base_total} against {self.candidate} of {self.candidate_total}"
        )
        match self.told():
            case Told.CHANGED if self.varied:
                return f"{counts}: more than chance (p = {self.probability():.2g})"
            case Told.CHANCE:
                return f"{counts}: not more than chance"
            case Told.TOO_FEW:
                return f"{counts}: too few to tell, so repeat more often"
        return counts
