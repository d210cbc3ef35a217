# SPDX-License-Identifier: GPL-2.0-only
"""The command ``pinhole catalogue``."""

from __future__ import annotations

from typing import Annotated

import typer

from pinhole.options import (
    AccelOption,
    AppendOption,
    BudgetOption,
    OfflineOption,
    PatienceOption,
    QemuArgOption,
    QemuOption,
    RunsOption,
    TimeoutOption,
    kernel_words,
)

EXAMPLES = (
    "pinhole catalogue                               all ways, kinds and tricks by name",
    "pinhole catalogue --kernel debian:6.12          the whole matrix on one kernel",
    "pinhole catalogue --kernel debian:5.10 -k 'vfio or hugetlb'",
    "pinhole catalogue --from newest --markdown      an earlier run again, as Markdown",
)


def catalogue(
    kernel: Annotated[
        list[str] | None,
        typer.Option(
            "--kernel",
            help="Play the matrix on this kernel: debian:6.12, source:debian:6.12, image:PATH "
            "and so on. Repeatable.",
            metavar="K",
            autocompletion=kernel_words,
        ),
    ] = None,
    from_runs: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            help="Show an earlier run instead: its id, its directory or 'newest'. Repeatable: "
            "cells that were played again replace those of the run before.",
            metavar="RUN",
        ),
    ] = None,
    expression: Annotated[
        str,
        typer.Option(
            "-k", help="Only cells (WAY.KIND) that fit: 'io_uring or hugetlb'.", metavar="EXPR"
        ),
    ] = "",
    repeat: Annotated[
        int, typer.Option("--repeat", min=1, help="Play each cell N times.", metavar="N")
    ] = 1,
    timeout: TimeoutOption = None,
    budget: BudgetOption = None,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print Markdown, as docs/catalogue.md is.")
    ] = False,
    as_expectations: Annotated[
        bool,
        typer.Option(
            "--expectations", help="Print what the cells showed as matrix.yaml, which expects it."
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the cells' records as JSON.")
    ] = False,
    offline: OfflineOption = False,
    accel: AccelOption = None,
    qemu: QemuOption = None,
    qemu_arg: QemuArgOption = None,
    append: AppendOption = None,
    patience: PatienceOption = 1.0,
    runs: RunsOption = None,
) -> None:
    """Show every way to hold pages with every kind of memory: what a kernel does with each.

    Without --kernel it names the ways, kinds and tricks. With it each cell is played in a booted
    guest: which pages were held where, as the kernel counts them, which memory blocks that keeps,
    and whether it did; or why the kernel does not have the way, as the guest itself said it.
    """
    from pinhole.tools.catalogue import CatalogueRequest
    from pinhole.tools.catalogue import catalogue as show
    from pinhole.tools.execute import Terms
    from pinhole.tools.prepare import LaunchRequest

    status = show(
        CatalogueRequest(
            kernels=tuple(kernel or ()),
            from_runs=tuple(from_runs or ()),
            expression=expression,
            repeat=repeat,
            as_json=as_json,
            as_markdown=as_markdown,
            as_expectations=as_expectations,
            terms=Terms(
                timeout=timeout,
                budget=budget if budget is not None else 2.0 * patience,
                fail_fast=False,
                keep_on_failure=False,
                offline=offline,
                launch=LaunchRequest(
                    accel=accel,
                    qemu=qemu,
                    qemu_arguments=tuple(qemu_arg or ()),
                    append=tuple(append or ()),
                    patience=patience,
                ),
                runs=runs,
            ),
        )
    )
    raise typer.Exit(status)
