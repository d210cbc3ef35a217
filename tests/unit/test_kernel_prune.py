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


def test_a_shared_file_is_not_counted(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.link(root / "trees/source-a/file", root / "shared")
    prune()
    assert "removed unpacked source source-a: 0 MiB" in capsys.readouterr().out
