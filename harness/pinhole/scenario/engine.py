# SPDX-License-Identifier: GPL-2.0-only
"""Runs one job (a scenario on a kernel) to its record, whatever happens on the way.

A job is a value, so that it can be run in this process, in a worker, or elsewhere.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from pinhole.boot.base import BASE_NEEDS
from pinhole.boot.image import build
from pinhole.errors import GuestCommandError, PinholeError, TimeLimitError, UnsupportedError
from pinhole.guest.guest import INITRD, Guest, Launch, booted, machine_spec
from pinhole.kernel.bootable import Kernel
from pinhole.machine.spec import command_line
from pinhole.machine.topology import Dimm, Topology
from pinhole.plan import MachinePlan, Promise, Scenario
from pinhole.progress import Progress
from pinhole.scenario.evidence import EndEvidence, Evidence
from pinhole.scenario.expect import Comparison, Status, compare
from pinhole.scenario.play import NODE, Play, dimm_name, dimm_sizes
from pinhole.scenario.ruling import State
from pinhole.scenario.verdict import Verdict, judge
from pinhole.scenario.vocabulary import needs_of


@dataclass(frozen=True)
class Job:
    """One scenario on one kernel: everything that its run takes, picklable.

    ``folder`` exists and gets the evidence and the logs. ``removal_budget`` (seconds for one try
    to take a block away) and ``timeout`` (seconds for the whole job) are the user's, if any.
    ``ask_guest``: what the kernel lacks is not read from its configuration but found out in the
    guest, by trying.
    """

    scenario: Scenario
    kernel: Kernel
    machine: MachinePlan
    launch: Launch
    folder: Path
    repetition: int = 0
    removal_budget: float | None = None
    timeout: float | None = None
    ask_guest: bool = False


@dataclass(frozen=True)
class Result:
    """What a job came to; the record is made of it. ``seconds`` are those of the host's clock.

    ``left_clean`` is said of a job without a verdict: what it had plugged has left again.
    """

    status: Status
    reason: str | None
    verdict: Verdict | None
    comparison: Comparison | None
    started: str
    seconds: float
    phases: dict[str, float]
    left_clean: bool = False


GuestSource = Callable[[Job], AbstractContextManager[tuple[Guest, int]]]
"""A guest for a job, and how many scenarios were played in it before; it ends its own guests."""

OnFailure = Callable[[Guest, Result], None]
"""Called while the guest still runs, where a scenario did not go as expected."""


def topology_of(machine: MachinePlan, scenario: Scenario | None = None) -> Topology:
    """A boot node, an empty node 1, and room for its DIMMs: the scenario's or the machine's."""
    sizes = dimm_sizes(scenario, machine) if scenario else {dimm_name(0): machine.dimm}
    total = machine.memory + sum(sizes.values())
    return Topology(
        memory_bytes=machine.memory,
        cpus=machine.cpus,
        empty_nodes=1,
        dimms=tuple(Dimm(name=name, size_bytes=size, node=NODE) for name, size in sizes.items()),
        # Room beyond what is plugged: the kernel sizes its tables by it as a real machine's does.
        maxmem_bytes=max(8 << 30, 2 * total),
    )


def why_skipped(scenario: Scenario, kernel: Kernel) -> str | None:
    """Why ``scenario`` cannot run on ``kernel``, naming the options, or None if it can.

    A kernel whose configuration is not known is never skipped: what it lacks shows in the guest.
    """
    lacking = kernel.lacks((BASE_NEEDS | needs_of(scenario)).options)
    if not lacking:
        return None
    return f"{kernel.label} lacks {', '.join(lacking)}"


def dry_run(job: Job, progress: Progress) -> list[str]:
    """QEMU's command line for ``job``, for a person to read and run.

    Its boot image is the cached one without keys: the console works, nobody can log in.
    """
    image = build(job.kernel, BASE_NEEDS | needs_of(job.scenario), progress)
    return _command_line(job, image.initramfs)


def run_job(
    job: Job,
    progress: Progress,
    on_failure: OnFailure | None = None,
    guests: GuestSource | None = None,
) -> Result:
    """Runs ``job`` in a guest of its own, or in one of ``guests``.

    Failures of the guest, the machine and pinhole itself are in the result; only an interruption
    (Ctrl-C, SIGTERM) and a full disk are raised.
    """
    started, began = datetime.now(UTC).isoformat(), time.monotonic()
    evidence = Evidence(
        scenario=job.scenario.model_dump(mode="json"),
        kernel={
            "label": job.kernel.label,
            "release": job.kernel.release,
            "version": job.kernel.version,
            "key": job.kernel.key,
            "origin": job.kernel.origin,
            "variant": job.kernel.variant,
        },
        started=started,
        machine={
            "accelerator": job.launch.accelerator.value,
            "command_line": _command_line(job, job.folder / INITRD),
            "budgets": asdict(job.launch.budgets),
        },
    )

    def result(status: Status, reason: str | None, verdict: Verdict | None = None) -> Result:
        phases = {str(one["name"]): float(one["seconds"]) for one in evidence.phases}
        comparison = (
            compare(job.scenario, job.kernel.version, verdict, job.kernel.variant)
            if verdict
            else None
        )
        return Result(
            status=comparison.status if comparison else status,
            reason=reason,
            verdict=verdict,
            comparison=comparison,
            started=started,
            seconds=time.monotonic() - began,
            phases=phases,
            left_clean=evidence.unplug is not None and evidence.unplug.outcome == "removed",
        )

    def judged(reason: str | None = None) -> Result:
        return result(
            Status.DONE,
            reason,
            judge(job.scenario, evidence.model_dump(mode="json"), job.kernel.key),
        )

    skipped = None if job.ask_guest else why_skipped(job.scenario, job.kernel)
    if skipped is not None:
        return result(Status.SKIP, skipped)
    evidence.save(job.folder)  # a job that is killed before it is up has been begun all the same
    play = Play(job.scenario, job.machine, job.removal_budget, evidence, job.folder, progress)
    try:
        with (
            _time_limit(job.timeout, job.scenario.name),
            (guests or _own_guest(progress))(job) as (guest, position),
        ):
            try:
                play.run(guest, position)
                evidence.end = EndEvidence(completed=True)
                found = judged()
            except PinholeError as error:
                _record_end(evidence, play.phase, error)
                found = _after_error(judged, result, error, play.phase)
            if on_failure is not None and found.status is not Status.PASS:
                _lift_time_limit()
                on_failure(guest, found)
            return found
    except PinholeError as error:
        _record_end(evidence, play.phase, error)
        return result(_status_of(error), f"{play.phase}: {error}")
    except (KeyboardInterrupt, SystemExit) as interruption:
        _record_end(evidence, play.phase, interruption)
        raise
    finally:
        evidence.save(job.folder)


def _own_guest(progress: Progress) -> GuestSource:
    """A source of guests that nothing has touched, each for one job."""

    @contextmanager
    def fresh(job: Job) -> Iterator[tuple[Guest, int]]:
        needs, topology = needs_of(job.scenario), topology_of(job.machine, job.scenario)
        with booted(job.kernel, needs, topology, job.launch, job.folder, progress) as guest:
            yield guest, 0

    return fresh


def _command_line(job: Job, initrd: Path) -> list[str]:
    needs, topology = needs_of(job.scenario), topology_of(job.machine, job.scenario)
    return command_line(machine_spec(job.kernel, needs, topology, job.launch, initrd, job.folder))


def _after_error(
    judged: Callable[[str | None], Result],
    result: Callable[[Status, str | None], Result],
    error: PinholeError,
    phase: str,
) -> Result:
    """A scenario that broke off: a panic that QEMU told of is a finding, all else is not judged."""
    reason = f"{phase}: {error}"
    found = judged(reason)
    if found.verdict is not None and found.verdict.of(Promise.HEALTH).state is State.BROKEN:
        return found
    return result(_status_of(error), reason)


def _status_of(error: PinholeError) -> Status:
    if isinstance(error, UnsupportedError):
        return Status.SKIP
    return Status.ERROR if isinstance(error, GuestCommandError) else Status.MISS


def _record_end(evidence: Evidence, phase: str, error: BaseException) -> None:
    words = str(error) if isinstance(error, PinholeError) else "pinhole was interrupted"
    evidence.end = EndEvidence(
        completed=False, phase=phase, error=words, error_kind=type(error).__name__
    )


@contextmanager
def _time_limit(seconds: float | None, name: str) -> Iterator[None]:
    """Raises ``TimeLimitError`` in the block once ``seconds`` are over.

    By SIGALRM, which reaches a blocking wait anywhere below; signals are the main thread's, and
    so is every job (the design gives each machine a process of its own).
    """
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def over(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise TimeLimitError(f"{name} took longer than --timeout {seconds:g} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _lift_time_limit() -> None:
    """From here on somebody looks at the guest, and may take his time."""
    if threading.current_thread() is threading.main_thread():
        signal.setitimer(signal.ITIMER_REAL, 0)
