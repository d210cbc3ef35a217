# SPDX-License-Identifier: GPL-2.0-only
"""The newc writer, against GNU cpio and against itself."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinhole.boot.cpio import Archive
from pinhole.errors import BootImageError

names = st.text("abcXYZ.-_", min_size=1, max_size=8).filter(lambda name: set(name) != {"."})


def listed(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """Name to (mode, data), read by the offsets of buffer-format.rst."""
    found: dict[str, tuple[int, bytes]] = {}
    at = 0
    while True:
        assert archive[at : at + 6] == b"070701"
        field = [int(archive[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        name = archive[at + 110 : at + 110 + field[11] - 1].decode()
        data_at = -(-(at + 110 + field[11]) // 4) * 4
        if name == "TRAILER!!!":
            return found
        found[name] = (field[1], archive[data_at : data_at + field[6]])
        at = -(-(data_at + field[6]) // 4) * 4


@given(st.dictionaries(names, st.binary(max_size=50), max_size=12), st.randoms())
def test_order_of_adding_does_not_matter_and_all_is_there(
    files: dict[str, bytes], random: object
) -> None:
    one, other = Archive(), Archive()
    for name, data in files.items():
        one.file(f"etc/{name}", data)
    shuffled = list(files.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for name, data in shuffled:
        other.file(f"/etc/{name}", data)
    whole = one.to_bytes()
    assert whole == other.to_bytes()
    assert len(whole) % 512 == 0
    expected = {f"etc/{name}": (0o100644, data) for name, data in files.items()}
    assert listed(whole) == ({"etc": (0o040755, b""), **expected} if files else {})


@pytest.mark.skipif(shutil.which("cpio") is None, reason="GNU cpio is not installed")
def test_gnu_cpio_reads_it() -> None:
    archive = Archive()
    archive.file("a/b/run", b"#!/bin/sh\n", 0o755)
    archive.link("a/sh", "/bin/busybox")
    archive.folder("root", 0o700)
    archive.character_device("dev/null", 1, 3, 0o666)
    said = subprocess.run(
        ["cpio", "-itv", "--numeric-uid-gid"],
        input=archive.to_bytes(),
        capture_output=True,
        check=True,
        env={"TZ": "UTC", "LC_ALL": "C"},
    ).stdout.decode()
    lines = [line.split() for line in said.splitlines()]
    assert [(line[0], line[-1]) for line in lines] == [
        ("drwxr-xr-x", "a"),
        ("drwxr-xr-x", "a/b"),
        ("-rwxr-xr-x", "a/b/run"),
        ("lrwxrwxrwx", "/bin/busybox"),
        ("drwxr-xr-x", "dev"),
        ("crw-rw-rw-", "dev/null"),
        ("drwx------", "root"),
    ]
    assert all(line[2:4] == ["0", "0"] and "1970" in line for line in lines)
    assert lines[5][4:6] == ["1,", "3"]


@pytest.mark.parametrize("path", ["", "/", "../etc/passwd", "a/../../b", "a\0b"])
def test_paths_outside_are_refused(path: str) -> None:
    with pytest.raises(BootImageError, match="cannot be a path"):
        Archive().file(path, b"")


def test_same_path_twice_is_refused() -> None:
    archive = Archive()
    archive.file("etc/passwd", b"one")
    with pytest.raises(BootImageError, match="/etc/passwd twice"):
        archive.link("/etc/passwd", "two")
    with pytest.raises(BootImageError, match="/etc/passwd twice"):
        archive.folder("etc/passwd")
