# SPDX-License-Identifier: GPL-2.0-only
"""A comparison on a terminal: base and candidate side by side, changed scenarios first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pinhole.machine.text import printable
from pinhole.results.aspects import Reason, shown_tally
from pinhole.results.change import Change
from pinhole.results.compare import Comparison, Row, Side, Subject, Word
from pinhole.results.compare_markdown import summary

_WORDS = {
    Word.REGRESSION: "bold red",
    Word.UNCLEAR: "bold yellow",
    Word.FIX: "bold green",
    Word.GONE: "yellow",
    Word.NEW: "cyan",
    Word.SAME: "dim",
}
_CHANGES = {
    Change.WORSE: "bold red",
    Change.MIXED: "bold red",
    Change.UNCLEAR: "bold yellow",
    Change.BETTER: "green",
    Change.NOT_WORSE: "yellow",
    Change.CHANCE: "dim",
    Change.SAME: "dim",
}


def render(comparison: Comparison, console: Console) -> None:
    """Prints the table, what has to be known of it, and the count of each verdict."""
    table = Table(box=box.ROUNDED, expand=True)
    table.add_column(Text("scenario, aspect"), ratio=3, overflow="fold")
    for name, subject in (("base", comparison.base), ("candidate", comparison.candidate)):
        table.add_column(_heading(name, subject), ratio=5, overflow="fold")
    for row in comparison.rows:
        _add(table, row)
    console.print(table)
    for note in comparison.notes:
        console.print(Text(printable(note), style="yellow"))
    console.print(Text(f"{summary(comparison)}."))


def _heading(name: str, subject: Subject) -> Text:
    text = Text(f"{name}: {printable(subject.kernel.label)}", style="bold")
    text.append(f"\n{printable(subject.kernel.release)}", style="not bold dim")
    if subject.repetitions > 1:
        text.append(f", {subject.repetitions} repetitions", style="not bold dim")
    return text


def _add(table: Table, row: Row) -> None:
    name = Text.assemble((row.word.value, _WORDS[row.word]), f" {printable(row.scenario)}")
    table.add_row(name, Text(_side(row.base)), Text(_side(row.candidate)))
    for reason in row.reasons:
        table.add_row(
            _what(reason),
            _answer(reason.before, (), reason.base_shows),
            _answer(reason.after, reason.words, reason.candidate_shows),
        )
    table.add_section()


def _what(reason: Reason) -> Text:
    return Text.assemble(
        f"  {reason.what}", ("\n  " + reason.change.value, _CHANGES[reason.change])
    )


def _answer(answer: str, words: Sequence[str], shown: Sequence[str]) -> Text:
    text = Text(printable(answer))
    for line in words:
        text.append(f"\n{line}", style="italic")
    for line in shown:
        text.append(f"\n{printable(line)}", style="dim")
    return text


def _side(side: Side | None) -> str:
    return "\n".join(_lines(side)) if side is not None else "-"


def _lines(side: Side) -> Iterator[str]:
    yield f"hold: {_tally(side.pin)}"
    yield f"blocks: {_tally(side.blocks)}"
    if side.removal_seconds is not None:
        yield f"slowest block removed in {side.removal_seconds:.2f} s"


def _tally(counts: Mapping[str, int]) -> str:
    return printable(shown_tally(counts))
