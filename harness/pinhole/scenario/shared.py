# SPDX-License-Identifier: GPL-2.0-only
"""A guest that plays one scenario after another: for a matrix of many short ones.

A scenario by itself gets a machine that nothing has touched. The cells of a matrix are judged by
the same promises, and a guest in which one of them left anything behind (ledger, recovery and
health must be kept) is ended: the next cell gets a new one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from pinhole.dirs import private_dir
from pinhole.guest.guest import Guest, booted
from pinhole.plan import Promise
from pinhole.progress import Progress
from pinhole.scenario.engine import Job, Result, run_job, topology_of
from pinhole.scenario.expect import Status
from pinhole.scenario.ruling import State
from pinhole.scenario.vocabulary import all_needs

_MUST_BE_KEPT = (Promise.RECOVERY, Promise.LEDGER, Promise.HEALTH)


@dataclass
class _Current:
    key: tuple[object, ...]
    guest: Guest
    used: int


class SharedGuests:
    """Runs jobs in guests that they share; leaving its block ends the last of them.

    ``folder`` gets the machines' logs, one folder ``guest-N`` each.
    """

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._folder = folder
        self._progress = progress
        self._stack = ExitStack()
        self._current: _Current | None = None
        self._booted = 0

    @property
    def booted(self) -> int:
        """How many guests it has booted so far."""
        return self._booted

    def run(self, job: Job) -> Result:
        """As ``run_job``, in the guest at hand if it is of the same kernel and machine."""
        result = run_job(job, self._progress, guests=self._guest)
        if not _left_as_found(result):
            self._end()
        return result

    @contextmanager
    def _guest(self, job: Job) -> Iterator[tuple[Guest, int]]:
        key = (job.kernel.key, job.machine, job.scenario.dimms, job.launch)
        if self._current is None or self._current.key != key:
            self._end()
            self._boot(job, key)
        current = self._current
        assert current is not None
        position, current.used = current.used, current.used + 1
        yield current.guest, position

    def _boot(self, job: Job, key: tuple[object, ...]) -> None:
        self._booted += 1
        folder = private_dir(self._folder / f"guest-{self._booted}")
        guest = self._stack.enter_context(
            booted(
                job.kernel,
                all_needs(job.kernel),
                topology_of(job.machine, job.scenario),
                job.launch,
                folder,
                self._progress,
            )
        )
        self._current = _Current(key, guest, 0)

    def _end(self) -> None:
        self._current = None
        self._stack.close()

    def __enter__(self) -> SharedGuests:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._current = None
        self._stack.__exit__(kind, error, trace)


def _left_as_found(result: Result) -> bool:
    """Whether the scenario left the guest as it found it, as far as evidence shows."""
    if result.status is Status.SKIP:
        return result.verdict is None and result.left_clean
    if result.verdict is None:
        return False
    return all(result.verdict.of(one).state is State.KEPT for one in _MUST_BE_KEPT)
