# SPDX-License-Identifier: GPL-2.0-only
"""The command ``pinhole compare``."""

from __future__ import annotations

from pathlib import Path
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
    SandboxOption,
    TimeoutOption,
    kernel_words,
)

EXAMPLES = (
    "pinhole compare debian:5.10 debian:6.12     run the catalogue on both",
    "pinhole compare debian:6.12 image:arch/x86/boot/bzImage --repeat 10",
    "pinhole compare 20261123-020737-58461e newest --markdown",
    "pinhole compare newest@debian:5.10 newest@debian:6.12 -k io_uring",
)


def compare(
    base: Annotated[
        str,
        typer.Argument(
            help="A kernel (debian:5.10, image:PATH), or a run: its id, its directory or 'newest', "
            "with @LABEL behind it for one of several kernels.",
            metavar="BASE",
            autocompletion=kernel_words,
        ),
    ],
    candidate: Annotated[
        str | None,
        typer.Argument(
            help="What is compared with BASE: a kernel too, or a run too.",
            metavar="CANDIDATE",
            autocompletion=kernel_words,
        ),
    ] = None,
    patch: Annotated[
        list[Path] | None,
        typer.Option(
            "--patch",
            help="Instead of CANDIDATE: BASE with this patch. Repeatable.",
            metavar="FILE",
        ),
    ] = None,
    sandbox: SandboxOption = None,
    plan: Annotated[
        Path | None,
        typer.Option(
            "--plan",
            help="The plan to run on both kernels (default: plans/catalogue.yaml). "
            "Its own kernels do not matter.",
            metavar="PLAN",
        ),
    ] = None,
    expression: Annotated[
        str,
        typer.Option("-k", help="Only scenarios whose name fits: 'io_uring'.", metavar="EXPR"),
    ] = "",
    repeat: Annotated[
        int,
        typer.Option(
            "--repeat",
            min=1,
            help="Run each scenario N times on each kernel, in turn.",
            metavar="N",
        ),
    ] = 1,
    timeout: TimeoutOption = None,
    budget: BudgetOption = None,
    as_markdown: Annotated[
        bool,
        typer.Option("--markdown", help="Print Markdown for a reply to a mail, not the table."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the comparison as JSON, not the table.")
    ] = False,
    offline: OfflineOption = False,
    accel: AccelOption = None,
    qemu: QemuOption = None,
    qemu_arg: QemuArgOption = None,
    append: AppendOption = None,
    patience: PatienceOption = 1.0,
    runs: RunsOption = None,
) -> None:
    """Compare two kernels, or two runs: per scenario a regression, a fix, or the same.

    Exit status: 1 a regression, 0 none, 3 none but something cannot be told, 4 nothing in common.
    """
    from pinhole.tools.compare import CompareRequest
    from pinhole.tools.compare import compare as compare_them
    from pinhole.tools.execute import Terms
    from pinhole.tools.prepare import LaunchRequest

    given = {
        "--patch": patch,
        "--sandbox": sandbox is True,
        "--no-sandbox": sandbox is False,
        "--plan": plan,
        "--repeat": repeat > 1,
        "--timeout": timeout,
        "--budget": budget,
        "--offline": offline,
        "--accel": accel,
        "--qemu": qemu,
        "--qemu-arg": qemu_arg,
        "--append": append,
        "--patience": patience != 1,
    }
    status = compare_them(
        CompareRequest(
            base=base,
            candidate=candidate,
            patches=tuple(patch or ()),
            plan=plan,
            expression=expression,
            repeat=repeat,
            as_json=as_json,
            as_markdown=as_markdown,
            terms=Terms(
                timeout=timeout,
                budget=budget,
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
            for_kernels=tuple(name for name, value in given.items() if value),
            sandbox=sandbox,
        )
    )
    raise typer.Exit(status)
