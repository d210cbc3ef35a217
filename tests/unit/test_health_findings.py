# SPDX-License-Identifier: GPL-2.0-only
"""The health scan, on the logs of real guests: what they were led into, and what they imitate."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from pinhole.health.findings import FindingKind, classify, findings
from pinhole.health.kmsg import KmsgRecord, parse_kmsg

CAPTURED = Path(__file__).parent / "captured"
KERNELS = ["5.10", "6.12"]
CALM = ["boot", "offline-io_uring", "offline-vmsplice", "user-writes", "segfault"]


def records(kernel: str, name: str) -> list[KmsgRecord]:
    return parse_kmsg((CAPTURED / kernel / f"{name}.kmsg").read_text())


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", CALM)
def test_a_calm_log_has_no_finding(kernel: str, name: str) -> None:
    assert findings(records(kernel, name)) == []


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("warning", {"warning"}),
        ("null-dereference", {"bug", "oops"}),
        ("kernel-bug", {"bug", "oops"}),
        ("general-protection-fault", {"general-protection"}),
        ("hung-task", {"hung-task"}),
        ("oom", {"oom-kill"}),
        ("vmalloc", {"allocation-failure"}),
    ],
)
def test_trouble_is_found(kernel: str, name: str, kinds: set[str]) -> None:
    log = records(kernel, name)
    found = findings(log)
    assert {finding.kind.value for finding in found} == kinds
    texts = {record.sequence: record.text for record in log}
    assert all(texts[finding.sequence] == finding.text for finding in found)


def test_lockups_are_found() -> None:
    assert Counter(one.kind.value for one in findings(records("5.10", "soft-lockup"))) == {
        "rcu-stall": 1,
        "soft-lockup": 1,
    }
    assert {one.kind.value for one in findings(records("6.12", "soft-lockup"))} == {"soft-lockup"}


@pytest.mark.parametrize("kernel", KERNELS)
def test_processes_cannot_write_as_the_kernel(kernel: str) -> None:
    said = records(kernel, "user-writes")
    imitated = [one for one in said if "says a process" in one.text]
    assert len(imitated) >= 18
    assert not any(one.from_kernel for one in imitated)
    assert any(classify(one.text) is FindingKind.PANIC for one in imitated)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_process_named_like_trouble_is_none(kernel: str) -> None:
    first = next(one for one in records(kernel, "segfault") if one.text.startswith("BUG: x["))
    assert first.from_kernel


# These could not be provoked: the words are those of the kernel's format strings (6.12).
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Kernel panic - not syncing: sysrq triggered crash", "panic"),
        ("list_add corruption. next->prev should be prev (ff), but was 00.", "list-corruption"),
        ("list_del corruption, ff->next is LIST_POISON1 (dead)", "list-corruption"),
        ("BUG: KASAN: slab-use-after-free in foo+0x1/0x2", "sanitizer"),
        ("BUG: KFENCE: out-of-bounds read in foo", "sanitizer"),
        ("UBSAN: array-index-out-of-bounds in mm/gup.c:1:2", "sanitizer"),
        ("WARNING: possible circular locking dependency detected", "lockdep"),
        ("WARNING: suspicious RCU usage", "lockdep"),
        ("refcount_t: underflow; use-after-free.", "refcount"),
        ("BUG: Bad page state in process x  pfn:100000", "bad-page"),
        ("BUG: Bad rss-counter state mm:ff type:MM_ANONPAGES val:1", "bad-page"),
        ("BUG: scheduling while atomic: x/1/0x2", "sleep-in-atomic"),
        (
            "BUG: workqueue lockup - pool cpus=1 node=0 flags=0x0 nice=0 stuck for 31s!",
            "workqueue-lockup",
        ),
        ("watchdog: Watchdog detected hard LOCKUP on cpu 1", "hard-lockup"),
        ("NMI watchdog: Watchdog detected hard LOCKUP on cpu 1", "hard-lockup"),
        ("rcu: INFO: rcu_preempt self-detected stall on CPU", "rcu-stall"),
        ("rcu: INFO: rcu_sched detected expedited stalls on CPUs/tasks: { 1-... }", "rcu-stall"),
        ("rcu: rcu_sched kthread starved for 5250 jiffies! g1 f0x0", "rcu-stall"),
        (
            "pinholder: page allocation failure: order:0, mode:0xcc0(GFP_KERNEL)",
            "allocation-failure",
        ),
        ("Memory cgroup out of memory: Killed process 1 (x) total-vm:1kB", "oom-kill"),
        ("BUG kmalloc-64 (Not tainted): Redzone overwritten", "bug"),
        ("sysfs: cannot create duplicate filename '/devices/x'", "duplicate-object"),
        ("kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)", "leak"),
    ],
)
def test_the_words_of_the_kernel(text: str, kind: str) -> None:
    assert classify(text) is FindingKind(kind)


@pytest.mark.parametrize(
    "text",
    [
        "page dumped because: migration failure",
        "Spectre V2 : WARNING: Unprivileged eBPF is enabled",
        "x: says BUG: nothing",
        "BUG: x[12]: segfault at 10 ip 0 sp 0 error 6 in x",
        "WARNING: (12): drop_caches: 3",
        "traps: Oops: [12] general protection fault ip:0 sp:0 error:0 in x",
        "workqueue: x hogged CPU for >10000us 4 times, consider switching to WQ_UNBOUND",
        "line\nBUG: in its second line",
        "",
    ],
)
def test_ordinary_lines(text: str) -> None:
    assert classify(text) is None
