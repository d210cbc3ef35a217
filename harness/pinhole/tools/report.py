# SPDX-License-Identifier: GPL-2.0-only
"""What ``run`` and ``judge`` say at their end: table or JSON, JUnit XML, exit status."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from pinhole.results.against import against
from pinhole.results.against import render as render_against
from pinhole.results.junit import write_junit
from pinhole.results.record import Record, as_json, exit_status
from pinhole.results.run import Run
from pinhole.results.table import render
from pinhole.scenario.evidence import write_whole

_FONT_FACE = re.compile(r"@font-face \{.*?\}", re.DOTALL)
_PLAIN_COLUMNS = 120
"""The table's width where standard output is no terminal (a log, a file)."""


def report(
    run: Run,
    records: Sequence[Record],
    *,
    as_json: bool,
    junit: Path | None,
    strict: bool,
    svg: Path | None = None,
    baseline: str | None = None,
) -> int:
    """Prints ``records`` and returns the exit status; ``baseline`` is what others differ from."""
    status = exit_status(records, strict=strict)
    if as_json:
        print(json.dumps(_document(run, records, status), indent=1))
    else:
        render(records, plain_console())
        if baseline is not None:
            render_against(against(records, baseline), baseline, plain_console())
        again = shlex.join(["pinhole", "judge", str(run.folder)])
        print(f"To judge this evidence again: {again}", file=sys.stderr)
    # What was found is on the screen by now, whatever becomes of the files.
    sys.stdout.flush()
    if junit is not None:
        write_junit(records, junit)
    if svg is not None:
        write_whole(svg, _picture(records))
    return status


def _document(run: Run, records: Sequence[Record], status: int) -> dict[str, object]:
    return {
        "run": run.name,
        "folder": str(run.folder),
        "exit_status": status,
        "records": [as_json(record) for record in records],
    }


def _picture(records: Sequence[Record]) -> str:
    """The table as SVG, for a page or a mail. It refers to nothing on the network."""
    console = Console(record=True, width=_PLAIN_COLUMNS, file=io.StringIO(), force_terminal=True)
    render(records, console)
    # rich names fonts on a web server; a picture in a repository should not call one.
    return _FONT_FACE.sub("", console.export_svg(title="pinhole run"))


def plain_console() -> Console:
    """Standard output; as wide as the terminal, or a fixed width that CI's logs show well."""
    console = Console()
    if console.is_terminal or "COLUMNS" in os.environ:
        return console
    return Console(width=_PLAIN_COLUMNS)
