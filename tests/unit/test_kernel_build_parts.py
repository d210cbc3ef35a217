# SPDX-License-Identifier: GPL-2.0-only
"""Parts of building a kernel, without a kernel: work trees, the sandbox, make's words."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from pinhole.errors import HostError, KernelError
from pinhole.kernel import ccache, sandbox
from pinhole.kernel.make import Make, first_error
from pinhole.kernel.sandbox import BUILD_FOLDER, Confinement, Folders, confinement
from pinhole.kernel.tool import ToolError
from pinhole.kernel.worktree import WorkTree
from pinhole.progress import Lines, Quiet


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PINHOLE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def source_at(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


# -- work trees


def test_a_linked_tree_shares_files_and_keeps_its_build_folder(tmp_path: Path) -> None:
    source = source_at(tmp_path / "s", Makefile="m", mm__gup="g", mm__old="o")
    (source / "link").symlink_to("mm/gup")
    tree = WorkTree.named("t")
    tree.link_from(source)
    assert (tree.source / "mm/gup").stat().st_ino == (source / "mm/gup").stat().st_ino
    assert (tree.source / "link").readlink() == Path("mm/gup")
    (tree.folders.build / "gup.o").write_text("object")
    tree.remember(key="k")

    # The source moves on: by new files, as materialize writes them.
    (source / "mm/gup").unlink()
    source_at(source, mm__gup="new", mm__added="a")
    (source / "mm/old").unlink()
    kept = (tree.source / "Makefile").stat()
    tree.link_from(source)
    assert tree.state() == {}
    assert (tree.source / "mm/gup").read_text() == "new"
    assert (tree.source / "mm/added").read_text() == "a"
    assert not (tree.source / "mm/old").exists()
    assert (tree.source / "Makefile").stat() == kept
    assert (tree.folders.build / "gup.o").read_text() == "object"


def test_a_file_that_comes_is_newer_than_what_was_built(tmp_path: Path) -> None:
    """The source moved on, for another tree or a look at its configuration, while this one was
    built of what it was before."""
    source = source_at(tmp_path / "s", gup="old", same="same")
    tree = WorkTree.named("t")
    tree.link_from(source)
    os.utime(source / "same", (1000, 1000))
    (source / "gup").unlink()
    source_at(source, gup="new")
    os.utime(source / "gup", (2000, 2000))
    built = tree.folders.build / "gup.o"
    built.write_text("of the old one, and made after the new one was there")
    tree.remember(key="k")
    tree.link_from(source)
    assert (tree.source / "gup").read_text() == "new"
    assert (tree.source / "gup").stat().st_mtime >= built.stat().st_mtime
    assert (tree.source / "same").stat().st_mtime == 1000, "it is not compiled again"
    # An interrupted build says no time.
    (source / "gup").unlink()
    source_at(source, gup="newest")
    os.utime(source / "gup", (3000, 3000))
    tree.link_from(source)
    assert (tree.source / "gup").stat().st_mtime >= built.stat().st_mtime


def test_a_folder_may_become_a_file_and_back(tmp_path: Path) -> None:
    tree = WorkTree.named("t")
    tree.link_from(source_at(tmp_path / "1", a__b="file", c="plain"))
    tree.link_from(source_at(tmp_path / "2", a="plain", c__d="file"))
    assert (tree.source / "a").read_text() == "plain"
    assert (tree.source / "c/d").read_text() == "file"


def test_a_copied_tree_has_a_build_folder_of_its_own(tmp_path: Path) -> None:
    base = WorkTree.named("base")
    base.link_from(source_at(tmp_path / "s", Makefile="m"))
    (base.folders.build / "gup.o").write_text("object")
    os.utime(base.folders.build / "gup.o", (1000, 1000))
    copy = WorkTree.named("copy")
    copy.copy_from(base)
    copied = copy.folders.build / "gup.o"
    assert copied.stat().st_mtime == 1000, "make goes by it"
    copied.write_text("other")
    assert (base.folders.build / "gup.o").read_text() == "object"
    copy.wipe()
    assert not copy.folder.exists() and (base.source / "Makefile").exists()


def test_a_half_written_state_is_none() -> None:
    tree = WorkTree.named("t")
    tree.forget()
    (tree.folder / "state.json").write_text('{"key": ')
    assert tree.state() == {}


# -- the sandbox


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    tree = WorkTree.named("t")
    tree.link_from(source_at(tmp_path / "s", Makefile="m"))
    return tree.folders


def run_in(confined: Confinement, script: str) -> subprocess.CompletedProcess[str]:
    command = confined.command(["sh", "-c", script], {"PATH": "/usr/bin:/bin"})
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


@pytest.fixture
def confined(folders: Folders) -> Confinement:
    found = confinement(folders, None)
    assert found.confined, sandbox.why_not()
    return found


@pytest.mark.parametrize(
    "path",
    [
        "/pinhole/source/Makefile",
        "/pinhole/source/new",
        "/pinhole/ccache/new",
        "/usr/new",
        "/etc/alternatives/new",
    ],
)
def test_a_confined_build_cannot_write(confined: Confinement, path: str) -> None:
    done = run_in(confined, f"echo x > {path}")
    assert done.returncode != 0
    assert "Read-only file system" in done.stderr


def test_a_confined_build_of_roots_cannot_mount_its_way_out(
    confined: Confinement, folders: Folders
) -> None:
    """root would keep its capabilities, and make writable what is mounted read-only."""
    done = run_in(
        confined,
        "grep CapEff /proc/self/status; for one in source ccache; do "
        "mount -o remount,bind,rw /pinhole/$one; echo x > /pinhole/$one/new; done",
    )
    assert done.stdout.split() == ["CapEff:", "0" * 16]
    assert not (folders.source / "new").exists() and not (folders.ccache / "new").exists()


def test_a_confined_build_writes_into_its_own_folders(
    confined: Confinement, folders: Folders
) -> None:
    done = run_in(confined, f"echo x > {BUILD_FOLDER}/made && echo y > /pinhole/ccache-new/made")
    assert done.stderr == ""
    assert (folders.build / "made").read_text() == "x\n"
    assert (folders.ccache_new / "made").read_text() == "y\n"


def test_a_confined_build_sees_nothing_of_the_user(
    confined: Confinement, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "token")
    (tmp_path / "secret").write_text("token")
    done = run_in(
        confined,
        f"cat {tmp_path}/secret; ls /root /home /var /srv; env; ps -e 2>&1 | head -5; "
        "cat /etc/passwd; ls /sys/class/net",
    )
    assert "token" not in done.stdout
    assert str(Path.home()) not in done.stdout
    assert "root:" not in done.stdout
    network = run_in(confined, "cat /proc/net/dev | tail -n +3 | cut -d: -f1; ls /proc | wc -l")
    assert network.stdout.split()[0] == "lo"
    open_ = run_in(Confinement(confined.folders, confined=False), "pwd")
    assert open_.stdout.strip() == str(confined.folders.source)


def test_what_is_not_confined_still_has_no_environment_of_the_users(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KBUILD_BUILD_USER", "me")
    assert "KBUILD" not in run_in(confinement(folders, False), "env").stdout


def test_a_sandbox_that_is_asked_for_and_cannot_be_is_an_error(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.why_not.cache_clear()
    monkeypatch.setenv("PATH", "/nowhere")
    try:
        with pytest.raises(HostError, match="--sandbox: bubblewrap is missing; install it: apt"):
            confinement(folders, True)
        assert not confinement(folders, None).confined
    finally:
        sandbox.why_not.cache_clear()


# -- ccache


def test_only_what_the_harness_takes_over_comes_into_the_cache(folders: Folders) -> None:
    store = folders.ccache_new / "store" / "ab"
    store.mkdir(parents=True)
    (store / "object").write_text("new")
    (folders.ccache_new / "store" / "CACHEDIR.TAG").write_text("tag")
    ccache.take_over(folders)
    assert (folders.ccache / "ab" / "object").read_text() == "new"
    assert not folders.ccache_new.exists()


@pytest.mark.parametrize("fill", [True, False])
def test_a_build_reads_the_cache_and_never_writes_it(confined: Confinement, fill: bool) -> None:
    storages = ccache.environment(confined, fill=fill)["CCACHE_REMOTE_STORAGE"].split()
    assert storages[0] == "file:/pinhole/ccache|read-only=true"
    assert storages[1:] == (["file:/pinhole/ccache-new/store"] if fill else [])


def test_two_may_trim_the_cache_at_once(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccache, "_LARGEST_BYTES", 3)
    for name in ("one", "two", "three"):
        (folders.ccache / name).write_text("xx")
    looked = Path.stat

    def stat(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        found = looked(path, follow_symlinks=follow_symlinks)
        if path.name == "two":
            path.unlink()  # by the other one
        return found

    monkeypatch.setattr(Path, "stat", stat)
    ccache.take_over(folders)
    assert len(list(folders.ccache.iterdir())) == 1


# -- make's words


UNDECLARED = """\
  CC      mm/gup.o
../mm/gup.c: In function 'x':
../mm/gup.c:2480:9: error: 'y' undeclared (first use in this function)
../mm/gup.c:2490:9: error: later
make[3]: *** [x] Error 1
"""
NO_HEADER = "../mm/gup.c:7:10: fatal error: linux/none.h: No such file or directory\n"
UNDEFINED = """\
  LD      vmlinux.o
ld: mm/gup.o: in function `f':
../mm/gup.c:12: undefined reference to `none'
"""
NO_RULE = """\
make[3]: *** No rule to make target 'mm/none.o', needed by 'mm/built-in.a'.  Stop.
make[2]: *** [../scripts/Makefile.build:478: mm] Error 2
"""


@pytest.mark.parametrize(
    ("log", "shown"),
    [
        (UNDECLARED, "mm/gup.c:2480:9: error: 'y' undeclared (first use in this function)"),
        (NO_HEADER, "mm/gup.c:7:10: fatal error: linux/none.h: No such file or directory"),
        (UNDEFINED, "mm/gup.c:12: undefined reference to `none'"),
        (NO_RULE, NO_RULE.splitlines()[0]),
        ("  CC      mm/gup.o\n", None),
    ],
)
def test_the_first_error_is_found(log: str, shown: str | None) -> None:
    assert first_error(log.splitlines()) == shown


class Shares(Quiet):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[float] = []

    def share(self, text: str, done: float) -> None:
        self.told.append(done)


MAKEFILE = """
all: $(addprefix o/,1 2 3 4 5 6 7 8)
o/%:
\t@echo '  CC      $@'
\t@mkdir -p o; sleep 0.3; touch $@
linked:
\t+@touch linked
silent:
\t@exit 1
escapes:
\t@printf '../mm/gup.c:1:2: error: \\033[2Jno\\n' >&2; exit 1
fail:
\t@echo "../mm/gup.c:1:2: error: no" >&2; exit 1
full:
\t@echo "cc1: fatal error: x.o: No space left on device" >&2; exit 1
left:
\t@sleep 300 & echo "  CC      $$!"; wait
"""


def make_in(folders: Folders, tmp_path: Path, progress: Quiet, *, confined: bool) -> Make:
    makefile = folders.build / "Makefile"
    makefile.write_text(MAKEFILE)
    found = confinement(folders, confined)
    settings = ["-C", str(found.source / BUILD_FOLDER)]
    return Make(found, settings, {"PATH": "/usr/bin:/bin"}, tmp_path / "log", progress)


def test_counting_steps_makes_nothing(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """make -n runs what has a + before it, as the line that links vmlinux has."""
    monkeypatch.setattr("pinhole.kernel.make._COUNT_AFTER_SECONDS", 0.2)
    make = make_in(folders, tmp_path, Quiet(), confined=True)
    found = make.planned(["all", "linked"])
    assert found == 8
    assert not (folders.build / "linked").exists()
    assert make_in(folders, tmp_path, Quiet(), confined=False).planned(["linked"]) == 0
    assert not (folders.build / "linked").exists()


def test_progress_is_the_share_of_the_steps(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pinhole.kernel.make._COUNT_AFTER_SECONDS", 0.2)
    shares = Shares()
    built = make_in(folders, tmp_path, shares, confined=True).run("all", text="building")
    assert built.steps == 8
    assert shares.told == sorted(shares.told)
    assert len(shares.told) >= 3 and 0.9 <= shares.told[-1] <= 1.0
    assert (tmp_path / "log").read_text().count("  CC  ") == 8


def test_a_build_does_not_wait_for_its_steps_to_be_counted(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pinhole.kernel.make._COUNT_AFTER_SECONDS", 0.2)
    make = make_in(folders, tmp_path, Quiet(), confined=True)
    # make -n runs what begins with +: this count takes a minute.
    with (folders.build / "Makefile").open("a") as makefile:
        makefile.write("slow: all\n\t+@case '$(MAKEFLAGS)' in *n*) sleep 60;; esac\n")
    began = time.monotonic()
    make.run("slow", text="building")
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("confined", [True, False])
def test_a_failure_names_the_error_and_the_log(
    folders: Folders, tmp_path: Path, confined: bool
) -> None:
    make = make_in(folders, tmp_path, Quiet(), confined=confined)
    with pytest.raises(KernelError) as caught:
        make.run("fail")
    assert "does not build: mm/gup.c:1:2: error: no\n" in str(caught.value)
    assert str(tmp_path / "log") in str(caught.value)
    with pytest.raises(KernelError, match=r"error: \\x1b\[2Jno"):
        make.run("escapes")
    with pytest.raises(KernelError, match=r"does not build: make: .*Error 1"):
        make.run("silent")
    with pytest.raises(ToolError, match="No space left on device"):
        make.run("full")


@pytest.mark.parametrize("confined", [True, False])
def test_nothing_of_a_build_outlives_its_end(
    folders: Folders, tmp_path: Path, confined: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = make_in(folders, tmp_path, Quiet(), confined=confined)
    monkeypatch.setattr("pinhole.kernel.make._STEP", _Interrupting())
    with pytest.raises(KeyboardInterrupt):
        make.run("left", text="building")
    sleeping = subprocess.run(
        ["pgrep", "-f", "^sleep 300$"], capture_output=True, text=True, check=False
    )
    assert sleeping.stdout == ""


class _Interrupting:
    """A pattern that stands for Ctrl-C at the first step."""

    def match(self, line: str) -> None:
        raise KeyboardInterrupt


def test_lines_tell_each_tenth_once(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    for step in range(101):
        lines.share("building", step / 100)
    told = [line.split("] ")[1] for line in capsys.readouterr().err.splitlines()]
    assert told == [f"building: {tenth}0%" for tenth in range(1, 11)]
