# SPDX-License-Identifier: GPL-2.0-only
"""The aspects in which two kernels' records of one scenario are compared, each with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median

from pinhole.plan import Promise
from pinhole.results.change import Change, Finding, names, ranks, seconds
from pinhole.results.record import Record
from pinhole.scenario import outcome as words
from pinhole.scenario.outcome import BlockOutcome, Outcome
from pinhole.scenario.ruling import State
from pinhole.yamlfile import StrictModel

PIN_ORDER: Mapping[str, int] = {
    words.MIGRATED: 0,
    words.HELD: 0,
    # A pin that fails for no need is a failure to the program that asked for it.
    words.REFUSED: 1,
    words.PINNED_IN_MOVABLE: 2,
    words.REFUSED_LEAKY: 3,
    "spinning-killable": 4,
    "oom-killed": 5,
    "spinning-unkillable": 6,
}
"""How bad each outcome of a hold is. A word that is not here compares with nothing but itself."""
BLOCK_ORDER: Mapping[str, int] = {
    words.REMOVED: 0,
    words.REFUSED: 1,
    words.STILL_LOOPING: 2,
    words.UNKILLABLE: 3,
}
"""How bad each outcome of a block's removal is."""
ROUNDS = ("while pages are held", "after release")

Pair = tuple[Sequence[Record], Sequence[Record]]
"""The judged or failed repetitions of base and candidate; none of them is a SKIP."""
Blocks = tuple[BlockOutcome, ...]


class Reason(StrictModel):
    """One aspect that is not the same: both answers with their counts, and what shows it.

    ``words`` are pinhole's own; what shows it is, of each side, sentences of judgements and lines
    of dmesg, in which a guest may have written anything.
    """

    what: str
    change: Change
    before: str
    after: str
    words: tuple[str, ...] = ()
    base_shows: tuple[str, ...] = ()
    candidate_shows: tuple[str, ...] = ()

    @property
    def shown(self) -> tuple[str, ...]:
        """What shows it, with its side before each sentence."""
        return (
            *(f"base: {one}" for one in self.base_shows),
            *(f"candidate: {one}" for one in self.candidate_shows),
        )


def reasons(pair: Pair, *, with_times: bool) -> Iterator[Reason]:
    """All aspects that are not the same; times only where the machines were of one kind."""
    unjudged = [all(one.verdict is None for one in side) for side in pair]
    if any(unjudged):
        yield _not_judged(pair)
        return
    yield from _another_machine(pair)
    yield from _pins(pair)
    for promise in Promise:
        yield from _promise(pair, promise)
    for number, name in enumerate(ROUNDS):
        yield from _blocks(pair, number, name)
    if with_times:
        yield from _hold_times(pair)
        for number, name in enumerate(ROUNDS):
            yield from _removal_times(pair, number, name)


def tally(answers: Sequence[str]) -> dict[str, int]:
    """Answers with their counts, the most frequent first."""
    return dict(Counter(answers).most_common())


def shown_tally(counts: Mapping[str, int]) -> str:
    """``migrated``; of several repetitions ``9x migrated, 1x refused(ENOMEM)``."""
    if sum(counts.values()) == 1:
        return next(iter(counts))
    return ", ".join(f"{count}x {_grouped(name)}" for name, count in counts.items())


def pin_answer(record: Record) -> str:
    """The outcome of the hold with its budget, or why there is none."""
    if record.verdict is None:
        return record.status.value
    return str(record.verdict.pin) if record.verdict.pin else "not known"


def blocks_of(record: Record, number: int) -> Blocks | None:
    """The blocks' outcomes of a round (see ``ROUNDS``), None where the evidence does not tell."""
    if record.verdict is None:
        return None
    return (record.verdict.blocks, record.verdict.blocks_after_release)[number]


def blocks_answer(record: Record, number: int) -> str:
    """The blocks of a round by outcome: ``3 removed, 1 still-looping(8 s)``."""
    blocks = blocks_of(record, number)
    if blocks is None:
        return "not known" if record.verdict else record.status.value
    return _block_tally(blocks, _with_budget)


def promise_answer(record: Record, promise: Promise) -> str:
    """The promise's state, or why there is none."""
    if record.verdict is None:
        return record.status.value
    return record.verdict.of(promise).state.value


def _not_judged(pair: Pair) -> Reason:
    said = [[one.reason for one in side if one.verdict is None and one.reason][:1] for side in pair]
    return _reason(
        "the whole scenario",
        Change.UNCLEAR,
        pair,
        lambda one: one.status.value if one.verdict is None else "judged",
        ("one that was not judged compares with nothing",),
        said,
    )


def _another_machine(pair: Pair) -> Iterator[Reason]:
    counts = [
        sorted({str(len(blocks)) for one in side if (blocks := blocks_of(one, 0)) is not None})
        for side in pair
    ]
    if all(counts) and counts[0] != counts[1]:
        yield Reason(
            what="the machine",
            change=Change.UNCLEAR,
            before=f"{' or '.join(counts[0])} blocks",
            after=f"{' or '.join(counts[1])} blocks",
            words=("the DIMMs differ: run both kernels by one plan",),
        )


def _pins(pair: Pair) -> Iterator[Reason]:
    found = [[one.verdict.pin if one.verdict else None for one in side] for side in pair]
    names_of = [[one.name if one else None for one in side] for side in found]
    finding = _ordered(
        names_of,
        lambda: ranks(
            [[PIN_ORDER.get(one.word) if one else None for one in side] for side in found],
            worst=max(PIN_ORDER.values()),
        ),
    )
    if finding.change is not Change.SAME:
        yield _reason("the hold", finding.change, pair, pin_answer, finding.words)


def _promise(pair: Pair, promise: Promise) -> Iterator[Reason]:
    def badness(record: Record) -> int | None:
        state = record.verdict.of(promise).state if record.verdict else State.UNKNOWN
        return None if state is State.UNKNOWN else int(state is State.BROKEN)

    finding = ranks([[badness(one) for one in side] for side in pair], worst=1)
    if finding.change is not Change.SAME:
        yield _reason(
            promise.value,
            finding.change,
            pair,
            lambda one: promise_answer(one, promise),
            finding.words,
            [list(_shows(side, promise)) for side in pair],
        )


def _shows(records: Sequence[Record], promise: Promise) -> Iterator[str]:
    """Of the first repetition that is broken, or else unknown: why, and dmesg's line."""
    judged = [one.verdict.of(promise) for one in records if one.verdict]
    for state in (State.BROKEN, State.UNKNOWN):
        first = next((one for one in judged if one.state is state), None)
        if first is not None:
            yield first.reason
            yield from (f"dmesg: {line}" for line in first.lines[:1])
            return


def _blocks(pair: Pair, number: int, name: str) -> Iterator[Reason]:
    found = [[blocks_of(one, number) for one in side] for side in pair]
    names_of = [
        [None if one is None else _block_tally(one, lambda it: it.name) for one in side]
        for side in found
    ]
    most = max((len(one) for side in found for one in side if one), default=1)

    def by_badness() -> Finding:
        finding = Finding()
        for level in range(1, max(BLOCK_ORDER.values()) + 1):
            counts = [[_as_bad_as(level, one) for one in side] for side in found]
            finding |= ranks(counts, worst=most)
        return finding

    finding = _ordered(names_of, by_badness)
    if finding.change is not Change.SAME:
        yield _reason(
            f"blocks {name}",
            finding.change,
            pair,
            lambda one: blocks_answer(one, number),
            finding.words,
        )


def _as_bad_as(level: int, blocks: Blocks | None) -> int | None:
    """How many of the blocks are as bad as ``level``, None where that cannot be said."""
    badness = [BLOCK_ORDER.get(one.outcome.word) for one in blocks or ()]
    known = [one for one in badness if one is not None]
    return sum(one >= level for one in known) if known and len(known) == len(badness) else None


def _ordered(names_of: list[list[str | None]], by_rank: Callable[[], Finding]) -> Finding:
    """By rank; among answers of one rank (two errnos) a change is neither better nor worse."""
    if len({*names_of[0], *names_of[1]}) == 1 and names_of[0][0] is not None:
        return Finding()
    finding = by_rank()
    return finding | names(names_of) if finding.change is Change.SAME else finding


def _hold_times(pair: Pair) -> Iterator[Reason]:
    """The hold's call, where it ended the same way."""
    by_name: list[dict[str, list[float]]] = [{}, {}]
    for times, records in zip(by_name, pair, strict=True):
        for one in records:
            if one.verdict and one.verdict.pin and one.verdict.hold_seconds is not None:
                times.setdefault(one.verdict.pin.name, []).append(one.verdict.hold_seconds)
    for name in by_name[0].keys() & by_name[1].keys():
        yield from _times("seconds of the hold", by_name[0][name], by_name[1][name])


def _removal_times(pair: Pair, number: int, name: str) -> Iterator[Reason]:
    """Each block's removal, where it ended the same way: of several that changed the clearest."""
    by_try: list[dict[tuple[int, str], list[float]]] = [{}, {}]
    for times, records in zip(by_try, pair, strict=True):
        for record in records:
            for position, one in enumerate(blocks_of(record, number) or ()):
                if one.outcome.word in (words.REMOVED, words.REFUSED):
                    times.setdefault((position, one.outcome.name), []).append(one.seconds)
    found: dict[Change, list[tuple[float, Reason]]] = {}
    for key in sorted(by_try[0].keys() & by_try[1].keys()):
        base, candidate = by_try[0][key], by_try[1][key]
        what = f"seconds to take away block {key[0] + 1} {name}"
        for reason in _times(what, base, candidate):
            distance = abs(median(candidate) - median(base))
            found.setdefault(reason.change, []).append((distance, reason))
    for several in found.values():
        _, clearest = max(several, key=lambda one: one[0])
        more = (f"{len(several) - 1} more of the blocks likewise",) if len(several) > 1 else ()
        yield clearest.model_copy(update={"words": (*clearest.words, *more)})


def _times(what: str, base: Sequence[float], candidate: Sequence[float]) -> Iterator[Reason]:
    finding = seconds(base, candidate)
    if finding.change is not Change.SAME:
        yield Reason(
            what=what,
            change=finding.change,
            before=_median(base),
            after=_median(candidate),
            words=finding.words,
        )


def _median(samples: Sequence[float]) -> str:
    if len(samples) == 1:
        return f"{samples[0]:.2f} s"
    low, high = min(samples), max(samples)
    return f"{median(samples):.2f} s (median of {len(samples)}, {low:.2f} to {high:.2f} s)"


def _reason(
    what: str,
    change: Change,
    pair: Pair,
    answer: Callable[[Record], str],
    said: tuple[str, ...] = (),
    shown: Sequence[Sequence[str]] = ((), ()),
) -> Reason:
    before, after = (shown_tally(tally([answer(one) for one in side])) for side in pair)
    return Reason(
        what=what,
        change=change,
        before=before,
        after=after,
        words=said,
        base_shows=tuple(shown[0]),
        candidate_shows=tuple(shown[1]),
    )


def _block_tally(blocks: Blocks, name: Callable[[Outcome], str]) -> str:
    counts = Counter(name(one.outcome) for one in blocks)
    order = {name(one.outcome): BLOCK_ORDER.get(one.outcome.word, 99) for one in blocks}
    ordered = sorted(counts, key=lambda one: (order[one], one))
    return ", ".join(f"{counts[one]} {one}" for one in ordered) or "no block"


def _with_budget(outcome: Outcome) -> str:
    """With the budget, which stands beside the word, without the passes, which always differ."""
    return str(outcome.model_copy(update={"passes": None}))


def _grouped(name: str) -> str:
    """In brackets where there are words in it: not ``9x 4 removed``."""
    return f"({name})" if " " in name else name
