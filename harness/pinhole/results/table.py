# SPDX-License-Identifier: GPL-2.0-only
"""The table of a run: scenarios down, kernels side by side, for someone new to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from pinhole.plan import Promise
from pinhole.results.record import Record
from pinhole.scenario.expect import Status
from pinhole.scenario.ruling import State
from pinhole.scenario.verdict import Judgement

_ASKS = {
    Promise.PLACEMENT: "no long-term pin stays in removable memory",
    Promise.CLEAN_REFUSAL: "a pin that fails leaves nothing behind",
    Promise.REMOVAL: "memory goes away, or the kernel answers in time",
    Promise.RECOVERY: "once the holder lets go, it goes away",
    Promise.LEDGER: "nothing is missing afterwards",
    Promise.HEALTH: "no panic, BUG or WARNING",
}
_STYLES = {
    State.KEPT: "green",
    State.BROKEN: "bold red",
    State.NOT_APPLICABLE: "dim",
    State.UNKNOWN: "bold yellow",
}


def render(records: Sequence[Record], console: Console) -> None:
    """Prints one table, a section for each scenario and a column for each kernel, and totals."""
    columns: dict[tuple[str, int], Record] = {}
    rows: dict[str, dict[tuple[str, int], Record]] = {}
    for record in records:
        column = (record.kernel.label, record.repetition)
        columns.setdefault(column, record)
        rows.setdefault(record.scenario.name, {})[column] = record
    table = Table(box=box.ROUNDED, expand=True)
    # Folded, not cut: a path in a reason is for copying.
    table.add_column(Text("scenario, promise"), ratio=3, overflow="fold")
    for record in columns.values():
        table.add_column(_heading(record), ratio=7, overflow="fold")
    for found in rows.values():
        _add_scenario(table, [found.get(column) for column in columns])
    console.print(table)
    console.print(_legend(records))
    console.print(totals(records))


def totals(records: Sequence[Record]) -> Text:
    """One line: how many scenarios, how each ended, how many promises are broken or unknown."""
    statuses = ", ".join(
        f"{sum(record.status is status for record in records)} {_status_word(status)}"
        for status in Status
        if any(record.status is status for record in records)
    )
    states = [
        judgement.state
        for record in records
        if record.verdict is not None
        for judgement in record.verdict.judgements
    ]
    text = Text(f"{len(records)} scenario runs: {statuses or 'none'}. Promises: ")
    text.append(f"{states.count(State.KEPT)} kept", style=_STYLES[State.KEPT])
    text.append(", ")
    text.append(f"{states.count(State.BROKEN)} broken", style=_STYLES[State.BROKEN])
    text.append(", ")
    text.append(f"{states.count(State.UNKNOWN)} unknown", style=_STYLES[State.UNKNOWN])
    text.append(".")
    return text


def _heading(record: Record) -> Text:
    repeat = f" (#{record.repetition + 1})" if record.repetition else ""
    heading = Text(f"{record.kernel.label}{repeat}", style="bold")
    if record.kernel.release:
        heading.append(f"\n{record.kernel.release}", style="not bold dim")
    return heading


def _add_scenario(table: Table, found: Sequence[Record | None]) -> None:
    """The rows of one scenario; ``found`` has None where it was not run on that kernel."""
    scenario = next(record.scenario for record in found if record is not None)
    name = Text.assemble((scenario.name, "bold"), "\n", (scenario.summary, "dim"))
    table.add_row(name, *(_cell(_pin, record) for record in found))
    for promise in Promise:
        if any(_shows(record, promise) for record in found):
            cells = (_cell(partial(_promise, promise=promise), record) for record in found)
            table.add_row(Text(f"  {promise.value}"), *cells)
    table.add_row(Text("  as expected?"), *(_cell(_status, record) for record in found))
    table.add_section()


def _shows(record: Record | None, promise: Promise) -> bool:
    """Whether there is something to say: a promise that no kernel was asked for is left out."""
    if record is None or record.verdict is None:
        return False
    return record.verdict.of(promise).state is not State.NOT_APPLICABLE


def _cell(show: Callable[[Record], RenderableType], record: Record | None) -> RenderableType:
    return "" if record is None else show(record)


def _pin(record: Record) -> RenderableType:
    if record.verdict is None:
        return ""
    pin = str(record.verdict.pin) if record.verdict.pin else "not known"
    return Text(f"hold: {pin}", style="bold")


def _promise(record: Record, *, promise: Promise) -> RenderableType:
    if record.verdict is None:
        return ""
    judgement = record.verdict.of(promise)
    said = Text.assemble(
        (
            judgement.state.value.upper() if _loud(judgement) else judgement.state.value,
            _STYLES[judgement.state],
        ),
        f": {judgement.reason}",
    )
    lines = [Text(f"dmesg: {line}", style="italic") for line in judgement.lines]
    return Group(said, *lines)


def _loud(judgement: Judgement) -> bool:
    return judgement.state in (State.BROKEN, State.UNKNOWN)


def _status(record: Record) -> RenderableType:
    if record.status is Status.PASS:
        because = record.comparison.because if record.comparison else None
        holes = record.verdict.promises(State.BROKEN) if record.verdict else ()
        text = Text("yes", style="green")
        text.append(f", {len(holes)} known hole{'s' if len(holes) > 1 else ''}" if holes else "")
        return text.append(f": {because}" if because else "", style="not bold default")
    if record.comparison is not None and record.status is Status.FAIL:
        text = Text("NO: " + "; ".join(record.comparison.differences), style="bold red")
        return text.append(f"; it broke off in {record.reason}" if record.reason else "")
    if record.status is Status.DONE:
        return Text("not known: evidence is missing", style="bold yellow")
    return Text(f"{_status_word(record.status)}: {record.reason}", style="yellow")


def _status_word(status: Status) -> str:
    return {
        Status.PASS: "as expected",
        Status.FAIL: "not as expected",
        Status.ERROR: "ERROR",
        Status.MISS: "MISS",
        Status.SKIP: "SKIP",
        Status.DONE: "without a result",
    }[status]


def _legend(records: Sequence[Record]) -> Text:
    """What the words mean, of those promises that stand in the table."""
    text = Text(style="dim")
    for promise in Promise:
        if any(_shows(record, promise) for record in records):
            text.append(f"{promise.value}: {_ASKS[promise]}. ")
    return text.append("Evidence that is missing makes a promise unknown, never kept.")
