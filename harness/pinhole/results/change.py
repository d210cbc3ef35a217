# SPDX-License-Identifier: GPL-2.0-only
"""What became of one aspect from base to candidate: better, worse, and how sure that is.

What a repetition did not tell (None) might have been anything. So something is surely worse only
if it is so whatever those repetitions would have shown, and the same only if it cannot differ.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median, quantiles

from pinhole.results.chance import Shares, Told

SLOWER_FACTOR = 4.0
SLOWER_SECONDS = 2.0
"""A time is another one if its median is more than 4 times *and* more than 2 s away. Under TCG the
same removal of 128 MiB took 0.013 to 0.65 s in the runs that are kept as test data and those of a
day: a factor of 50 that means nothing, and never a difference of seconds. The factor keeps a hold
of minutes from being called slower for two seconds."""


class Change(StrEnum):
    """One aspect's way from base to candidate, in one word."""

    WORSE = "worse"
    MIXED = "better and worse"
    UNCLEAR = "unclear"
    """It may be worse, or it differs without being better or worse."""
    BETTER = "better"
    NOT_WORSE = "not worse, perhaps better"
    CHANCE = "not more than chance"
    SAME = "same"


@dataclass(frozen=True)
class Finding:
    """``worse`` and ``better`` are sure (both, where an aspect has several sides); ``may_be_*``
    cannot be excluded. ``words`` are the counts it rests on, where an outcome varied."""

    worse: bool = False
    better: bool = False
    may_be_worse: bool = False
    may_be_better: bool = False
    chance: bool = False
    words: tuple[str, ...] = ()

    def __or__(self, other: Finding) -> Finding:
        return Finding(
            self.worse or other.worse,
            self.better or other.better,
            self.may_be_worse or other.may_be_worse,
            self.may_be_better or other.may_be_better,
            self.chance or other.chance,
            tuple(dict.fromkeys(self.words + other.words)),
        )

    @property
    def change(self) -> Change:
        """The one word: what is sure goes before what may be."""
        if self.worse and self.better:
            return Change.MIXED
        if self.worse:
            return Change.WORSE
        if self.better and not self.may_be_worse:
            return Change.BETTER
        if self.better or self.may_be_worse:
            return Change.UNCLEAR
        if self.may_be_better:
            return Change.NOT_WORSE
        return Change.CHANCE if self.chance else Change.SAME


def ranks(sides: Sequence[Sequence[int | None]], worst: int) -> Finding:
    """Compares base's answers with candidate's by badness, from 0 to ``worst``: one a repetition,
    None for not known."""
    base, candidate = sides
    found = Finding()
    for limit in range(1, worst + 1):
        found |= _at(limit, base, candidate)
    return found


def names(sides: Sequence[Sequence[Hashable | None]]) -> Finding:
    """Compares answers that have no order: a change is neither better nor worse, so unclear."""
    known = [[one for one in side if one is not None] for side in sides]
    found = Finding()
    if not all(known):
        return found
    for name in dict.fromkeys(known[0] + known[1]):
        shares = Shares(known[0].count(name), len(known[0]), known[1].count(name), len(known[1]))
        told = shares.told()
        unclear = told in (Told.CHANGED, Told.TOO_FEW)
        found |= Finding(
            may_be_worse=unclear,
            may_be_better=unclear,
            chance=told is Told.CHANCE,
            words=_words(shares),
        )
    return found


def seconds(base: Sequence[float], candidate: Sequence[float]) -> Finding:
    """Compares times by their medians, and by their quartiles where there are repetitions."""
    if not base or not candidate:
        return Finding()
    slower, faster = _slower(base, candidate), _slower(candidate, base)
    if not slower and not faster:
        return Finding()
    low, high = (base, candidate) if slower else (candidate, base)
    if _quartiles(low)[1] < _quartiles(high)[0]:
        return Finding(worse=slower, better=faster)
    words = ("the times vary too much to tell, so repeat more often",)
    return Finding(may_be_worse=slower, may_be_better=faster, words=words)


def _at(limit: int, base: Sequence[int | None], candidate: Sequence[int | None]) -> Finding:
    """Compares how many repetitions are as bad as ``limit`` or worse."""

    def shares(unknown_base: bool, unknown_candidate: bool) -> Shares:
        return Shares(
            sum(unknown_base if one is None else one >= limit for one in base),
            len(base),
            sum(unknown_candidate if one is None else one >= limit for one in candidate),
            len(candidate),
        )

    # Whatever is not known speaks against the candidate, and then for it.
    against, in_favour = shares(False, True), shares(True, False)
    worse = in_favour.told() is Told.CHANGED and in_favour.more
    better = against.told() is Told.CHANGED and not against.more
    differs = (Told.CHANGED, Told.TOO_FEW)
    return Finding(
        worse=worse,
        better=better,
        may_be_worse=not worse and against.told() in differs and against.more,
        may_be_better=not better and in_favour.told() in differs and not in_favour.more,
        chance=Told.CHANCE in (against.told(), in_favour.told()),
        words=_words(against) if against == in_favour else (_unknown(base, candidate),),
    )


def _unknown(base: Sequence[int | None], candidate: Sequence[int | None]) -> str:
    counts = [f"{side.count(None)} of {len(side)}" for side in (base, candidate)]
    return f"not known in {counts[0]} against {counts[1]}"


def _words(shares: Shares) -> tuple[str, ...]:
    return (str(shares),) if shares.varied and shares.told() is not Told.EQUAL else ()


def _slower(first: Sequence[float], second: Sequence[float]) -> bool:
    before, after = median(first), median(second)
    return after > SLOWER_FACTOR * before and after - before > SLOWER_SECONDS


def _quartiles(samples: Sequence[float]) -> tuple[float, float]:
    if len(samples) == 1:
        return samples[0], samples[0]
    low, _, high = quantiles(samples, n=4, method="inclusive")
    return low, high
