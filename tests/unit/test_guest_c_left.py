# SPDX-License-Identifier: GPL-2.0-only
"""What pinholder's kinds of memory change in the kernel: gone with the holder, however it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.unit.test_guest_c_kinds import EXIT_UNSUPPORTED
from tests.unit.test_guest_c_pinholder import Event, call, events, named, pinholder

__all__ = ["pinholder"]  # the fixture

CHANGING = ("hugetlb", "ksm", "mthp", "swapped")
"""The kinds that change a setting of the kernel's, or add a device to it."""
SETTINGS = (
    "kernel/mm/ksm/run",
    "kernel/mm/ksm/pages_to_scan",
    "kernel/mm/ksm/sleep_millisecs",
    "kernel/mm/transparent_hugepage/hugepages-*/enabled",
    "kernel/mm/hugepages/*/nr_hugepages",
    "devices/system/node/node*/hugepages/*/nr_hugepages",
)
UNDOING_SECONDS = 20.0


def kernel_state() -> dict[str, str]:
    """Every setting that a kind may change, and what there is of swap."""
    found = {
        str(path): path.read_text() for pattern in SETTINGS for path in Path("/sys").glob(pattern)
    }
    found["zram"] = " ".join(sorted(path.name for path in Path("/sys/block").glob("zram*")))
    found["swaps"] = Path("/proc/swaps").read_text()
    return found


@contextmanager
def holder(pinholder: Path, kind: str) -> Iterator[tuple[subprocess.Popen[str], list[Event]]]:
    """A holder of 2 MiB of that kind that holds; a test is skipped where the host has it not."""
    command = [str(pinholder), "--hold", "vmsplice", "--kind", kind, "--size", "2M"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        found: list[Event] = []
        try:
            for line in process.stdout:
                found.append(json.loads(line))
                if found[-1]["event"] == "holding":
                    break
            else:
                if process.wait() == EXIT_UNSUPPORTED:
                    pytest.skip(named(found, "unsupported")["message"])
                pytest.fail(f"{kind} is not held: {found[-1]}")
            yield process, found
        finally:
            process.kill()


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + UNDOING_SECONDS
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    assert true()


@pytest.mark.parametrize("number", (signal.SIGKILL, signal.SIGTERM), ids=lambda one: one.name)
@pytest.mark.parametrize("kind", CHANGING)
def test_nothing_is_left_behind(pinholder: Path, kind: str, number: signal.Signals) -> None:
    before = kernel_state()
    with holder(pinholder, kind) as (process, _):
        process.send_signal(number)
        process.wait()
        # Who takes it back after a SIGKILL does so once the holder is gone.
        wait_until(lambda: kernel_state() == before)


@pytest.mark.parametrize("kind", ("ksm", "mthp"))
def test_a_setting_is_restored_before_the_hold(pinholder: Path, kind: str) -> None:
    before = kernel_state()
    with holder(pinholder, kind):
        assert kernel_state() == before


def test_swap_is_there_as_long_as_pages_may_be_in_it(pinholder: Path) -> None:
    before = kernel_state()
    with holder(pinholder, "swapped"):
        during = kernel_state()
        assert during["swaps"] != before["swaps"]
        assert {**during, "zram": "", "swaps": ""} == {**before, "zram": "", "swaps": ""}


def test_pages_of_a_pool_that_are_in_use_stay_in_it_no_longer(pinholder: Path) -> None:
    with holder(pinholder, "hugetlb") as (_, found):
        unit = named(found, "memory")["unit_bytes"]
        pool = Path(f"/sys/kernel/mm/hugepages/hugepages-{unit >> 10}kB")
        assert int((pool / "surplus_hugepages").read_text()) >= (2 << 20) // unit


def before_hold(pinholder: Path, kind: str) -> Event:
    """Where the pages of that kind are before they are held; all are in place."""
    status, out, err = call(pinholder, "--hold", "vmsplice", "--kind", kind, "--size", "4M")
    found = events(out)
    if status == EXIT_UNSUPPORTED:
        pytest.skip(named(found, "unsupported")["message"])
    assert status == 0, err
    event = next(one for one in found if one["event"] == "pages" and one["when"] == "before")
    if event["flags"] is None:
        pytest.skip("this host hides /proc/kpageflags")
    return event


def test_folios_of_16_pages_come_without_a_huge_page_among_them(pinholder: Path) -> None:
    event = before_hold(pinholder, "mthp")
    pages = sum(count for _, count, _ in event["runs"])
    assert event["flags"]["COMPOUND_HEAD"] == pages // 16


@pytest.mark.parametrize("kind", ("cow_child", "ksm"))
def test_each_page_is_mapped_more_than_once(pinholder: Path, kind: str) -> None:
    event = before_hold(pinholder, kind)
    assert event["mapcounts"]
    assert not {"0", "1"} & event["mapcounts"].keys()
