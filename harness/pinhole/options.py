# SPDX-License-Identifier: GPL-2.0-only
"""The options and arguments that commands share, and the words that a shell completes them with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pinhole.kernel.suites import SERIES
from pinhole.machine.accel import Accelerator


def kernel_words() -> list[str]:
    """How a kernel may be written: what a shell completes ``--kernel`` with."""
    return [*(f"debian:{series}" for series in SERIES), "image:"]


def accelerator_words() -> list[str]:
    """What a shell completes ``--accel`` with."""
    return [one.value for one in Accelerator]


PlanArgument = Annotated[
    Path | None,
    typer.Argument(
        help="A plan (YAML). Default: the main job, plans/default.yaml.", metavar="PLAN"
    ),
]
KernelOption = Annotated[
    list[str] | None,
    typer.Option(
        "--kernel",
        help="A kernel instead of the plan's: debian:6.12, or image:PATH of a bzImage. Repeatable.",
        metavar="K",
        autocompletion=kernel_words,
    ),
]
RunsOption = Annotated[
    Path | None,
    typer.Option(
        "--runs",
        help="Where runs are kept (default: $PINHOLE_RUNS or the user's state directory).",
        metavar="DIR",
    ),
]
QemuOption = Annotated[
    Path | None,
    typer.Option("--qemu", help="The QEMU to use instead of the one in PATH.", metavar="PATH"),
]
QemuArgOption = Annotated[
    list[str] | None,
    typer.Option("--qemu-arg", help="One more argument for QEMU. Repeatable.", metavar="ARG"),
]
AppendOption = Annotated[
    list[str] | None,
    typer.Option("--append", help="One more kernel parameter. Repeatable.", metavar="PARAM"),
]
AccelOption = Annotated[
    str | None,
    typer.Option(
        "--accel",
        help="tcg or kvm instead of the fastest that boots here.",
        metavar="ACCEL",
        autocompletion=accelerator_words,
    ),
]
GdbOption = Annotated[
    int | None,
    typer.Option(
        "--gdb", help="Let gdb attach to the guest on this loopback port.", metavar="PORT"
    ),
]

PatienceOption = Annotated[
    float,
    typer.Option(
        "--patience",
        min=0.1,
        help="Multiply every budget, for a host that is busy or slow.",
        metavar="F",
    ),
]
