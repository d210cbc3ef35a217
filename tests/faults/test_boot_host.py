# SPDX-License-Identifier: GPL-2.0-only
"""The boot image on a host that lacks something: each thing is named with its package."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pinhole.boot import programs
from pinhole.boot.cpio import Archive
from pinhole.boot.programs import build_programs
from pinhole.boot.userland import add_busybox, add_dropbear, interpreter
from pinhole.errors import BootImageError, HostError
from pinhole.kernel import tool
from pinhole.progress import Quiet
from pinhole.resources import shipped


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which tools are looked for; it has what runs all others."""
    folder = tmp_path / "tools"
    folder.mkdir()
    link(folder, "setpriv")
    monkeypatch.setattr(tool, "_PATH", str(folder))
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("PINHOLE_CACHE", str(tmp_path / "cache"))
    return folder


def link(folder: Path, name: str, target: str | None = None) -> None:
    found = shutil.which(target or name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    assert found is not None
    (folder / name).symlink_to(found)


def left_in(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_missing_busybox_and_dropbear_are_named(tools: Path) -> None:
    assert list(tools.iterdir())
    with pytest.raises(HostError, match="apt-get install busybox-static"):
        add_busybox(Archive())
    with pytest.raises(HostError, match="apt-get install dropbear-bin"):
        add_dropbear(Archive())


def test_busybox_that_is_not_static_is_refused(tools: Path) -> None:
    link(tools, "busybox", "ls")
    assert interpreter(tools / "busybox") is not None
    with pytest.raises(HostError, match=r"dynamically linked.*apt-get install busybox-static"):
        add_busybox(Archive())


def test_busybox_that_is_no_program_is_refused(tools: Path) -> None:
    (tools / "busybox").write_text("#!/bin/sh\n")
    (tools / "busybox").chmod(0o755)
    with pytest.raises(HostError, match="is not a 64-bit program"):
        add_busybox(Archive())


def test_missing_compiler_and_make_are_named(tools: Path, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="apt-get install gcc"):
        build_programs(Quiet())
    link(tools, "gcc")
    with pytest.raises(HostError, match="apt-get install make"):
        build_programs(Quiet())
    assert left_in(tmp_path / "cache") == []


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the guest's sources to break."""
    if shutil.which("gcc") is None or shutil.which("make") is None:
        pytest.skip("needs gcc and make")
    copy = tmp_path / "guest"
    shutil.copytree(shipped("guest"), copy)
    monkeypatch.setattr(programs, "shipped", lambda _: copy)
    monkeypatch.setenv("PINHOLE_CACHE", str(tmp_path / "cache"))
    return copy


def test_sources_that_do_not_compile_give_the_compilers_words(
    sources: Path, tmp_path: Path
) -> None:
    (sources / "init" / "broken.c").write_text("int broken(void) { return nothing; }\n")
    with pytest.raises(BootImageError, match="'nothing' undeclared"):
        build_programs(Quiet())
    assert left_in(tmp_path / "cache") == []


def test_programs_are_compiled_again_only_when_a_source_changes(sources: Path) -> None:
    first = build_programs(Quiet())
    assert build_programs(Quiet()) == first
    assert interpreter(first / "init") is None
    (sources / "obj").mkdir()
    (sources / "obj" / "left.o").write_bytes(b"of a build in place")
    assert build_programs(Quiet()) == first
    (sources / "init" / "init.h").open("a").write("/* changed */\n")
    assert build_programs(Quiet()) != first


LIMITED = """
import resource, sys
from pathlib import Path
from pinhole.boot.keys import GuestKeys, joined_initrd
from pinhole.errors import HostError
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
folder = Path(sys.argv[1])
try:
    with joined_initrd(folder / "image", GuestKeys.generate()):
        print("it fits")
except HostError as error:
    print(error)
"""


def test_initrd_that_does_not_fit_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(bytes(3 << 20))
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "cannot write the machine's initrd" in done.stdout
    assert "File too large" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["image"]
