# SPDX-License-Identifier: GPL-2.0-only
"""What ``run`` and ``judge`` say at their end: table or JSON, JUnit XML, exit status."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from pinhole.results.junit import write_junit
from pinhole.results.record import Record, as_json, exit_status
from pinhole.results.run import Run
from pinhole.results.table import render

_PLAIN_COLUMNS = 120
"""The table's width where standard output is no terminal (a log, a file)."""


def report(
    run: Run, records: Sequence[Record], *, as_json: bool, junit: Path | None, strict: bool
) -> int:
    """Prints ``records`` and returns the exit status."""
    status = exit_status(records, strict=strict)
    if junit is not None:
        write_junit(records, junit)
    if as_json:
        print(json.dumps(_document(run, records, status), indent=1))
    else:
        render(records, _console())
        print(f"Evidence: {run.folder} (judge it again: pinhole judge {run.name})", file=sys.stderr)
    return status


def _document(run: Run, records: Sequence[Record], status: int) -> dict[str, object]:
    return {
        "run": run.name,
        "folder": str(run.folder),
        "exit_status": status,
        "records": [as_json(record) for record in records],
    }


def _console() -> Console:
    """Standard output; as wide as the terminal, or a fixed width that CI's logs show well."""
    console = Console()
    if console.is_terminal or "COLUMNS" in os.environ:
        return console
    return Console(width=_PLAIN_COLUMNS)
