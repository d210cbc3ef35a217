# SPDX-License-Identifier: GPL-2.0-only
"""The options and arguments that commands share, and the words that a shell completes them with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pinhole.kernel.suites import SERIES
from pinhole.machine.accel import Accelerator


def examples(*lines: str) -> str:
    """An epilog whose lines stay as they are (that is what the backspace asks for)."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def kernel_words() -> list[str]:
    """How a kernel may be written: what a shell completes ``--kernel`` with."""
    from pinhole.kernel.variants import variants  # noqa: PLC0415 - completion alone asks for it

    ready = [f"debian:{series}" for series in SERIES]
    built = [f"source:{one}" for one in ready] + [f"variant:{name}" for name in variants()]
    return [*ready, *built, "git:", "tree:", "tarball:", "image:"]


def accelerator_words() -> list[str]:
    """What a shell completes ``--accel`` with."""
    return [one.value for one in Accelerator]


def scenario_words() -> list[str]:
    """What a shell completes a scenario with."""
    from pinhole.scenario.vocabulary import vocabulary  # noqa: PLC0415 - completion alone asks

    return sorted(vocabulary().catalogue)


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
        help="A kernel instead of the plan's: debian:6.12, image:PATH, or one that is built "
        "(source:debian:6.12, variant:NAME, tree:PATH, git:PLACE@REF, a recipe's FILE.yaml). "
        "Repeatable.",
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

PatchOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--patch",
        help="A patch on top: an mbox of a mailed series, a diff, or a quilt series. Repeatable.",
        metavar="FILE",
    ),
]
SandboxOption = Annotated[
    bool | None,
    typer.Option(
        "--sandbox/--no-sandbox",
        help="Build under bubblewrap, without network and with only its own folders writable "
        "(the default where bubblewrap works), or as it is.",
    ),
]

TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        min=1,
        help="The most seconds one scenario may take, boot and all.",
        metavar="SECONDS",
    ),
]
BudgetOption = Annotated[
    float | None,
    typer.Option(
        "--budget",
        min=0.1,
        help="Seconds for one try to remove a block (default: 2, TCG: 8).",
        metavar="SECONDS",
    ),
]
OfflineOption = Annotated[
    bool, typer.Option("--offline", help="Use what is cached only; touch no network.")
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Exit 1 if any promise is broken, expected or not.")
]
RecordsJsonOption = Annotated[
    bool, typer.Option("--json", help="Print the records as JSON instead of the table.")
]
JunitOption = Annotated[
    Path | None, typer.Option("--junit", help="Write JUnit XML too.", metavar="FILE")
]
