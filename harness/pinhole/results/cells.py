# SPDX-License-Identifier: GPL-2.0-only
"""Records of the matrix's cells, in short words: what a catalogue's table and pages are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pinhole.results.record import Record
from pinhole.scenario.account import Account
from pinhole.scenario.expect import Status
from pinhole.scenario.ruling import State

Cells = Mapping[tuple[str, str], Sequence[Record]]
"""The records of each (way, kind) on one kernel, one a repetition."""


def by_kernel(records: Iterable[Record]) -> dict[str, dict[tuple[str, str], list[Record]]]:
    """The cells of each kernel, by its label, in the order in which they were played."""
    found: dict[str, dict[tuple[str, str], list[Record]]] = {}
    for record in records:
        scenario = record.scenario
        if scenario.name != f"{scenario.hold}.{scenario.kind}":
            continue  # of a plan, not of the matrix
        cells = found.setdefault(record.kernel.label, {})
        cells.setdefault((scenario.hold, scenario.kind), []).append(record)
    return found


def outcome(record: Record) -> str:
    """The cell in a word or two: the hold's outcome, or why there is none."""
    if record.status is Status.SKIP:
        return "SKIP"
    if record.verdict is None:
        return record.status.value
    if record.verdict.pin is None:
        return "unknown"
    return record.verdict.pin.name


def outcomes(records: Sequence[Record]) -> str:
    """``outcome``, or the counts of each where repetitions differ."""
    counts = Counter(outcome(record) for record in records)
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{count}x {name}" for name, count in counts.most_common())


def counted(account: Account) -> str:
    """How the kernel itself counts what is held."""
    pins = {node: count for node, count in account.pins.items() if count}
    if pins:
        return ", ".join(f"{count} pins on node {node}" for node, count in pins.items())
    words = ["no pin counted"]
    if account.page_dump is not None:
        words.append(account.page_dump)
    elif account.mapcounts:
        counts = ", ".join(f"{pages} x {times}" for times, pages in account.mapcounts.items())
        words.append(f"mapped (pages x times): {counts}")
    return "; ".join(words)


def places(zones: Mapping[str, int], ranges: Sequence[str]) -> str:
    """Zones with their counts, and the PFNs: ``1024 in node 1 Movable (0x100000-0x1003ff)``."""
    if not zones:
        return "none"
    words = ", ".join(f"{count} in {zone}" for zone, count in zones.items())
    return f"{words} ({', '.join(ranges)})"


def predicted(record: Record) -> str:
    """Which blocks the held pages let stay, and whether they did."""
    found = record.verdict.prediction if record.verdict else None
    if found is None:
        return "not known"
    said = f"{', '.join(found.predicted) or 'none'} to stay"
    if found.held:
        return f"{said}: so it was"
    return f"{said}; DISAGREES: {', '.join(found.stayed) or 'none'} stayed"


def disagreements(records: Iterable[Record]) -> list[Record]:
    """Those whose blocks did otherwise than the held pages foretell."""
    return [
        record
        for record in records
        if record.verdict is not None
        and record.verdict.prediction is not None
        and not record.verdict.prediction.held
    ]


def why(record: Record) -> str | None:
    """Why a cell has no outcome, or which of its promises are unknown and why."""
    if record.verdict is None:
        return record.reason
    gaps = [
        f"{one.promise}: {one.reason}"
        for one in record.verdict.judgements
        if one.state is State.UNKNOWN
    ]
    return "; ".join(gaps) or None
