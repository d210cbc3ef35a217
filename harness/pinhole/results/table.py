# SPDX-License-Identifier: GPL-2.0-only
"""The table of a run: scenarios down, kernels side by side, for someone new to it."""

from __future__ import annotations

from collections.abc import Sequence

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
    """Prints one table for each scenario, a column for each kernel, and a line of totals."""
    by_scenario: dict[str, list[Record]] = {}
    for record in records:
        by_scenario.setdefault(record.scenario.name, []).append(record)
    for group in by_scenario.values():
        console.print(_scenario_table(group))
        console.print()
    console.print(_legend())
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


def _scenario_table(group: Sequence[Record]) -> Table:
    scenario = group[0].scenario
    table = Table(
        title=Text.assemble((scenario.name, "bold"), f": {scenario.summary}"),
        title_justify="left",
        box=box.ROUNDED,
        show_lines=True,
        expand=True,
    )
    table.add_column("", ratio=2, no_wrap=False)
    for record in group:
        repeat = f" (#{record.repetition + 1})" if record.repetition else ""
        heading = Text(f"{record.kernel.label}{repeat}", style="bold")
        if record.kernel.release:
            heading.append(f"\n{record.kernel.release}", style="not bold dim")
        table.add_column(heading, ratio=5)
    if any(record.verdict is not None for record in group):
        table.add_row("what the hold did", *(_pin(record) for record in group))
        for promise in Promise:
            table.add_row(
                Text.assemble((promise.value, "bold"), "\n", (_ASKS[promise], "dim")),
                *(_promise(record, promise) for record in group),
            )
    table.add_row("as expected?", *(_status(record) for record in group))
    return table


def _pin(record: Record) -> RenderableType:
    if record.verdict is None:
        return ""
    return Text(str(record.verdict.pin) if record.verdict.pin else "not known")


def _promise(record: Record, promise: Promise) -> RenderableType:
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
        return Text("NO: " + "; ".join(record.comparison.differences), style="bold red")
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


def _legend() -> Text:
    return Text(
        "kept: the kernel did what was promised; broken: it did not; not-applicable: the promise "
        "is not about this; unknown: the evidence does not tell.",
        style="dim",
    )
