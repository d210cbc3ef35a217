# SPDX-License-Identifier: GPL-2.0-only
"""The command line: parses, calls, prints. What it calls lives in the other rooms."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from typer.exceptions import TyperException

from pinhole import __version__
from pinhole.commands import catalogue as catalogue_command
from pinhole.commands import compare as compare_command
from pinhole.commands import export as export_command
from pinhole.commands.kernel import kernel_app
from pinhole.errors import HostError, PinholeError
from pinhole.options import (
    AccelOption,
    AppendOption,
    BudgetOption,
    GdbOption,
    JunitOption,
    KernelOption,
    OfflineOption,
    PatchOption,
    PatienceOption,
    PlanArgument,
    QemuArgOption,
    QemuOption,
    RecordsJsonOption,
    RunsOption,
    SandboxOption,
    StrictOption,
    TimeoutOption,
    examples,
    kernel_words,
    scenario_words,
)

app = typer.Typer(
    name="pinhole",
    help="Can userspace hold memory that was promised to be removable? Asks a Linux kernel by "
    "booting it in QEMU, holding pages of a hotplugged DIMM, and taking the DIMM away.",
    epilog="Exit status: 0 as expected, 1 not as expected (or a promise unknown), 2 usage, "
    "3 the harness or a machine failed, 4 nothing ran.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
plan_app = typer.Typer(no_args_is_help=True, help="Check plans, and help editors with them.")
app.add_typer(plan_app, name="plan")
app.add_typer(kernel_app, name="kernel")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pinhole {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version  # handled by its callback


@app.command(
    epilog=examples(
        "pinhole run                                 the default plan",
        "pinhole run plans/catalogue.yaml -k 'io_uring and 6.12'",
        "pinhole run --kernel image:/boot/vmlinuz-6.12.0-mine --kernel debian:6.12",
        "pinhole run --kernel source:debian:6.12 --patch series.mbox",
        "pinhole run --dry-run                       the QEMU command lines",
        "pinhole run --strict --junit junit.xml      for CI",
    )
)
def run(
    plan: PlanArgument = None,
    kernel: KernelOption = None,
    patch: PatchOption = None,
    sandbox: SandboxOption = None,
    expression: Annotated[
        str,
        typer.Option(
            "-k",
            help="Only scenarios whose 'name[kernel]' fits: 'io_uring and not 5.10'.",
            metavar="EXPR",
        ),
    ] = "",
    list_only: Annotated[
        bool, typer.Option("--list", help="List what would run, and stop.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the QEMU command lines, and stop.")
    ] = False,
    repeat: Annotated[
        int, typer.Option("--repeat", min=1, help="Run each scenario N times.", metavar="N")
    ] = 1,
    timeout: TimeoutOption = None,
    budget: BudgetOption = None,
    fail_fast: Annotated[
        bool,
        typer.Option("--fail-fast", help="Stop at the first scenario that is not as expected."),
    ] = False,
    strict: StrictOption = False,
    as_json: RecordsJsonOption = False,
    junit: JunitOption = None,
    offline: OfflineOption = False,
    keep_on_failure: Annotated[
        bool,
        typer.Option(
            "--keep-on-failure",
            help="Where a scenario is not as expected, keep its guest until Enter is pressed.",
        ),
    ] = False,
    accel: AccelOption = None,
    qemu: QemuOption = None,
    qemu_arg: QemuArgOption = None,
    append: AppendOption = None,
    gdb: GdbOption = None,
    patience: PatienceOption = 1.0,
    runs: RunsOption = None,
) -> None:
    """Run a plan: boot each kernel, hold pages, take the memory away, judge, print one table."""
    from pinhole.tools.prepare import LaunchRequest
    from pinhole.tools.run import RunRequest, run_plan

    status = run_plan(
        RunRequest(
            plan=plan,
            kernels=tuple(kernel or ()),
            patches=tuple(patch or ()),
            sandbox=sandbox,
            expression=expression,
            list_only=list_only,
            dry_run=dry_run,
            repeat=repeat,
            timeout=timeout,
            budget=budget,
            fail_fast=fail_fast,
            strict=strict,
            as_json=as_json,
            junit=junit,
            offline=offline,
            keep_on_failure=keep_on_failure,
            launch=LaunchRequest(
                accel=accel,
                qemu=qemu,
                qemu_arguments=tuple(qemu_arg or ()),
                append=tuple(append or ()),
                gdb=gdb,
                patience=patience,
            ),
            runs=runs,
        )
    )
    raise typer.Exit(status)


@app.command(
    epilog=examples(
        "pinhole judge                               the newest run",
        "pinhole judge 20261123-020737-58461e --json",
    )
)
def judge(
    run: Annotated[
        str | None,
        typer.Argument(help="A run's id or directory (default: the newest).", metavar="RUN"),
    ] = None,
    strict: StrictOption = False,
    as_json: RecordsJsonOption = False,
    junit: JunitOption = None,
    svg: Annotated[
        Path | None, typer.Option("--svg", help="Write the table as a picture too.", metavar="FILE")
    ] = None,
    runs: RunsOption = None,
) -> None:
    """Judge a run again from its evidence, without a VM."""
    from pinhole.results.rejudge import rejudged
    from pinhole.results.run import Run, runs_dir
    from pinhole.tools.report import report

    found = Run.find(run, runs_dir(runs))
    raise typer.Exit(
        report(
            found,
            list(rejudged(found)),
            as_json=as_json,
            junit=junit,
            strict=strict,
            svg=svg,
            baseline=found.baseline(),
        )
    )


app.command(epilog=examples(*compare_command.EXAMPLES))(compare_command.compare)
app.command(epilog=examples(*catalogue_command.EXAMPLES))(catalogue_command.catalogue)
app.command(epilog=examples(*export_command.EXAMPLES))(export_command.export)


@plan_app.command("check", epilog=examples("pinhole plan check my-plan.yaml"))
def plan_check(
    plan: Annotated[Path, typer.Argument(help="The plan to check.", metavar="FILE")],
) -> None:
    """Check a plan: every mistake with its line, and what was probably meant."""
    from pinhole.plan import load_plan
    from pinhole.scenario.vocabulary import vocabulary
    from pinhole.tools.run import recipes_of

    loaded = load_plan(plan, vocabulary())
    recipes_of(loaded, (), plan)
    typer.echo(
        f"{plan}: good: {len(loaded.scenarios)} scenarios on {len(loaded.plan.kernels)} kernels"
    )


@plan_app.command(
    "schema",
    epilog=examples(
        "pinhole plan schema > plan.schema.json",
        "sed -i '1i # yaml-language-server: $schema=plan.schema.json' my-plan.yaml",
    ),
)
def plan_schema() -> None:
    """Print the JSON Schema of plans, by which editors complete and check them."""
    from pinhole.plan import plan_schema as schema
    from pinhole.scenario.vocabulary import vocabulary

    typer.echo(json.dumps(schema(vocabulary()), indent=2))


@app.command(epilog="Exit status: 0 if nothing is missing, else 3.")
def doctor(
    qemu: QemuOption = None,
    accel: AccelOption = None,
) -> None:
    """Check what this host lacks, and name the command that mends it."""
    from pinhole.progress import for_terminal
    from pinhole.tools.doctor import examine, print_findings

    raise typer.Exit(print_findings(examine(qemu, accel, for_terminal()), Console()))


@app.command(
    epilog=examples(
        "pinhole shell --kernel debian:5.10",
        "pinhole shell vmsplice-anonymous            its pages are held when the shell opens",
        "echo 'cat /proc/zoneinfo' | pinhole shell > zoneinfo",
        "pinhole shell --append nokaslr --gdb 1234   then: gdb vmlinux -ex 'target remote :1234'",
    )
)
def shell(
    scenario: Annotated[
        str | None,
        typer.Argument(
            help="A scenario (or WAY.KIND) whose pages are to be held when the shell opens.",
            metavar="SCENARIO",
            autocompletion=scenario_words,
        ),
    ] = None,
    kernel: Annotated[
        str,
        typer.Option(
            "--kernel", help="The kernel to boot.", metavar="K", autocompletion=kernel_words
        ),
    ] = "debian:6.12",
    accel: AccelOption = None,
    qemu: QemuOption = None,
    qemu_arg: QemuArgOption = None,
    append: AppendOption = None,
    gdb: GdbOption = None,
    patience: PatienceOption = 1.0,
) -> None:
    """Open a shell in a guest with a DIMM in its node 1, where a scenario's pages may be held."""
    from pinhole.kernel.recipe import parse_recipe
    from pinhole.progress import for_terminal
    from pinhole.scenario.matrix import scenario_named
    from pinhole.tools.prepare import LaunchRequest, prepare
    from pinhole.tools.shell import open_shell

    chosen = scenario_named(scenario) if scenario is not None else None
    recipe = parse_recipe(kernel)
    progress = for_terminal()
    request = LaunchRequest(
        accel=accel,
        qemu=qemu,
        qemu_arguments=tuple(qemu_arg or ()),
        append=tuple(append or ()),
        gdb=gdb,
        patience=patience,
    )
    prepared = prepare([recipe], request, progress)
    raise typer.Exit(open_shell(prepared.kernels[recipe], prepared.launch, progress, chosen))


class _Ended(SystemExit):
    """A signal unwinds as Ctrl-C does, so that every machine is ended on the way out."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.signal = signal.Signals(number).name


def _on_signal(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    raise _Ended(number)


def _give_up_output(error: OSError) -> NoReturn:
    """Ends where standard output cannot be written: a full disk, or nobody reads it any more."""
    # What Python still has to flush at its end would fail once more.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        sys.exit(128 + signal.SIGPIPE)
    print(f"pinhole: cannot write the output: {error.strerror}", file=sys.stderr)
    sys.exit(HostError.exit_status)


def main() -> NoReturn:
    """The entry point ``pinhole``: errors on one line, and the exit statuses of the design."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # nohup(1) and a shell's "&" ask for some to be ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _on_signal)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What a locale cannot show is escaped: names and a guest's words may hold anything.
            stream.reconfigure(errors="backslashreplace")
    try:
        status = app(standalone_mode=False)
        sys.stdout.flush()
    except PinholeError as error:
        Console(stderr=True).print(
            f"pinhole: {error}", style="red", markup=False, highlight=False, soft_wrap=True
        )
        sys.exit(error.exit_status)
    except TyperException as error:
        print(f"pinhole: {error.format_message()}; see 'pinhole --help'", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        _give_up_output(error)
    except typer.Abort:
        sys.exit(1)  # a prompt that found the end of its input
    except _Ended as ended:
        print(f"pinhole: ended by {ended.signal}", file=sys.stderr)
        raise
    sys.exit(status if isinstance(status, int) else 0)
