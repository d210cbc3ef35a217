# SPDX-License-Identifier: GPL-2.0-only
"""Where the kernels of one run differ from its baseline: what ``baseline:`` in a plan asks for."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pinhole.machine.text import printable
from pinhole.results.change import Change
from pinhole.results.compare import Comparison, Row, Word, compared
from pinhole.results.record import Record


def against(records: Sequence[Record], baseline: str) -> tuple[Comparison, ...]:
    """Each other kernel compared with the one called ``baseline``; none if that has no record."""
    labels = list(dict.fromkeys(record.kernel.label for record in records))
    base = [record for record in records if record.kernel.label == baseline]
    if not base:
        return ()
    return tuple(
        compared(
            base,
            [record for record in records if record.kernel.label == label],
            (baseline, label),
        )
        for label in labels
        if label != baseline
    )


def render(comparisons: Sequence[Comparison], baseline: str, console: Console) -> None:
    """Prints scenarios down, the other kernels side by side: what differs from ``baseline``."""
    if not comparisons:
        return
    table = Table(box=box.ROUNDED, expand=True, title=f"Against {printable(baseline)}")
    table.add_column(Text("scenario"), ratio=3, overflow="fold")
    for one in comparisons:
        heading = Text(printable(one.candidate.kernel.label), style="bold")
        table.add_column(heading, ratio=7, overflow="fold")
    rows = [{row.scenario: row for row in one.rows} for one in comparisons]
    for scenario in dict.fromkeys(name for found in rows for name in found):
        cells = [_cell(found.get(scenario)) for found in rows]
        table.add_row(Text(printable(scenario)), *cells)
        table.add_section()
    console.print(table)


def _cell(row: Row | None) -> Text:
    if row is None:
        return Text("not run", style="dim")
    if row.word is Word.SAME:
        return Text("same", style="dim")
    text = Text(row.word.value, style="bold")
    for reason in row.reasons:
        if reason.change not in (Change.SAME, Change.CHANCE):
            before, after = printable(reason.before), printable(reason.after)
            text.append(f"\n{reason.what}: {before} → {after}", style="not bold")
    return text
