# SPDX-License-Identifier: GPL-2.0-only
"""``pinhole run`` on a host whose disk is full, and beside another of itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.faults.conftest import with_kernels
from tests.faults.run_command import ONE_SCENARIO, PHASES, Place

from pinhole.size import KIB, MIB


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """A file system of ``size`` bytes at ``folder``."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system to fill")
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"this host lets nobody mount a file system: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize(
    ("size", "phase"), [(4 * KIB, None), (24 * KIB, "boot"), (64 * KIB, "bare")]
)
def test_full_disk_under_the_runs(place: Place, size: int, phase: str | None) -> None:
    """It fills up before the boot, with the console's log, and with the evidence."""
    with small_disk(place.runs, size):
        ended = place.run(*ONE_SCENARIO)
        assert ended.status == 3
        assert (ended.stdout, "Traceback" in ended.stderr) == ("", False)
        assert ended.last_word.startswith(f"pinhole: cannot write {place.runs}/")
        assert ended.last_word.endswith(
            "No space left on device; free some space or choose another --runs"
        )
        assert phase is None or PHASES[phase] in ended.stderr
        assert "0 of 1 scenario runs finished" in ended.stderr
        place.assert_nothing_is_left()
        # Whatever was written, it was written whole.
        assert place.judge().status in {3, 4}


def test_full_disk_under_the_cache(place: Place) -> None:
    cache = place.folder / "cache"
    cache.mkdir()
    small = Place(place.folder, cache)
    with small_disk(cache, MIB):
        with_kernels(cache)
        ended = small.run(*ONE_SCENARIO)
        assert ended.status == 3
        (record,) = small.records()
        assert record["status"] == "MISS"
        assert record["reason"].startswith(
            f"boot: cannot write the guest's programs in {cache}/programs: No space left on device"
        )
        assert record["reason"].endswith("free some space, or point PINHOLE_CACHE elsewhere")
        small.assert_nothing_is_left()
        assert [path.suffix for path in (cache / "programs").iterdir()] == [".lock"]


def test_two_runs_at_once_share_an_empty_cache_and_runs(place: Place) -> None:
    cache = place.folder / "cache"
    cache.mkdir()
    shared = Place(place.folder, with_kernels(cache))
    with shared.start_run(*ONE_SCENARIO) as one, shared.start_run(*ONE_SCENARIO) as other:
        ends = [one.end(240), other.end(240)]
    for ended in ends:
        assert ended.status == 0, ended.stderr
        assert "1 as expected" in ended.stdout
    assert len(list(shared.runs.glob("*/run.json"))) == 2
    assert len(list(cache.glob("initramfs/[!.]*"))) == 1
    assert len(list(cache.glob("programs/[!.]*"))) == 1
    shared.assert_nothing_is_left()
