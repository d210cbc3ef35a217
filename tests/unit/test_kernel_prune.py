# SPDX-License-Identifier: GPL-2.0-only
"""``pinhole kernel prune``: by age, by size, by key; never what is being made."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pinhole.errors import UsageError
from pinhole.kernel import cache
from pinhole.progress import Quiet
from pinhole.tools.prune import prune_cache

DAY = 86400


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with a kernel of today, one of 40 days ago, and an old source with its notes."""
    monkeypatch.setenv("PINHOLE_CACHE", str(tmp_path))
    for name, days in (("kernel/build1-new", 0), ("kernel/build1-old", 40), ("trees/source-a", 50)):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(bytes(1 << 20))
        os.utime(folder, (time.time() - days * DAY,) * 2)
    for ending in ("state", "index", "used"):
        note = tmp_path / "trees" / f"source-a.{ending}"
        note.write_text("x")
        os.utime(note, (time.time() - 45 * DAY,) * 2)
    return tmp_path


def left(root: Path) -> list[str]:
    found = (
        path.relative_to(root) for kind in ("kernel", "trees") for path in (root / kind).iterdir()
    )
    return sorted(str(path) for path in found if not path.name.startswith("."))


def prune(older: float = 30, keep: str | None = None, key: str | None = None) -> None:
    prune_cache(older_than_days=older, keep=keep, key=key, dry_run=False)


def test_what_was_not_used_for_long_goes_with_its_notes(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prune()
    assert left(root) == ["kernel/build1-new"]
    said = capsys.readouterr().out
    assert "removed kernel build1-old: 1 MiB, used 40.0 days ago" in said
    assert "removed unpacked source source-a: 1 MiB, used 45.0 days ago" in said
    assert said.endswith("2 MiB are free again\n")
    assert not list(root.glob("*/.making-*"))


def test_down_to_a_size_the_oldest_go_first(root: Path) -> None:
    prune(keep="2M")
    assert left(root) == ["kernel/build1-new", "kernel/build1-old"]


def test_one_kernel_by_its_key(root: Path) -> None:
    prune(key="build1-ol")
    assert "kernel/build1-old" not in left(root)
    assert "kernel/build1-new" in left(root)
    with pytest.raises(UsageError, match="no cached kernel's key begins with 'build1-ol'"):
        prune(key="build1-ol")


def test_a_dry_run_leaves_all(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = left(root)
    prune_cache(older_than_days=0, keep=None, key=None, dry_run=True)
    assert left(root) == before
    assert capsys.readouterr().out.count("would remove") == 3


def test_what_is_being_made_stays(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with cache.lock("kernel", "build1-old", what="it", progress=Quiet()):
        prune()
    assert "kernel/build1-old" in left(root)
    assert "left, another pinhole uses it: kernel build1-old" in capsys.readouterr().out


def test_a_size_that_is_none_is_a_mistake() -> None:
    with pytest.raises(UsageError, match="--keep: 'much' is not a size"):
        prune(keep="much")


def test_a_file_that_others_share_is_not_counted(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.link(root / "trees/source-a/file", root / "shared")
    prune()
    assert "removed unpacked source source-a: 0 MiB" in capsys.readouterr().out


def test_what_two_pieces_share_is_free_once_both_are_gone(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A build tree is made of links to its source: neither is the only one to have a file."""
    work = root / "work" / "base-a"
    work.mkdir(parents=True)
    os.link(root / "trees/source-a/file", work / "file")
    prune(keep="2M")
    said = capsys.readouterr().out
    assert "removed unpacked source source-a: 0 MiB" in said
    assert left(root) == ["kernel/build1-new"]
    assert said.endswith("1 MiB are free again\n"), "the links of today's tree hold the rest"
    prune(older=0)
    assert "removed build tree base-a: 1 MiB" in capsys.readouterr().out


def test_what_goes_while_it_is_measured_is_no_error(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of a build that runs come and go."""
    looked = os.lstat

    def lstat(path: str, *, dir_fd: int | None = None) -> os.stat_result:
        if str(path).endswith("build1-new/file"):
            (root / "kernel/build1-new/file").unlink(missing_ok=True)
        return looked(path, dir_fd=dir_fd)

    monkeypatch.setattr("os.lstat", lstat)
    prune()
    assert left(root) == ["kernel/build1-new"]


def test_what_an_interrupted_prune_left_goes(root: Path) -> None:
    for kind in ("trees", "work"):
        (root / kind / ".making-source-b-abcd1234" / "damaged").mkdir(parents=True)
    prune()
    assert not list(root.glob("*/.making-*"))


def test_a_store_that_is_used_stays(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = root / "git" / "tree-a-sha1-1"
    store.mkdir(parents=True)
    os.utime(store, (time.time() - 45 * DAY,) * 2)
    with cache.lock("git", f"{store.name}.use", what="it", progress=Quiet()):
        prune()
    assert store.exists()
    assert "left, another pinhole uses it: store of snapshots" in capsys.readouterr().out
    prune()
    assert not store.exists()


def test_old_logs_go(root: Path) -> None:
    for name, days in (("old", 40), ("new", 1)):
        log = root / "logs" / f"{name}.log"
        log.parent.mkdir(exist_ok=True)
        log.write_text("x")
        os.utime(log, (time.time() - days * DAY,) * 2)
    prune()
    assert [one.name for one in (root / "logs").iterdir()] == ["new.log"]
    (root / "logs" / "written.log").write_text("of a build that runs")
    prune(older=0)
    assert [one.name for one in (root / "logs").iterdir()] == ["written.log"]
