# SPDX-License-Identifier: GPL-2.0-only
"""Jobs into a run's directory, one after the other: what ``run`` and ``compare`` share."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pinhole import __version__
from pinhole.errors import PinholeError
from pinhole.guest.guest import Guest
from pinhole.kernel.bootable import Kernel
from pinhole.kernel.recipe import KernelRecipe
from pinhole.machine.probe import AcceleratorChoice
from pinhole.plan import MachinePlan, Scenario
from pinhole.progress import Progress
from pinhole.results.record import KernelName, Record
from pinhole.results.run import Run, runs_dir
from pinhole.scenario.engine import Job, Result, run_job
from pinhole.scenario.expect import Status
from pinhole.tools.prepare import LaunchRequest, prepare

Wanted = tuple[KernelRecipe, Scenario, int]
"""A kernel, a scenario, and which repetition of it."""

Runner = Callable[[Job], Result]
"""Runs one job to its result."""


@dataclass(frozen=True)
class Terms:
    """How every job of a run is run: the command line's words that are not about what is run."""

    timeout: float | None
    budget: float | None
    fail_fast: bool
    keep_on_failure: bool
    offline: bool
    launch: LaunchRequest
    runs: Path | None


def jobs_of(
    wanted: Sequence[Wanted],
    machine: MachinePlan,
    terms: Terms,
    progress: Progress,
    *,
    ask_guest: bool = False,
) -> tuple[list[Job], AcceleratorChoice]:
    """Gets the kernels that ``wanted`` names, and makes its jobs in that order."""
    prepared = prepare(
        (recipe for recipe, _, _ in wanted), terms.launch, progress, offline=terms.offline
    )
    jobs = [
        Job(
            scenario=scenario,
            kernel=prepared.kernels[recipe],
            machine=machine,
            launch=prepared.launch,
            folder=Path(),
            repetition=repetition,
            removal_budget=terms.budget,
            timeout=terms.timeout,
            ask_guest=ask_guest,
        )
        for recipe, scenario, repetition in wanted
    ]
    return jobs, prepared.choice


def begin(
    plan_path: Path,
    choice: AcceleratorChoice,
    terms: Terms,
    baseline: str | None = None,
    plan: str | None = None,
) -> Run:
    """A new run's directory, which says what was asked: ``plan``, or what ``plan_path`` holds."""
    return Run.create(
        runs_dir(terms.runs),
        {
            "pinhole": __version__,
            "plan": plan_path.read_text(encoding="utf-8") if plan is None else plan,
            "plan_path": str(plan_path),
            "baseline": baseline,
            "arguments": sys.argv[1:],
            "accelerator": choice.accelerator.value,
            "accelerator_reason": choice.reason,
        },
    )


def run_jobs(
    run: Run,
    jobs: Sequence[Job],
    terms: Terms,
    progress: Progress,
    runner: Runner | None = None,
) -> Iterator[Record]:
    """Runs ``jobs`` one after the other; each record is saved in ``run`` before it is yielded.

    ``runner`` runs one of them (default: in a guest of its own).
    """
    finished = 0
    try:
        for number, job in enumerate(jobs, start=1):
            folder = run.job_folder(job.kernel.label, job.scenario.name, job.repetition)
            name = f"{job.scenario.name}[{job.kernel.label}]"
            with progress.step(f"{number}/{len(jobs)} {name}"):
                placed = replace(job, folder=folder)
                if runner is not None:
                    result = runner(placed)
                else:
                    keep = _keep_guest if terms.keep_on_failure else None
                    result = run_job(placed, progress, keep)
            record = _record(run, job, folder, result)
            run.save(record)
            finished = number
            progress.note(f"{number}/{len(jobs)} {name}: {record.status} in {result.seconds:.1f} s")
            yield record
            if terms.fail_fast and record.status not in (Status.PASS, Status.SKIP):
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
        variant=kernel.variant,
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
