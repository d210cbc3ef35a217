# SPDX-License-Identifier: GPL-2.0-only
"""Findings: what in the kernel's log must not be there, told by a table of patterns.

Only records that the kernel wrote count, and only their beginning: a process can put any words
into the middle of a kernel's line, and a name of its own at the beginning of a few.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from pinhole.health.kmsg import KmsgRecord


class FindingKind(StrEnum):
    """What kind of trouble a line tells of; a scenario's ``allow`` names these."""

    PANIC = "panic"
    BUG = "bug"
    OOPS = "oops"
    GENERAL_PROTECTION = "general-protection"
    WARNING = "warning"
    SOFT_LOCKUP = "soft-lockup"
    HARD_LOCKUP = "hard-lockup"
    WORKQUEUE_LOCKUP = "workqueue-lockup"
    RCU_STALL = "rcu-stall"
    HUNG_TASK = "hung-task"
    BAD_PAGE = "bad-page"
    LIST_CORRUPTION = "list-corruption"
    SANITIZER = "sanitizer"
    LOCKDEP = "lockdep"
    REFCOUNT = "refcount"
    SLEEP_IN_ATOMIC = "sleep-in-atomic"
    OOM_KILL = "oom-kill"
    ALLOCATION_FAILURE = "allocation-failure"
    DUPLICATE_OBJECT = "duplicate-object"
    LEAK = "leak"


@dataclass(frozen=True)
class Finding:
    """One line of trouble: its kind, its record's sequence number and its text."""

    kind: FindingKind
    sequence: int
    text: str


# Lines that begin with the name of a process (15 bytes that it chooses: "BUG: x" is possible,
# *measured*) and tell nothing about the kernel.
_OF_PROCESSES = re.compile(
    r".{1,15}\[\d+\]: segfault at "  # arch/x86/mm/fault.c: show_signal_msg()
    r"|.{1,15} \(\d+\): drop_caches: "  # fs/drop_caches.c
    r"|.{1,15}\[\d+\] (?:vsyscall|bad frame in )"  # arch/x86: vsyscall_64.c, signal.c
    r"|.{1,15} \(\d+\) used greatest stack depth: ",  # kernel/exit.c
    re.DOTALL,
)

# The first pattern that matches the beginning of a line names it, so the special comes first.
_TABLE: tuple[tuple[FindingKind, str], ...] = (
    # kernel/panic.c: panic()
    (FindingKind.PANIC, r"Kernel panic - not syncing"),
    # mm/page_alloc.c: warn_alloc(), behind the name of the process; mm/vmalloc.c
    (FindingKind.ALLOCATION_FAILURE, r".{1,15}: page allocation (?:failure|stalls)"),
    (FindingKind.ALLOCATION_FAILURE, r".{1,15}: vmalloc(?: error|: allocation failure)"),
    # mm/oom_kill.c: dump_header(), __oom_kill_process(), out_of_memory(); mm/memcontrol.c
    (FindingKind.OOM_KILL, r".{1,15} invoked oom-killer: "),
    (FindingKind.OOM_KILL, r"oom-kill:constraint="),
    (FindingKind.OOM_KILL, r"(?:Memory cgroup out of memory|Out of memory[^:]*): Killed process "),
    (FindingKind.OOM_KILL, r"Out of memory and no killable processes"),
    # kernel/watchdog.c, kernel/watchdog_hld.c: pr_fmt is "watchdog: ", once "NMI watchdog: "
    (FindingKind.SOFT_LOCKUP, r"(?:NMI )?watchdog: BUG: soft lockup - CPU#"),
    (
        FindingKind.HARD_LOCKUP,
        r"(?:NMI )?watchdog: (?:CPU\d+: )?(?:Watchdog detected hard LOCKUP|BUG: hard)",
    ),
    # kernel/workqueue.c: wq_watchdog_timer_fn()
    (FindingKind.WORKQUEUE_LOCKUP, r"BUG: workqueue lockup - pool"),
    # kernel/rcu/tree_stall.h, tree_exp.h; srcutree.c and tasks.h warn in other words
    (FindingKind.RCU_STALL, r"rcu: INFO: \S+ (?:self-)?detected (?:expedited )?stalls? on CPU"),
    (FindingKind.RCU_STALL, r"rcu: (?:INFO: )?\S+ (?:grace-period )?kthread (?:starved|timer)"),
    (FindingKind.RCU_STALL, r"rcu: INFO: \S+ detected stalls on tasks"),
    # kernel/hung_task.c: check_hung_task(); behind the name of the process
    (FindingKind.HUNG_TASK, r"INFO: task .{1,15}:\d+ blocked (?:in I/O wait )?for more than "),
    # mm/memory.c, mm/page_alloc.c: bad_page(), print_bad_pte(); kernel/fork.c: check_mm()
    (FindingKind.BAD_PAGE, r"BUG: Bad (?:page (?:state|map|cache)|rss-counter)"),
    (FindingKind.BAD_PAGE, r"BUG: non-zero pgtables_bytes"),
    # mm/kasan/report.c, mm/kfence/report.c, kernel/kcsan/report.c, lib/ubsan.c, mm/kmsan/report.c
    (FindingKind.SANITIZER, r"BUG: (?:KASAN|KFENCE|KCSAN|KMSAN): "),
    (FindingKind.SANITIZER, r"UBSAN: "),
    # lib/list_debug.c
    (FindingKind.LIST_CORRUPTION, r"list_(?:add|del) corruption"),
    # kernel/locking/lockdep.c, kernel/rcu: all begin with WARNING: or BUG:
    (FindingKind.LOCKDEP, r"WARNING: possible (?:circular|recursive|irq lock inversion) "),
    (FindingKind.LOCKDEP, r"WARNING: (?:inconsistent lock state|suspicious RCU usage)"),
    (FindingKind.LOCKDEP, r"WARNING: (?:bad unlock balance|held lock freed|lock held when)"),
    (FindingKind.LOCKDEP, r"WARNING: (?:Nested lock was not taken|\S+-safe -> \S+-unsafe lock)"),
    (FindingKind.LOCKDEP, r"BUG: (?:MAX_LOCK|held lock freed|lock held)"),
    # kernel/sched/core.c: __schedule_bug(), __might_sleep()
    (FindingKind.SLEEP_IN_ATOMIC, r"BUG: (?:scheduling while atomic|sleeping function called)"),
    # lib/refcount.c; stands behind the WARNING's first line
    (FindingKind.REFCOUNT, r"refcount_t: "),
    # arch/x86/kernel/traps.c: exc_general_protection(); 6.x puts Oops before it
    (FindingKind.GENERAL_PROTECTION, r"(?:Oops: )?general protection fault"),
    # lib/bug.c: report_bug(); arch/*/mm/fault.c; mm/slub.c ("BUG kmalloc-64 (Not tainted): …")
    (FindingKind.BUG, r"kernel BUG at "),
    (FindingKind.BUG, r"BUG:? "),
    # arch/x86/kernel/dumpstack.c: __die_header(); arch/arm64/kernel/traps.c
    (FindingKind.OOPS, r"Oops: "),
    (
        FindingKind.OOPS,
        r"(?:invalid opcode|divide error|double fault|stack segment): [0-9a-f]{4} \[",
    ),
    (FindingKind.OOPS, r"\w+(?: \w+)?: [0-9a-f]{4} \[#\d+\]"),
    (FindingKind.OOPS, r"traps: PANIC: "),
    (FindingKind.OOPS, r"Fixing recursive fault but reboot is needed"),
    (FindingKind.OOPS, r".{1,15}: Corrupted page table at address"),
    (FindingKind.OOPS, r"Internal error: "),
    # mm/usercopy.c: usercopy_abort(); mm/slab_common.c: kmem_cache_destroy()
    (FindingKind.BUG, r"usercopy: Kernel memory (?:exposure|overwrite) attempt"),
    (FindingKind.BUG, r"kmem_cache_destroy \S+: Slab cache still has objects"),
    (FindingKind.OOPS, r"Unable to handle kernel "),
    (FindingKind.OOPS, r"kernel tried to execute NX-protected page"),
    # kernel/panic.c: __warn()
    (FindingKind.WARNING, r"WARNING: "),
    # fs/sysfs/dir.c: sysfs_warn_dup(); lib/kobject.c
    (FindingKind.DUPLICATE_OBJECT, r"sysfs: cannot create duplicate filename"),
    (FindingKind.DUPLICATE_OBJECT, r"kobject_add_internal failed for"),
    # mm/kmemleak.c; lib/debugobjects.c
    (FindingKind.LEAK, r"kmemleak: \d+ new suspected memory leaks"),
    (FindingKind.LEAK, r"ODEBUG: "),
)
_PATTERNS = tuple((kind, re.compile(pattern)) for kind, pattern in _TABLE)


def classify(text: str) -> FindingKind | None:
    """The kind of trouble that a line of the kernel tells of; None for an ordinary one."""
    if _OF_PROCESSES.match(text):
        return None
    return next((kind for kind, pattern in _PATTERNS if pattern.match(text)), None)


def findings(records: Iterable[KmsgRecord]) -> list[Finding]:
    """All findings among ``records``, in order; one trouble may give several lines."""
    return [
        Finding(kind, record.sequence, record.text)
        for record in records
        if record.from_kernel and (kind := classify(record.text)) is not None
    ]
