# SPDX-License-Identifier: GPL-2.0-only
"""``pinhole catalogue``: every way to hold × every kind of memory, played on kernels."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pinhole.errors import UsageError
from pinhole.kernel.recipe import parse_recipe
from pinhole.progress import for_terminal
from pinhole.results.catalogue_table import markdown, render, vocabulary_tables
from pinhole.results.matrix_yaml import matrix_yaml
from pinhole.results.record import Record, as_json, exit_status
from pinhole.results.run import Run, runs_dir
from pinhole.scenario.matrix import CELL_MACHINE, cell, pairs
from pinhole.scenario.select import matcher
from pinhole.scenario.shared import SharedGuests
from pinhole.tools.execute import Terms, begin, jobs_of, run_jobs
from pinhole.tools.report import plain_console
from pinhole.tools.run import require_distinct


@dataclass(frozen=True)
class CatalogueRequest:
    """What the command line asked for; see ``pinhole catalogue --help``.

    ``from_runs`` are earlier runs whose records are shown instead of playing anything.
    """

    kernels: tuple[str, ...]
    from_runs: tuple[str, ...]
    expression: str
    repeat: int
    as_json: bool
    as_markdown: bool
    as_expectations: bool
    terms: Terms


def catalogue(request: CatalogueRequest) -> int:
    """Does what was asked; returns the exit status."""
    if request.kernels and request.from_runs:
        raise UsageError("give kernels to play the matrix on, or earlier runs, not both")
    if request.from_runs:
        parent = runs_dir(request.terms.runs)
        runs = (Run.find(name, parent) for name in request.from_runs)
        # A cell that was played again replaces what it was before.
        found = {record.name: record for run in runs for record in run.records()}
        return _report(request, list(found.values()))
    if not request.kernels:
        vocabulary_tables(plain_console())
        return 0
    return _report(request, _play(request))


def _play(request: CatalogueRequest) -> list[Record]:
    progress = for_terminal()
    recipes = [parse_recipe(one) for one in request.kernels]
    require_distinct(recipes)
    chosen = matcher(request.expression) if request.expression else lambda _: True
    cells = [cell(way, kind) for way, kind in pairs()]
    wanted = [
        (recipe, one, repetition)
        for recipe in recipes
        for repetition in range(request.repeat)
        for one in cells
        if chosen(f"{one.name}[{recipe.label}]")
    ]
    if not wanted:
        raise UsageError(f"-k {request.expression!r} chooses no cell; write '-k io_uring'")
    jobs, choice = jobs_of(
        wanted,
        CELL_MACHINE,
        request.terms,
        progress,
        ask_guest=True,
    )
    run = begin(Path("catalogue"), choice, request.terms, plan="ways x kinds")
    with SharedGuests(run.folder / "guests", progress) as guests:
        records = list(run_jobs(run, jobs, request.terms, progress, guests.run))
    progress.note(f"{len(records)} cells in {guests.booted} guests; the run is {run.folder}")
    return records


def _report(request: CatalogueRequest, records: Sequence[Record]) -> int:
    if request.as_json:
        print(json.dumps([as_json(record) for record in records], indent=1))
    elif request.as_expectations:
        print(matrix_yaml(records), end="")
    elif request.as_markdown:
        print(markdown(records), end="")
    else:
        render(records, plain_console())
    sys.stdout.flush()
    return exit_status(records)
