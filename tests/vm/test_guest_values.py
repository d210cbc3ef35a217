# SPDX-License-Identifier: GPL-2.0-only
"""What is read in a live guest: memory, its log and its clock, held pages and tries to remove."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from pinhole.errors import (
    BudgetError,
    GuestCommandError,
    GuestPanickedError,
    HolderError,
    QemuDiedError,
)
from pinhole.guest.clock import sample_clock
from pinhole.guest.dimm import PluggedDimm
from pinhole.guest.guest import Guest
from pinhole.guest.holder import Holder
from pinhole.guest.kmsg import mark, read_kmsg
from pinhole.guest.memory import MEMORY, block_of, read_blocks, zone_of
from pinhole.guest.removal import try_removal
from pinhole.guest.snapshot import take
from pinhole.guest.text import parse_counters, parse_zoneinfo
from pinhole.health.findings import findings
from pinhole.health.kmsg import gaps, parse_kmsg

BUDGET = 20.0
NODE = 1
VMSPLICE = ["--hold", "vmsplice", "--kind", "anonymous", "--size", "1M", "--node", str(NODE)]


@pytest.fixture(scope="module")
def plugged(shared_guest: Guest) -> PluggedDimm:
    """A DIMM in node 1, online in ZONE_MOVABLE, that the tests of this file share."""
    return PluggedDimm.plug(shared_guest, node=NODE)


@pytest.fixture
def dimm(plugged: PluggedDimm) -> Iterator[PluggedDimm]:
    """The DIMM, all of its blocks online."""
    plugged.online()
    yield plugged
    plugged.online()


def page_size(guest: Guest) -> int:
    found = guest.facts["page_size_bytes"]
    assert isinstance(found, int)
    return found


def test_a_snapshot_is_whole_and_quick(shared_guest: Guest) -> None:
    began = time.monotonic()
    found = take(shared_guest.channel, budget=BUDGET)
    seconds = time.monotonic() - began
    print(f"{len(found.raw)} files in {seconds:.3f} s")
    assert found.errors == {}
    assert "/proc/zoneinfo" in found.raw
    assert found.raw[f"{MEMORY}/memory0/state"] == "online\n"
    assert seconds < 1.0


def test_a_snapshot_folds_in_every_cpu_s_counters(dimm: PluggedDimm) -> None:
    channel = dimm.guest.channel

    def held() -> int:
        files = take(channel, budget=BUDGET).raw
        counters = [parse_counters(files[path]) for path in files if path.endswith("/vmstat")]
        return sum(one["nr_foll_pin_acquired"] - one["nr_foll_pin_released"] for one in counters)

    before = held()
    # 96 KiB are 24 pages: fewer than a CPU keeps to itself before it tells the sum.
    arguments = ["--hold", "io_uring", "--kind", "anonymous", "--size", "96K", "--node", str(NODE)]
    with Holder.start(channel, arguments, BUDGET) as holder:
        # /proc/vmstat and the node's file both count them.
        assert held() - before == 2 * 24
        holder.release(BUDGET)


def test_the_clock_is_mapped_within_its_bound(shared_guest: Guest) -> None:
    clock = sample_clock(shared_guest.channel, budget=BUDGET)
    before = time.monotonic()
    boottime = take(shared_guest.channel, budget=BUDGET).boottime
    after = time.monotonic()
    assert clock.error_bound < 0.5
    assert clock.to_guest(before) - clock.error_bound <= boottime
    assert boottime <= clock.to_guest(after) + clock.error_bound


@pytest.mark.parametrize("text", ["plain", "with 'quotes' and \\ and ünïcödé", "-n"])
def test_a_mark_is_the_last_record(shared_guest: Guest, text: str) -> None:
    if text.startswith("-"):
        text = f"mark {text}"
    before = read_kmsg(shared_guest.channel, budget=BUDGET)
    mark(shared_guest.channel, text, budget=BUDGET)
    assert before.last_sequence is not None
    log = read_kmsg(shared_guest.channel, budget=BUDGET, start=before.last_sequence + 1)
    (record,) = parse_kmsg(log.text)
    assert (record.text, record.from_kernel) == (text, False)
    assert (log.overrun, log.complete) == (False, True)


def test_a_mark_that_does_not_fit_is_refused(shared_guest: Guest) -> None:
    with pytest.raises(GuestCommandError, match="one line"):
        mark(shared_guest.channel, "x" * 901, budget=BUDGET)


def test_a_normal_boot_is_healthy(shared_guest: Guest) -> None:
    records = parse_kmsg(read_kmsg(shared_guest.channel, budget=BUDGET).text)
    assert records[0].sequence == 0
    assert gaps(records) == []
    assert findings(records) == []


@pytest.mark.parametrize(
    "prefix", ["", "<0>", "<2048>", "<-8>", "<4294967296>", "<18446744073709551616>"]
)
def test_a_process_cannot_make_a_finding(shared_guest: Guest, prefix: str) -> None:
    line = f"{prefix}Kernel panic - not syncing: says a process\n"
    shared_guest.channel.write("/dev/kmsg", line.encode(), budget=BUDGET)
    records = parse_kmsg(read_kmsg(shared_guest.channel, budget=BUDGET).text)
    assert "says a process" in records[-1].text
    assert findings(records) == []


def test_blocks_and_zones_of_the_dimm(dimm: PluggedDimm) -> None:
    guest = dimm.guest
    blocks = [
        block
        for block in read_blocks(guest.channel, page_size(guest), budget=BUDGET)
        if block.node == NODE
    ]
    assert tuple(block.name for block in blocks) == dimm.blocks
    assert {(block.state, block.valid_zones) for block in blocks} == {("online", ("Movable",))}
    zones = parse_zoneinfo(take(guest.channel, budget=BUDGET).raw["/proc/zoneinfo"])
    for block in blocks:
        zone = zone_of(block.start_pfn, zones)
        assert zone is not None
        assert (zone.node, zone.name) == (NODE, "Movable")


def test_held_pages_keep_their_block_until_released(dimm: PluggedDimm) -> None:
    guest = dimm.guest
    with Holder.start(guest.channel, VMSPLICE, BUDGET) as holder:
        after = holder.pages("after")
        assert after is not None
        pfns = after.pfns()
        blocks = read_blocks(guest.channel, page_size(guest), budget=BUDGET)
        held = {block.name for pfn in pfns if pfn and (block := block_of(pfn, blocks))}
        assert len(held) == 1
        (name,) = held
        attempt = dimm.offline(name, 1.0)
        assert (attempt.succeeded, attempt.ended, attempt.errno_name) == (False, True, "EINTR")
        assert attempt.passes is not None
        assert attempt.passes > 0
        assert holder.look(BUDGET).pfns() == pfns
        holder.release(BUDGET)
        assert (holder.exit_status, holder.refused) == (0, None)
        assert holder.released is not None
        assert holder.released.held
    assert dimm.offline(name).succeeded


def test_a_killed_holder_lets_go(dimm: PluggedDimm) -> None:
    with Holder.start(dimm.guest.channel, VMSPLICE, BUDGET) as holder:
        holder.kill(BUDGET)
        assert (holder.exit_status, holder.exit_signal) == (None, "KILL")
    attempts = dimm.offline_all()
    assert all(attempt.succeeded for attempt in attempts.values()), attempts


def test_leaving_the_block_ends_the_holder(dimm: PluggedDimm) -> None:
    channel = dimm.guest.channel
    with Holder.start(channel, VMSPLICE, BUDGET) as holder:
        pid = holder.pid
        assert channel.read(f"/proc/{pid}/comm", budget=BUDGET) == b"pinholder\n"
    with pytest.raises(GuestCommandError, match="ENOENT"):
        channel.read(f"/proc/{pid}/comm", budget=BUDGET)


def test_a_holder_that_cannot_start_says_why(dimm: PluggedDimm) -> None:
    with pytest.raises(HolderError, match="unknown way to hold 'vfoi'"):
        Holder.start(dimm.guest.channel, ["--hold", "vfoi"], BUDGET)
    huge = [*VMSPLICE[:5], "64G", *VMSPLICE[6:]]
    with pytest.raises(HolderError, match="node 1"):
        Holder.start(dimm.guest.channel, huge, BUDGET)
    assert "pinholder" not in dimm.guest.channel.run(["ps"], budget=BUDGET).text


def test_a_holder_whose_call_never_returns_is_killed_and_says_so(dimm: PluggedDimm) -> None:
    channel = dimm.guest.channel
    if dimm.guest.kernel.version.startswith("5.10"):
        pytest.skip("before 5.13 a pin does not isolate what is in ZONE_MOVABLE")
    arguments = ["--hold", "io_uring", "--size", "4M", "--node", str(NODE), "--hold-budget", "2"]
    with pytest.raises(HolderError, match="did not return"):
        Holder.start(channel, [*arguments, "--trick", "isolated-elsewhere"], 2 * BUDGET)
    assert "pinholder" not in channel.run(["ps"], budget=BUDGET).text
    # What the trick had begun ended with it: the block goes at once.
    assert all(attempt.succeeded for attempt in dimm.offline_all(BUDGET).values())


def test_a_holder_over_its_budget_says_how_far_it_came(dimm: PluggedDimm) -> None:
    with pytest.raises(BudgetError, match="the last it said was"):
        Holder.start(dimm.guest.channel, [*VMSPLICE[:4], "--size", "400M", "--node", "1"], 0.05)
    assert "pinholder" not in dimm.guest.channel.run(["ps"], budget=BUDGET).text


def test_a_refusal_by_sysfs_is_its_errno(shared_guest: Guest) -> None:
    path = f"{MEMORY}/memory0/state"
    attempt = try_removal(shared_guest.channel, path, "sideways", budget=2.0, grace=2.0)
    assert (attempt.succeeded, attempt.errno_name) == (False, "EINVAL")
    assert attempt.sigterm_at is None


def test_a_dead_qemu_is_told_as_such(guest: Guest) -> None:
    """The connection breaks first; the machine's own error must win."""
    with (
        pytest.raises(QemuDiedError),
        guest.channel.spawn(["sleep", "1000"], budget=BUDGET) as process,
    ):
        os.kill(guest.machine.pid, signal.SIGKILL)
        process.read_line(BUDGET)


def test_a_panic_is_told_as_such(guest: Guest) -> None:
    with pytest.raises(GuestPanickedError):
        guest.channel.run(["sh", "-c", "echo c > /proc/sysrq-trigger; sleep 1000"], budget=BUDGET)
