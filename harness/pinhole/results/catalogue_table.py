# SPDX-License-Identifier: GPL-2.0-only
"""The matrix of ways × kinds, for a terminal and as Markdown (docs/catalogue.md)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pinhole.results import cells as of
from pinhole.results.record import Record
from pinhole.results.table import totals
from pinhole.scenario.expect import Status
from pinhole.scenario.hold import HOLD_PATHS
from pinhole.scenario.kind import MEMORY_KINDS
from pinhole.scenario.trick import TRICKS

_STYLES = {
    "migrated": "green",
    "pinned-in-movable": "bold red",
    "held": "bold red",
    "SKIP": "dim",
    "unknown": "bold yellow",
    "MISS": "bold yellow",
    "ERROR": "bold yellow",
}


def vocabulary_tables(console: Console) -> None:
    """Prints every way, kind and trick with what it is."""
    parts: tuple[tuple[str, Mapping[str, str]], ...] = (
        ("ways to hold", {one.name: one.summary for one in HOLD_PATHS.values()}),
        ("kinds of memory", {one.name: one.summary for one in MEMORY_KINDS.values()}),
        ("tricks", {one.name: one.summary for one in TRICKS.values()}),
    )
    for title, rows in parts:
        table = Table(box=box.SIMPLE, title=title, title_justify="left", show_header=False)
        for name, summary in rows.items():
            table.add_row(Text(name, style="bold"), summary)
        console.print(table)
    console.print(
        "What a kernel does with each way and kind: pinhole catalogue --kernel debian:6.12"
    )


def render(records: Sequence[Record], console: Console) -> None:
    """Prints a matrix a kernel, the reasons of what has no outcome, and every disagreement."""
    for kernel, cells in of.by_kernel(records).items():
        release = next(iter(cells.values()))[0].kernel.release
        table = Table(box=box.ROUNDED, title=f"{kernel} ({release})", title_justify="left")
        table.add_column("way")
        table.add_column("kind")
        table.add_column("hold")
        table.add_column("held, as the kernel counts it", overflow="fold")
        table.add_column("blocks", overflow="fold")
        table.add_column("as expected?", overflow="fold")
        for (way, kind), several in cells.items():
            table.add_row(way, kind, *_row(several))
        console.print(table)
        for line in _reasons(cells):
            console.print(Text(line))
    console.print(totals(list(records)))
    odd = of.disagreements(records)
    if odd:
        console.print(Text("Blocks that did otherwise than the held pages foretell:"))
        for record in odd:
            console.print(Text(f"  {record.name}: {of.predicted(record)}"))


def _row(several: Sequence[Record]) -> tuple[Text, Text, Text, Text]:
    record = several[0]
    word = of.outcomes(several)
    account = record.verdict.account if record.verdict else None
    held = "" if account is None else f"{account.pages} pages: {of.counted(account)}"
    blocks = of.predicted(record) if record.verdict else ""
    return (
        Text(word, style=_STYLES.get(word, "yellow")),
        Text(held),
        Text(blocks),
        Text(_expected(several)),
    )


def _expected(several: Sequence[Record]) -> str:
    words = []
    for record in several:
        if record.status is Status.PASS:
            known = record.comparison is not None and record.comparison.because is not None
            words.append("yes" if known else "nothing expected")
        elif record.comparison is not None and record.comparison.differences:
            words.append("NO: " + "; ".join(record.comparison.differences))
        else:
            words.append(record.status.value)
    return ", ".join(dict.fromkeys(words))


def _reasons(cells: of.Cells) -> Iterator[str]:
    """One line for each reason, with the way or the cells that it keeps from an outcome."""
    told: dict[str, list[str]] = {}
    for (way, kind), several in cells.items():
        reason = of.why(several[0])
        if reason is not None:
            told.setdefault(reason, []).append(f"{way}.{kind}")
    for reason, names in told.items():
        yield f"{_short(names)}: {reason}"


def _short(names: Sequence[str]) -> str:
    """``vfio (12 kinds)`` instead of twelve cells of one way."""
    ways = list(dict.fromkeys(name.partition(".")[0] for name in names))
    if len(names) > 1 and len(ways) == 1:
        return f"{ways[0]} ({len(names)} kinds)"
    return ", ".join(names)


# -- Markdown


def markdown(records: Sequence[Record]) -> str:
    """docs/catalogue.md: what each kernel does, cell by cell, from the records of runs."""
    return "\n".join(_markdown(records)) + "\n"


def _markdown(records: Sequence[Record]) -> Iterator[str]:
    kernels = of.by_kernel(records)
    yield "# The catalogue: every way to hold × every kind of memory"
    yield ""
    yield "Generated from runs in booted guests by `pinhole catalogue --from RUN --markdown`;"
    yield "nothing here is from a table. [How to read it](#how-to-read-it) is below."
    for kernel, cells in kernels.items():
        yield ""
        yield from _matrix(kernel, cells)
    yield ""
    yield from _words()
    for kernel, cells in kernels.items():
        yield ""
        yield from _details(kernel, cells)


def _matrix(kernel: str, cells: of.Cells) -> Iterator[str]:
    release = next(iter(cells.values()))[0].kernel.release
    ways = list(dict.fromkeys(way for way, _ in cells))
    kinds = list(dict.fromkeys(kind for _, kind in cells))
    yield f"## {kernel}"
    yield ""
    yield f"Release `{release}`, {len(cells)} cells."
    yield ""
    yield "| way | " + " | ".join(kinds) + " |"
    yield "|---" * (len(kinds) + 1) + "|"
    for way in ways:
        row = [of.outcomes(cells[way, kind]) if (way, kind) in cells else "" for kind in kinds]
        yield f"| {way} | " + " | ".join(row) + " |"


def _words() -> Iterator[str]:
    yield "## How to read it"
    yield ""
    yield "- `migrated`: a long-term pin, and no page of it is left in ZONE_MOVABLE."
    yield "- `pinned-in-movable`: a long-term pin whose pages stay in ZONE_MOVABLE."
    yield "- `held`: held by references or short-term pins."
    yield "- `not-held`: the call came to where it should hold, and no page is."
    yield "- `refused(ERRNO)`: the kernel refused the call that holds."
    yield "- `SKIP`: this kernel has not the way or the kind; the guest's own reason is below."
    yield "- `unknown`: the evidence does not tell, and it is said below why."
    yield "- Blocks: those that hold pages are predicted to stay; a disagreement is said as such."


def _details(kernel: str, cells: of.Cells) -> Iterator[str]:
    yield f"## {kernel}, cell by cell"
    yield ""
    yield "| cell | hold | pages, as the kernel counts them | before | after | blocks |"
    yield "|---|---|---|---|---|---|"
    for (way, kind), several in cells.items():
        record = several[0]
        account = record.verdict.account if record.verdict else None
        if account is None and record.status is Status.SKIP:
            continue
        shown = ["", "", ""]
        if account is not None:
            shown = [
                f"{account.pages}: {of.counted(account)}",
                of.places(account.before, account.before_ranges),
                of.places(account.after, account.after_ranges),
            ]
        row = [f"{way}.{kind}", of.outcomes(several), *shown, of.predicted(record)]
        yield "| " + " | ".join(_escaped(row)) + " |"
    reasons = list(_reasons(cells))
    if reasons:
        yield ""
        yield f"Without an outcome on {kernel}, in the guest's own words:"
        yield ""
        for line in reasons:
            yield f"- {line}"


def _escaped(row: Iterable[str]) -> list[str]:
    return [one.replace("|", "\\|") for one in row]
