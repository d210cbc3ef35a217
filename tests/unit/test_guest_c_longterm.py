# SPDX-License-Identifier: GPL-2.0-only
"""pinholder's long-term pins without hardware, on this host's own kernel where it allows them."""

from __future__ import annotations

import errno
import subprocess
from pathlib import Path

import pytest
from tests.unit.test_guest_c_pinholder import (
    GUEST,
    HELD,
    PAGE_BYTES,
    Event,
    call,
    events,
    named,
    names,
    pinholder,
)

from pinhole.boot.programs import _key

__all__ = ["pinholder"]  # the fixture

EXIT_REFUSED = 1
EXIT_UNSUPPORTED = 5
PAGES = 64

KIND_OF_WAY = {
    "af_xdp": "anonymous",
    "gup_test": "anonymous",
    "io_uring_ring": "anonymous",
    "rdma_rxe": "anonymous",
    "rdma_siw": "anonymous",
    "udmabuf": "memfd",
}


def told(pinholder: Path, way: str, *more: str, kind: str = "anonymous") -> tuple[int, list[Event]]:
    """Status and events of a holder; skips where this kernel lacks the way, as it was read here."""
    status, out, _ = call(pinholder, "--hold", way, "--kind", kind, *more)
    found = events(out)
    if status == EXIT_UNSUPPORTED:
        pytest.skip(named(found, "unsupported")["message"])
    return status, found


@pytest.mark.parametrize("way", KIND_OF_WAY)
def test_all_pages_are_held_and_let_go(pinholder: Path, way: str) -> None:
    size = ("--size", str(PAGES * PAGE_BYTES))
    status, found = told(pinholder, way, *size, kind=KIND_OF_WAY[way])
    assert status == 0
    assert names(found) == HELD
    hold = named(found, "hold")
    assert (hold["errno"], hold["pages"], hold["first_page"]) == (0, PAGES, 0)
    assert named(found, "verify")["ok"]
    assert named(found, "released")["held"]


@pytest.mark.parametrize("way", KIND_OF_WAY)
def test_a_kernel_without_the_way_is_told_by_its_own_errno(pinholder: Path, way: str) -> None:
    status, out, _ = call(pinholder, "--hold", way, "--kind", KIND_OF_WAY[way])
    if status != EXIT_UNSUPPORTED:
        pytest.skip(f"this kernel has {way}")
    lack = named(events(out), "unsupported")
    assert lack["errno_name"] == errno.errorcode[lack["errno"]]
    assert lack["call"] in lack["message"]
    assert "hold" not in names(events(out))


def test_rings_of_powers_of_two_cover_memory_that_is_none(pinholder: Path) -> None:
    # A ring has at most 32768 entries of 16 bytes: 512 KiB.
    largest = 32768 * 16
    rest = 3 * PAGE_BYTES
    _, found = told(pinholder, "io_uring_ring", "--size", str(2 * largest + rest))
    hold = named(found, "hold")
    assert hold["errno"] == 0
    assert hold["pages"] == (2 * largest + rest) // PAGE_BYTES
    assert hold["rings"] == 4  # twice the largest, two pages, one page


def test_af_xdp_beyond_the_memlock_limit_is_refused(pinholder: Path) -> None:
    size = ("--size", str(PAGES * PAGE_BYTES), "--trick", "memlock-limit")
    status, found = told(pinholder, "af_xdp", *size)
    assert status == EXIT_REFUSED
    hold = named(found, "hold")
    assert (hold["errno"], hold["pages"]) == (errno.ENOBUFS, 0)
    assert named(found, "usable")["ok"]


def test_udmabuf_of_memory_without_a_file_gets_the_kernels_errno(pinholder: Path) -> None:
    status, found = told(pinholder, "udmabuf")
    assert status == EXIT_REFUSED
    assert named(found, "hold")["errno"] == errno.EBADFD
    assert named(found, "usable")["ok"]


def test_without_libibverbs_the_rdma_ways_say_what_to_install(tmp_path: Path) -> None:
    without = ("RDMA_CFLAGS=", "RDMA_LIBS=")
    target = tmp_path / "pinholder"
    subprocess.run(
        ["make", "-s", "-j2", "-C", GUEST, f"O={tmp_path}", *without, target], check=True
    )
    for way in ("rdma_rxe", "rdma_siw"):
        status, out, _ = call(target, "--hold", way)
        assert status == EXIT_UNSUPPORTED
        assert "libibverbs-dev" in named(events(out), "unsupported")["message"]


@pytest.mark.parametrize("library", ["libibverbs.a", "librxe-rdmav34.a"])
def test_what_is_compiled_is_known_by_the_rdma_libraries(tmp_path: Path, library: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    libc = tmp_path / "libc.a"
    libc.write_bytes(b"libc")
    without = _key(source, libc)
    assert _key(source, libc) == without
    (tmp_path / library).write_bytes(b"one")
    one = _key(source, libc)
    (tmp_path / library).write_bytes(b"another")
    assert len({without, one, _key(source, libc)}) == 3
