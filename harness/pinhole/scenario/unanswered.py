# SPDX-License-Identifier: GPL-2.0-only
"""Judges a call to hold that never returned: its process was killed, by pinholder or the kernel."""

from __future__ import annotations

import re
import signal

from pinhole.scenario import outcome as words
from pinhole.scenario.case import Case
from pinhole.scenario.facts import EvidenceGapError, Path
from pinhole.scenario.outcome import Outcome

# mm/oom_kill.c: __oom_kill_process(), oom_kill_process()
_OOM_KILL = re.compile(
    r"(?:Memory cgroup out of memory|Out of memory(?: \([^)]*\))?): Killed process (?P<pid>\d+) "
)
_CLOCKS_APART_SECONDS = 0.5
"""CPU time is counted in ticks, the samples' times are of another clock."""


def unanswered_outcome(case: Case) -> Outcome:
    """What became of the process whose call did not return; a gap where that is not shown."""
    path = case.event("unanswered")
    budget = case.facts.number(*path, "budget_seconds")
    if case.facts.optional(*path, "sigkill_at") is None:
        _require_oom_kill(case, path)
        return Outcome(word=words.OOM_KILLED)
    killed, seconds = (case.facts.number(*path, name) for name in ("sigkill_at", "seconds"))
    if not budget <= killed <= seconds:
        raise EvidenceGapError(
            f"the holder was killed {killed:g} s into a call with {budget:g} s to go, and watched "
            f"for {seconds:g} s"
        )
    _require_spinning(case, path, killed)
    if not case.facts.flag(*path, "ended"):
        if seconds < killed + case.facts.number(*path, "grace_seconds"):
            raise EvidenceGapError("the killed holder was given up before its grace had ended")
        return Outcome(word=words.SPINNING_UNKILLABLE, budget_seconds=budget)
    _require_signal(case, path)
    return Outcome(word=words.SPINNING_KILLABLE, budget_seconds=budget)


def unanswered_seconds(case: Case) -> float:
    """How long the call was watched that never returned."""
    return case.facts.number(*case.event("unanswered"), "seconds")


def _require_spinning(case: Case, path: Path, killed: float) -> None:
    """A call that sleeps uses no CPU: there is no word for that, and nothing is concluded."""
    sampled = case.facts.number(*path, "sampled_at")
    before, after = (
        case.facts.number(*path, name) for name in ("cpu_seconds_sampled", "cpu_seconds")
    )
    if not sampled < killed or after - before > killed - sampled + _CLOCKS_APART_SECONDS:
        raise EvidenceGapError(
            f"the holder cannot have used {after - before:g} s of a CPU between {sampled:g} s and "
            f"{killed:g} s of its call"
        )
    if after <= before:
        raise EvidenceGapError(
            f"the call neither returned nor used a CPU between {sampled:g} s and {killed:g} s: it "
            "slept"
        )


def _require_signal(case: Case, path: Path) -> None:
    number = case.facts.integer(*path, "signal")
    if number != signal.SIGKILL:
        raise EvidenceGapError(f"the holder was ended by signal {number}, not by SIGKILL")


def _require_oom_kill(case: Case, path: Path) -> None:
    """Only the kernel's log tells the OOM killer's SIGKILL from anybody else's."""
    if not case.facts.flag(*path, "ended"):
        raise EvidenceGapError("the holder neither ended nor was killed, yet was given up")
    _require_signal(case, path)
    pid = case.facts.integer(*path, "pid")
    for record in case.log():
        found = _OOM_KILL.match(record.text) if record.from_kernel else None
        if found is not None and int(found["pid"]) == pid:
            return
    raise EvidenceGapError(
        f"the holder (process {pid}) was killed in its call, and the kernel's log does not say "
        "that the OOM killer did it"
    )
