# SPDX-License-Identifier: GPL-2.0-only
"""The command ``pinhole export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pinhole.options import scenario_words

EXAMPLES = (
    "pinhole export vmsplice-anonymous               two files in this folder",
    "pinhole export io_uring-refused --output /tmp/report",
)


def export(
    scenario: Annotated[
        str,
        typer.Argument(
            help="A scenario of the catalogue ('pinhole run plans/catalogue.yaml --list'), or a "
            "cell of the matrix, WAY.KIND.",
            metavar="SCENARIO",
            autocompletion=scenario_words,
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", help="Where the files go.", metavar="DIR")
    ] = Path(),
) -> None:
    """Write a scenario as one C file and one shell script, for a machine without pinhole.

    They are fit to attach to a bug report: the C file holds the pages, the script takes the
    node's memory blocks offline meanwhile and afterwards, and says which went.
    """
    from pinhole.tools.export import export as write

    found = write(scenario, output)
    print(found.program)
    print(found.script)
