# SPDX-License-Identifier: GPL-2.0-only
"""``pinhole doctor`` on a host that lacks things: each is named, with the command that mends it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from pinhole.kernel import tool
from pinhole.kernel.suites import SERIES
from pinhole.machine.host import available_bytes
from pinhole.progress import Quiet
from pinhole.tools import doctor
from pinhole.tools.doctor import Finding, examine

DOCTOR = (sys.executable, "-c", "from pinhole.cli import main; main()", "doctor")
PACKAGES = {
    "QEMU 7.2 or newer": "qemu-system-x86",
    "setpriv": "util-linux",
    "C compiler": "gcc",
    "make": "make",
    "static busybox": "busybox-static",
    "dropbear": "dropbear-bin",
    "depmod": "kmod",
    "dpkg-deb": "dpkg",
    "apt": "apt",
}


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which programs are looked for, and a cache beside it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setattr(tool, "_PATH", str(folder))
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("PINHOLE_CACHE", str(tmp_path / "cache"))
    return folder


def examined(qemu: Path | None = None) -> dict[str, Finding]:
    return {one.need: one for one in examine(qemu, None, Quiet())}


@pytest.mark.usefixtures("empty")
def test_empty_path_names_each_package() -> None:
    findings = examined()
    for need, package in PACKAGES.items():
        found = findings.pop(need)
        assert found.good is False, found
        assert f"apt-get install {package}" in found.said
        assert package in found.packages
    unmet = [one for one in findings.values() if one.good is False]
    assert unmet == []
    builds = "tools to build kernels", "git, for patches", "a sandbox for builds", "ccache"
    told = [findings.pop(need) for need in builds]
    assert [one.good for one in told] == [None] * 4
    assert [one.said for one in told[1::2]] == [
        f"only to build kernels: the tool {tool!r} is missing; install it: apt-get install {tool}"
        for tool in ("git", "ccache")
    ]
    untried = {need: one.said for need, one in findings.items() if one.good is None}
    assert untried == {
        "static C library": "not tried: it takes setpriv and C compiler",
        "the guest's programs compile": "not tried: it takes setpriv and C compiler and make and "
        "static C library",
        "a Debian archive in apt's sources": "not tried: it takes apt and setpriv",
        "accelerator that boots": "not tried: it takes QEMU 7.2 or newer and setpriv",
    }


def test_missing_static_library_is_named(empty: Path) -> None:
    for name in ("setpriv", "make"):
        (empty / name).symlink_to(f"/usr/bin/{name}")
    gcc = empty / "gcc"
    gcc.write_text("#!/bin/sh\necho libc.a\n")  # gcc's answer where it knows none
    gcc.chmod(0o755)
    findings = examined()
    assert findings["static C library"].good is False
    assert "apt-get install libc6-dev" in findings["static C library"].said
    assert findings["the guest's programs compile"].good is None


def test_host_without_a_kernel_in_the_cache_is_well(tmp_path: Path) -> None:
    done = doctor_in(os.environ | {"PINHOLE_CACHE": str(tmp_path / "cache")})
    assert done.returncode == 0, done.stdout
    assert (
        "  ?  accelerator that boots             not tried: no kernel is cached yet; 'pinhole run' "
        "fetches one and tries\n" in done.stdout
    )
    assert "compiling the guest's programs" in done.stderr


@pytest.mark.parametrize("program", ["/bin/true", "/nowhere/qemu", "/etc/passwd"])
def test_qemu_that_is_none(program: str) -> None:
    findings = examined(Path(program))
    said = findings["QEMU 7.2 or newer"].said
    assert findings["QEMU 7.2 or newer"].good is False
    assert said.startswith(f"{program} is no ")
    assert "apt-get install qemu-system-x86" in said
    assert "--qemu PATH" in said
    assert findings["accelerator that boots"].good is None


def test_command_line_ends_with_status_3_and_one_command(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    done = doctor_in({"PATH": str(tmp_path / "bin"), "PINHOLE_CACHE": str(tmp_path / "cache")})
    assert done.returncode == 3
    last = done.stdout.splitlines()[-1]
    assert last.startswith("All that is missing, as root: apt-get install qemu-system-x86 ")
    assert done.stderr == ""


def test_unknown_accelerator_ends_with_status_2() -> None:
    done = doctor_in(os.environ, "--accel", "xen")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "pinhole: unknown accelerator 'xen': it is kvm or tcg\n"


def test_small_disk_says_how_much_and_where(tmp_path: Path) -> None:
    namespace = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    if subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this host allows no mount namespaces, so no small disk can be mounted")
    # The mount goes with the process: nothing is left on the host, whatever happens.
    script = 'mount -t tmpfs -o size=8m tmpfs "$1" && shift && exec "$@"'
    done = subprocess.run(
        [*namespace, "sh", "-c", script, "sh", str(tmp_path), *DOCTOR],
        env=os.environ | {"PINHOLE_CACHE": f"{tmp_path}/cache"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3
    lines = {line[5:].split("  ")[0]: line for line in done.stdout.splitlines() if line}
    assert re.fullmatch(
        rf"NOT  disk for the cache +0\.0 GiB free in {tmp_path}/cache, 2 GiB are wanted; "
        r"free some, or choose a folder on another disk: export PINHOLE_CACHE=FOLDER",
        lines["disk for the cache"],
    )
    programs = lines["the guest's programs compile"]
    assert programs.startswith("NOT ")
    assert "No space left on device (about 34 MB are needed, 8 MB are free)" in programs
    assert [line for line in lines.values() if line.startswith("NOT")] == [
        programs,
        lines["disk for the cache"],
    ]


def test_cache_that_cannot_be_made_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINHOLE_CACHE", "/proc/none")
    findings = examined()
    for need in ("the guest's programs compile", "disk for the cache", "accelerator that boots"):
        assert findings[need].good is False
        assert "cannot make the folder /proc/none" in findings[need].said
        assert "PINHOLE_CACHE" in findings[need].said


def test_little_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "available_bytes", lambda: 512 << 20)
    found = examined()["memory"]
    assert found.good is False
    assert found.said.startswith("512 MiB available, 2048 are wanted; ")
    assert "ps -e -o rss,pid,comm --sort -rss" in found.said
    assert available_bytes() > 0


def test_damaged_kernels_in_the_cache_are_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PINHOLE_CACHE", str(tmp_path))
    for number, _ in enumerate(SERIES):
        folder = tmp_path / "kernel" / f"debian1-{number}"
        folder.mkdir(parents=True)
        (folder / "vmlinuz").write_bytes(b"cut short")
    found = examined()["accelerator that boots"]
    assert (found.good, found.said[:30]) == (None, "not tried: no kernel is cached")


def doctor_in(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DOCTOR, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
