# SPDX-License-Identifier: GPL-2.0-only
"""``pinhole run``: a plan's scenarios on its kernels, one after the other, to a table."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pinhole import __version__
from pinhole.errors import PinholeError, UsageError
from pinhole.guest.guest import Guest
from pinhole.kernel.bootable import Kernel
from pinhole.kernel.recipe import KernelRecipe, parse_recipe
from pinhole.plan import LoadedPlan, load_plan
from pinhole.progress import Progress, for_terminal
from pinhole.resources import shipped
from pinhole.results.record import KernelName, Record
from pinhole.results.run import Run, folder_name, runs_dir
from pinhole.scenario.engine import Job, Result, dry_run, run_job
from pinhole.scenario.expect import Status
from pinhole.scenario.select import matcher
from pinhole.scenario.vocabulary import vocabulary
from pinhole.tools.prepare import LaunchRequest, prepare
from pinhole.tools.report import report

DEFAULT_PLAN = "default.yaml"


@dataclass(frozen=True)
class RunRequest:
    """What the command line asked for; see ``pinhole run --help``."""

    plan: Path | None
    kernels: tuple[str, ...]
    expression: str
    list_only: bool
    dry_run: bool
    repeat: int
    timeout: float | None
    budget: float | None
    fail_fast: bool
    strict: bool
    as_json: bool
    junit: Path | None
    offline: bool
    keep_on_failure: bool
    launch: LaunchRequest
    runs: Path | None


def run_plan(request: RunRequest) -> int:
    """Does what was asked; returns the exit status. Raises ``PinholeError`` for what ends it."""
    progress = for_terminal()
    path = request.plan or shipped("plans") / DEFAULT_PLAN
    plan = load_plan(path, vocabulary())
    recipes = recipes_of(plan, request.kernels, path)
    chosen = matcher(request.expression) if request.expression else lambda _: True
    wanted = [
        (recipe, scenario)
        for scenario in plan.scenarios
        for recipe in recipes
        if chosen(f"{scenario.name}[{recipe.label}]")
    ]
    if not wanted:
        raise UsageError(f"-k {request.expression!r} chooses nothing; see 'pinhole run --list'")
    if request.list_only:
        for recipe, scenario in wanted:
            print(f"{scenario.name}[{recipe.label}]  {scenario.summary}")
        return 0
    if request.junit is not None and not os.access(request.junit.absolute().parent, os.W_OK):
        raise UsageError(f"--junit {request.junit}: its folder is not there or cannot be written")
    prepared = prepare(
        (recipe for recipe, _ in wanted), request.launch, progress, offline=request.offline
    )
    jobs = [
        Job(
            scenario=scenario,
            kernel=prepared.kernels[recipe],
            machine=plan.plan.machine,
            launch=prepared.launch,
            folder=Path(),
            repetition=repetition,
            removal_budget=request.budget,
            timeout=request.timeout,
        )
        for recipe, scenario in wanted
        for repetition in range(request.repeat)
    ]
    if request.dry_run:
        for job in jobs:
            print(f"# {job.scenario.name}[{job.kernel.label}]: {job.launch.accelerator}")
            print(shlex.join(dry_run(job, progress)))
        return 0
    run = Run.create(
        runs_dir(request.runs),
        {
            "pinhole": __version__,
            "plan": path.read_text(encoding="utf-8"),
            "plan_path": str(path),
            "arguments": sys.argv[1:],
            "accelerator": prepared.choice.accelerator.value,
            "accelerator_reason": prepared.choice.reason,
        },
    )
    records = list(_run_all(run, jobs, request, progress))
    return report(run, records, as_json=request.as_json, junit=request.junit, strict=request.strict)


def recipes_of(plan: LoadedPlan, named: Sequence[str], path: Path) -> list[KernelRecipe]:
    """The kernels of the command line, or else the plan's; each under a label of its own."""
    if named:
        recipes = [parse_recipe(one) for one in named]
    else:
        recipes = []
        for index, one in enumerate(plan.plan.kernels):
            try:
                recipes.append(parse_recipe(one, relative_to=path.parent))
            except UsageError as error:
                raise UsageError(f"{plan.where('kernels', index)}: {error}") from error
    if not recipes:
        raise UsageError(f"{path} names no kernel: add 'kernels:', or give --kernel debian:6.12")
    labels = [recipe.label for recipe in recipes]
    for label in labels:
        if labels.count(label) > 1:
            raise UsageError(f"two kernels are called {label!r}; give each a 'name:' in the plan")
    folders = [folder_name(label) for label in labels]
    for label, folder in zip(labels, folders, strict=True):
        if folders.count(folder) > 1:
            raise UsageError(
                f"the kernel {label!r} and another one would share the run's folder {folder!r}; "
                "give each a 'name:' that differs in letters or digits"
            )
    return recipes


def _run_all(
    run: Run, jobs: Sequence[Job], request: RunRequest, progress: Progress
) -> Iterator[Record]:
    finished = 0
    try:
        for number, job in enumerate(jobs, start=1):
            folder = run.job_folder(job.kernel.label, job.scenario.name, job.repetition)
            name = f"{job.scenario.name}[{job.kernel.label}]"
            with progress.step(f"{number}/{len(jobs)} {name}"):
                result = run_job(
                    replace(job, folder=folder),
                    progress,
                    _keep_guest if request.keep_on_failure else None,
                )
            record = _record(run, job, folder, result)
            run.save(record)
            finished = number
            progress.note(f"{number}/{len(jobs)} {name}: {record.status} in {result.seconds:.1f} s")
            yield record
            if request.fail_fast and record.status not in (Status.PASS, Status.SKIP):
                progress.note(f"stopped by --fail-fast; {len(jobs) - number} not run")
                return
    except (PinholeError, KeyboardInterrupt, SystemExit):
        # A full disk or an interruption: what is finished is not lost.
        progress.note(
            f"ended early, {finished} of {len(jobs)} scenario runs finished; to see them: "
            f"pinhole judge {run.folder}"
        )
        raise


def _record(run: Run, job: Job, folder: Path, result: Result) -> Record:
    return Record(
        scenario=job.scenario,
        kernel=kernel_name(job.kernel),
        repetition=job.repetition,
        status=result.status,
        reason=result.reason,
        verdict=result.verdict,
        comparison=result.comparison,
        accelerator=job.launch.accelerator.value,
        started=result.started,
        seconds=round(result.seconds, 3),
        phases=result.phases,
        folder=str(folder.relative_to(run.folder)),
    )


def kernel_name(kernel: Kernel) -> KernelName:
    """The kernel as records name it."""
    return KernelName(
        label=kernel.label,
        release=kernel.release,
        version=kernel.version,
        key=kernel.key,
        origin=kernel.origin,
    )


def _keep_guest(guest: Guest, result: Result) -> None:
    """Leaves the guest running until Enter is pressed; says how to get into it."""
    host, port = guest.machine.ssh_address
    folder = guest.machine.spec.workdir
    key = folder / "guest_key"
    key.touch(mode=0o600)
    key.write_text(guest.keys.client_private)
    try:
        print(
            f"\n{result.status}: {result.reason or 'not as expected'}\nThe guest runs on. Get in:\n"
            f"  ssh -i {shlex.quote(str(key))} -o UserKnownHostsFile=/dev/null "
            f"-o StrictHostKeyChecking=no -p {port} root@{host}\nEnter ends it.",
            file=sys.stderr,
        )
        sys.stdin.readline()
    finally:
        key.unlink()
