# SPDX-License-Identifier: GPL-2.0-only
"""Exported scenarios on a machine that pinhole did not make: the kernel and the initramfs of
Debian's installer, whose busybox has little, and a DIMM that was there at boot."""

from __future__ import annotations

import gzip
import re
import subprocess
from pathlib import Path

import platformdirs
import pytest

from pinhole.boot.cpio import Archive
from pinhole.tools.export import export

PACKAGE = "debian-installer-12-netboot-amd64"
INSIDE = "usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64"
SCENARIOS = ("vmsplice-anonymous", "io_uring-anonymous", "io_uring-refused", "vmsplice-exit")
INIT = """\
#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
cd /reproduce
echo
export SECONDS_PER_BLOCK=3
for one in {names}; do
	echo "== $one"
	sh ./$one.sh 2>&1
	echo "== ended with $?"
done
poweroff -f
"""
MACHINE = (
    "-machine q35 -smp 2 -m 1G,slots=4,maxmem=8G -object memory-backend-ram,id=m0,size=1G "
    "-numa node,nodeid=0,cpus=0-1,memdev=m0 -numa node,nodeid=1 "
    "-object memory-backend-ram,id=m1,size=512M -device pc-dimm,memdev=m1,node=1"
)


@pytest.fixture(scope="module")
def installer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with Debian's ``linux`` and ``initrd.gz``; the package is kept in the cache."""
    cache = platformdirs.user_cache_path("pinhole") / "installer"
    cache.mkdir(parents=True, exist_ok=True)
    if not list(cache.glob("*.deb")):
        work = tmp_path_factory.mktemp("download")
        subprocess.run(
            ["apt-get", "download", "-q", PACKAGE], cwd=work, check=True, capture_output=True
        )
        (package,) = work.glob("*.deb")
        temporary = cache / f"{package.name}.new"
        temporary.write_bytes(package.read_bytes())
        temporary.rename(cache / package.name)
    folder = tmp_path_factory.mktemp("installer")
    (package,) = cache.glob("*.deb")
    subprocess.run(["dpkg-deb", "--extract", package, folder], check=True)
    return folder / INSIDE


@pytest.fixture(scope="module")
def console(installer: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """All that the machine said while every script ran, once for all tests of this file."""
    folder = tmp_path_factory.mktemp("reproduce")
    archive = Archive()
    archive.file("reproduce/init", INIT.format(names=" ".join(SCENARIOS)).encode(), 0o755)
    for name in SCENARIOS:
        found = export(name, folder)
        program = folder / name
        subprocess.run(
            ["gcc", "-O2", "-static", "-pthread", "-o", program, found.program],
            check=True,
            timeout=60,
        )
        archive.file(f"reproduce/{name}", program.read_bytes(), 0o755)
        archive.file(f"reproduce/{name}.sh", found.script.read_bytes(), 0o755)
    initrd = folder / "initrd"
    initrd.write_bytes(
        (installer / "initrd.gz").read_bytes() + gzip.compress(archive.to_bytes(), 1)
    )
    done = subprocess.run(
        [
            *("qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-nographic", "-no-reboot"),
            *("-kernel", installer / "linux", "-initrd", initrd, "-nic", "none"),
            *("-append", "console=ttyS0 movable_node rdinit=/reproduce/init quiet"),
            *MACHINE.split(),
        ],
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=400,
    )
    return done.stdout.decode(errors="replace").replace("\r", "")


def said(console: str, name: str) -> str:
    """What one script said, from its first line to its exit status."""
    found = re.search(rf"^== {name}\n(.*?)^== ended with 0$", console, re.M | re.S)
    assert found is not None, console[-3000:]
    return found[1]


def states(text: str) -> tuple[list[str], list[str]]:
    """The state of each block after its attempt, while pages are held and once they are not."""
    held, _, after = text.partition("-- after they were let go\n")
    pattern = re.compile(r"^memory\d+: (\S+) ", re.M)
    return pattern.findall(held), pattern.findall(after)


@pytest.mark.parametrize("name", ["vmsplice-anonymous", "vmsplice-exit"])
def test_references_keep_one_block_until_they_are_dropped(console: str, name: str) -> None:
    text = said(console, name)
    assert "held 256 pages\n" in text
    held, after = states(text)
    assert sorted(held) == ["offline", "offline", "offline", "online"]
    assert after == ["offline"] * 4
    assert "page dumped because: migration failure" in text
    assert "still at it after 3 s" in text


def test_a_long_term_pin_keeps_no_block_on_6_1(console: str) -> None:
    text = said(console, "io_uring-anonymous")
    assert "held 4096 pages\n" in text
    assert states(text) == (["offline"] * 4, ["offline"] * 4)


def test_a_refused_pin_is_told_with_its_errno(console: str) -> None:
    text = said(console, "io_uring-refused")
    assert "refused io_uring_register(IORING_REGISTER_BUFFERS): Cannot allocate memory\n" in text
    held, after = states(text)
    # The page that could not leave is still referenced by the trick's own pipe.
    assert sorted(held) == ["offline", "offline", "offline", "online"]
    assert after == ["offline"] * 4
