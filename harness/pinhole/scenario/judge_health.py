# SPDX-License-Identifier: GPL-2.0-only
"""Judges health: nothing of panic, BUG, WARNING, oops, lockup that the scenario did not announce.

Only what the kernel itself said counts: records of facility 0 of /dev/kmsg, the taint, and
QEMU's word that the guest panicked. What a process printed to the console is no evidence.
"""

from __future__ import annotations

import re
from itertools import pairwise

from pinhole.health.findings import findings
from pinhole.health.kmsg import KmsgRecord
from pinhole.scenario.case import Case
from pinhole.scenario.facts import EvidenceGapError
from pinhole.scenario.ruling import Ruling, State

_PANIC_EVENTS = frozenset({"GUEST_PANICKED", "GUEST_CRASHLOADED"})
_RESET_REASONS = frozenset({"guest-reset", "guest-panic"})
_EVENT_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
_AFTER_OTHERS = re.compile(r" after [1-9][0-9]* others$")
_TAINT = "/proc/sys/kernel/tainted"


def health(case: Case) -> Ruling:
    """No panic, and no finding in the kernel's log or taint beyond ``Scenario.allow``."""
    panic = _panic(case)
    if panic is not None:
        return Ruling(State.BROKEN, panic)
    records = _log(case)
    found = [one for one in findings(records) if one.kind not in case.scenario.allow]
    if found:
        kinds = ", ".join(dict.fromkeys(one.kind for one in found))
        return Ruling(
            State.BROKEN,
            f"the kernel's log shows {kinds}",
            lines=tuple(one.text for one in found[:5]),
        )
    before, after = (case.file(snapshot, _TAINT).strip() for snapshot in ("bare", "unplugged"))
    if not (before.isdigit() and after.isdigit()):
        raise EvidenceGapError("the kernel's taint is not a number")
    if before != after:
        return Ruling(State.BROKEN, f"the kernel's taint went from {before} to {after}")
    if not case.facts.flag("end", "completed"):
        raise EvidenceGapError("the scenario did not come to its end")
    return Ruling(State.KEPT, f"no finding in {len(records)} lines of the kernel's log")


def _panic(case: Case) -> str | None:
    """QEMU's word that the guest died, or None."""
    for index in range(len(case.facts.sequence("qmp", "events"))):
        name = case.facts.text("qmp", "events", index, "name")
        if _EVENT_NAME.fullmatch(name) is None:
            raise EvidenceGapError(f"{name!r:.60} is no event of QEMU's")
        if name in _PANIC_EVENTS:
            return f"the kernel panicked (QEMU: {name})"
        if name in ("SHUTDOWN", "RESET"):
            reason = case.facts.text("qmp", "events", index, "data", "reason")
            if reason in _RESET_REASONS:
                return f"the guest reset itself (QEMU: {name}, {reason})"
    return None


def _log(case: Case) -> tuple[KmsgRecord, ...]:
    """The whole log of the scenario; a gap in it, or a mark that is not there, is a gap."""
    if case.facts.flag("kmsg", "overrun") or not case.facts.flag("kmsg", "complete"):
        raise EvidenceGapError("the kernel's log was overwritten or cut before it was read")
    records = case.log()
    begin, end = case.facts.text("kmsg", "begin_mark"), case.facts.text("kmsg", "end_mark")
    # Sequence numbers begin at 0 with the boot (kernel/printk): a log cut at its head shows too.
    # In a guest that has played others before, the scenario's own log begins with its mark.
    shared = _AFTER_OTHERS.search(begin) is not None
    if not records or (records[0].text != begin if shared else records[0].sequence != 0):
        raise EvidenceGapError("the kernel's log does not begin with its first record")
    for previous, record in pairwise(records):
        if record.sequence != previous.sequence + 1:
            raise EvidenceGapError(
                f"the kernel's log lacks the records between {previous.sequence} and "
                f"{record.sequence}"
            )
    texts = [record.text for record in records]
    if not begin or not end or texts.count(begin) != 1 or texts[-1:] != [end]:
        raise EvidenceGapError("the kernel's log lacks the scenario's first or last mark")
    return records
