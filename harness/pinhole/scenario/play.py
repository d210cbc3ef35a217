# SPDX-License-Identifier: GPL-2.0-only
"""Plays one scenario in a booted guest: plug, hold, remove, release, remove again, unplug.

Evidence is saved after every phase, so that a run which was killed can be read to that point.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pinhole.budget import Budgets
from pinhole.errors import UnsupportedError
from pinhole.guest.clock import sample_clock
from pinhole.guest.dimm import PluggedDimm
from pinhole.guest.guest import Guest
from pinhole.guest.holder import Holder
from pinhole.guest.kmsg import between, mark, read_kmsg
from pinhole.guest.snapshot import take
from pinhole.guest.text import parse_counters
from pinhole.plan import MachinePlan, Scenario
from pinhole.progress import Progress
from pinhole.scenario.evidence import (
    Evidence,
    HolderEvidence,
    KmsgEvidence,
    QmpEvidence,
    RemovalEvidence,
    SnapshotEvidence,
    UnplugEvidence,
    numbered,
)

NODE = 1
_POLL_SECONDS = 0.05


def dimm_name(number: int) -> str:
    """What QEMU calls the DIMM of that number."""
    return f"dimm{number}"


def holder_arguments(scenario: Scenario, budgets: Budgets) -> list[str]:
    """pinholder's arguments for ``scenario``, in the node that the DIMMs are in."""
    arguments = ["--hold", scenario.hold, "--kind", scenario.kind]
    arguments += ["--size", str(scenario.size), "--node", str(NODE)]
    arguments += [f"--hold-budget={budgets.pin:.3f}", f"--hold-grace={budgets.grace:.3f}"]
    for trick in scenario.tricks:
        arguments += ["--trick", trick]
    return arguments


def dimm_sizes(scenario: Scenario, machine: MachinePlan) -> dict[str, int]:
    """The DIMMs that are plugged for ``scenario``: bytes by name."""
    sizes = scenario.dimms or (machine.dimm,)
    return {dimm_name(number): size for number, size in enumerate(sizes)}


class Play:
    """The phases of one scenario, in ``run``'s order; each leaves its evidence."""

    def __init__(
        self,
        scenario: Scenario,
        machine: MachinePlan,
        removal_budget: float | None,
        evidence: Evidence,
        folder: Path,
        progress: Progress,
    ) -> None:
        self.phase = "boot"
        self._scenario = scenario
        self._dimms = dimm_sizes(scenario, machine)
        self._names = ", ".join(self._dimms)
        self._removal_budget = removal_budget
        self._evidence = evidence
        self._folder = folder
        self._progress = progress
        self._token = secrets.token_hex(8)
        self._begin_mark = ""
        self._position = 0
        self._first_event = 0

    def run(self, guest: Guest, position: int = 0) -> None:
        """All phases, in a guest that has played ``position`` scenarios before.

        What was gathered stays in the evidence whatever is raised.
        """
        self._position = position
        # Of a guest that is shared, only what QEMU says from now on is of this scenario.
        self._first_event = len(guest.machine.qmp.events) if position else 0
        try:
            with self._entering("bare", "reading the guest as it is"):
                self._begin(guest)
            with self._entering("plug", f"plugging {self._names} into node {NODE}"):
                dimm = self._plug(guest)
            with self._entering("hold", f"holding pages: {self._scenario.hold}"):
                holder = self._hold_or_leave(guest, dimm)
            with holder:
                self._snapshot(guest, "held")
                with self._entering("remove", "taking the memory away while pages are held"):
                    self._remove(guest, dimm, "held")
                    self._snapshot(guest, "removed")
                with self._entering("release", "letting the pages go"):
                    self._release(guest, holder, dimm)
            with self._entering("remove again", "taking the memory away again"):
                self._remove(guest, dimm, "released")
                self._snapshot(guest, "removed_again")
            with self._entering("unplug", f"unplugging {self._names}"):
                self._unplug(guest, dimm)
            with self._entering("collect", "collecting the kernel's log"):
                self._end(guest)
        finally:
            self._keep_qmp(guest)
            self._evidence.save(self._folder)

    @contextmanager
    def _entering(self, phase: str, text: str) -> Iterator[None]:
        self.phase = phase
        began = time.monotonic()
        with self._progress.step(text):
            yield
        self._evidence.phases = numbered(
            [
                *self._evidence.phases,
                {"name": phase, "seconds": round(time.monotonic() - began, 4)},
            ]
        )
        self._evidence.save(self._folder)

    # -- the phases

    def _begin(self, guest: Guest) -> None:
        budget = guest.budgets.command
        clock = sample_clock(guest.channel, budget=budget)
        self._evidence.clock = {
            "host_minus_guest_seconds": clock.offset,
            "error_bound_seconds": clock.error_bound,
        }
        self._evidence.guest = dict(guest.facts)
        others = f" after {self._position} others" if self._position else ""
        self._begin_mark = self._mark(guest, f"begin {self._scenario.name}{others}")
        self._snapshot(guest, "bare")

    def _plug(self, guest: Guest) -> PluggedDimm:
        dimm = PluggedDimm.plug_all(guest, self._dimms, node=NODE)
        self._evidence.target = {
            "node": NODE,
            "dimm": self._names,
            "size_bytes": dimm.size_bytes,
        }
        self._snapshot(guest, "plugged")
        return dimm

    def _hold_or_leave(self, guest: Guest, dimm: PluggedDimm) -> Holder:
        """Where the guest cannot hold pages so, it is left as it was found."""
        try:
            return self._hold(guest)
        except UnsupportedError:
            self._unplug(guest, dimm)
            raise

    def _hold(self, guest: Guest) -> Holder:
        budgets = guest.budgets
        # Longer than what pinholder grants its call: one that never returns is an outcome.
        budget = budgets.hold + budgets.pin + budgets.grace
        with ExitStack() as unless_held:
            holder = Holder.spawn(guest.channel, holder_arguments(self._scenario, budgets), budget)
            unless_held.enter_context(holder)
            try:
                holder.await_hold(budget)
            finally:
                self._keep_holder(holder)
            unless_held.pop_all()
        return holder

    def _remove(self, guest: Guest, dimm: PluggedDimm, round_name: str) -> None:
        attempts = []
        for block in dimm.blocks:
            self._mark(guest, f"offline {block}")
            with self._progress.step(f"offlining {block}"):
                attempt = dimm.offline(block, self._removal_budget)
            attempts.append(attempt.raw)
            self._evidence.removals = {
                **self._evidence.removals,
                round_name: RemovalEvidence(
                    attempts=numbered(attempts), attempts_count=len(attempts)
                ),
            }

    def _release(self, guest: Guest, holder: Holder, dimm: PluggedDimm) -> None:
        holder.release(guest.budgets.hold)
        self._keep_holder(holder)
        # Closing a ring drops its pins from a worker: wait for the counters, within a budget.
        # Pins that stay are for the ledger to judge, not an error here.
        self._settle(guest)
        # An offliner that could not be killed goes on once nothing is held any more.
        dimm.await_answers()
        dimm.online()
        self._snapshot(guest, "released")

    def _unplug(self, guest: Guest, dimm: PluggedDimm) -> None:
        result = dimm.unplug()
        self._evidence.unplug = UnplugEvidence(
            outcome=result.outcome.value,
            said=str(result),
            seconds=result.seconds,
            budget_seconds=result.budget,
            ost=result.ost,
        )
        self._snapshot(guest, "unplugged")

    def _end(self, guest: Guest) -> None:
        budget = guest.budgets.command
        end_mark = self._mark(guest, f"end {self._scenario.name}")
        log = read_kmsg(guest.channel, budget=budget)
        self._evidence.kmsg = KmsgEvidence(
            # What stands before the mark in a guest that is shared is of other scenarios.
            records=between(self._begin_mark if self._position else "", end_mark, log.text),
            overrun=log.overrun,
            complete=log.complete,
            begin_mark=self._begin_mark,
            end_mark=end_mark,
        )

    # -- what phases share

    def _mark(self, guest: Guest, text: str) -> str:
        """Leaves a mark in the kernel's log; the token tells it from what others write there."""
        line = f"pinhole {self._token} {text}"
        mark(guest.channel, line, budget=guest.budgets.command)
        return line

    def _settle(self, guest: Guest) -> None:
        before = self._evidence.snapshots["plugged"]
        deadline = time.monotonic() + guest.budgets.command
        while time.monotonic() < deadline:
            now = take(guest.channel, budget=guest.budgets.command)
            if _pins(now.raw) == _pins(before.files):
                return
            time.sleep(_POLL_SECONDS)

    def _snapshot(self, guest: Guest, name: str) -> None:
        found = take(guest.channel, budget=guest.budgets.command)
        self._evidence.snapshots = {
            **self._evidence.snapshots,
            name: SnapshotEvidence(
                boottime=found.boottime, files=dict(found.raw), errors=dict(found.errors)
            ),
        }

    def _keep_holder(self, holder: Holder) -> None:
        events = list(holder.raw_events)
        self._evidence.holder = HolderEvidence(
            events=numbered(events),
            events_count=len(events),
            stderr=holder.stderr,
            exit_status=holder.exit_status,
            exit_signal=holder.exit_signal,
        )

    def _keep_qmp(self, guest: Guest) -> None:
        events = [
            {
                "name": event.name,
                "data": dict(event.data),
                "host_monotonic": event.host_monotonic,
                "qemu_time": event.qemu_time,
            }
            for event in guest.machine.qmp.events[self._first_event :]
        ]
        self._evidence.qmp = QmpEvidence(events=numbered(events), events_count=len(events))


def _pins(files: Mapping[str, str]) -> dict[str, int]:
    """Pins held, by node file."""
    found = {}
    for path, text in files.items():
        if path.startswith("/sys/devices/system/node/") and path.endswith("/vmstat"):
            counters = parse_counters(text)
            # A kernel without these counters (before 5.7) is for the verdict to call unknown.
            acquired, released = (
                counters.get(f"nr_foll_pin_{end}", 0) for end in ("acquired", "released")
            )
            found[path] = acquired - released
    return found
