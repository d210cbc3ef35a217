# SPDX-License-Identifier: GPL-2.0-only
"""Debian's kernel source from a small signed archive on this host."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.mini_kernel import Heard, contents, left_behind, make_tree
from tests.faults.small_archive import SUITES, TOOLS, SmallArchive, served

from pinhole.errors import KernelError
from pinhole.kernel import source_debian, suites
from pinhole.kernel.answer import Answer
from pinhole.kernel.source import DebianSource, Identified, identify
from pinhole.progress import Quiet

pytestmark = pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason="needs gpg, dpkg and apt")
DAY = 25 * 3600.0


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "tree")


@pytest.fixture
def mirror(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    tree: Path,
) -> Iterator[SmallArchive]:
    monkeypatch.setenv("PINHOLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(source_debian, "SERIES", {**suites.SERIES, "6.12": SUITES})
    with served(tmp_path_factory.mktemp("m"), monkeypatch) as archive:
        archive.offer_source("6.12", "6.12.117-1~deb12u1", tree)
        yield archive


def found(heard: Heard | None = None, *, offline: bool = False) -> Identified:
    return identify(DebianSource("6.12"), heard or Quiet(), offline=offline)


def tarball(cache: Path) -> Path:
    return next(cache.glob("source/debian*/linux-source.tar.xz"))


def damage(cache: Path) -> None:
    """Changes one byte: no size tells of it."""
    content = bytearray(tarball(cache).read_bytes())
    content[len(content) // 2] ^= 1
    tarball(cache).write_bytes(content)


def test_newest_source_is_laid_out_whole(mirror: SmallArchive, tree: Path, tmp_path: Path) -> None:
    mirror.offer_source("6.12", "6.12.107-1~deb12u1", tree)
    mirror.offer_source("6.12-rt", "6.12.200-1", tree)
    source = found()
    assert source.version == "6.12.117"
    assert source.trusted
    assert source.lineage == source.key
    assert source.origin == "Debian package linux-source-6.12 6.12.117-1~deb12u1"
    began = time.time()
    assert source.materialize(tmp_path / "out", Quiet()) == "6.12.117"
    assert contents(tmp_path / "out") == contents(tree)
    assert (tmp_path / "out" / "Makefile").stat().st_mtime >= began - 1
    assert left_behind(tmp_path) == []


def test_second_time_asks_nothing_and_kernels_answers_are_others(
    mirror: SmallArchive, tmp_path: Path
) -> None:
    source = found()
    mirror.asked.clear()
    assert found() == source == found(offline=True)
    source.materialize(tmp_path / "out", Quiet())
    assert mirror.asked == []
    assert Answer.read("source-6.12") is not None
    assert Answer.read("6.12") is None


def test_newer_source_is_taken_a_day_later_and_the_old_one_still_serves(
    mirror: SmallArchive, monkeypatch: pytest.MonkeyPatch, tree: Path, tmp_path: Path
) -> None:
    first = found()
    (tree / "Makefile").write_text(
        (tree / "Makefile").read_text().replace("SUBLEVEL = 117", "SUBLEVEL = 118")
    )
    mirror.offer_source("6.12", "6.12.118-1", tree)
    assert found() == first
    monkeypatch.setattr(Answer, "age", staticmethod(lambda _: DAY))
    second = found()
    assert second.version == "6.12.118"
    assert second.materialize(tmp_path / "new", Quiet()) == "6.12.118"
    assert first.materialize(tmp_path / "old", Quiet()) == "6.12.117"


def test_dropped_suite_leaves_the_cached_source(
    mirror: SmallArchive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source, heard = found(), Heard()
    mirror.drop()
    monkeypatch.setattr(Answer, "age", staticmethod(lambda _: DAY))
    assert found(heard) == source
    assert "Using the cached linux-source-6.12" in heard.notes[0]
    assert source.materialize(tmp_path / "out", Quiet()) == "6.12.117"


def test_offline_without_a_copy_names_other_kinds_of_source(mirror: SmallArchive) -> None:
    with pytest.raises(KernelError, match=r"this run is offline; .* tarball:, tree: or git:"):
        found(offline=True)
    assert mirror.asked == []


def test_package_that_was_changed_is_refused(mirror: SmallArchive, tmp_path: Path) -> None:
    package = mirror.packages()[0]
    content = bytearray(package.read_bytes())
    content[len(content) // 2] ^= 1
    package.write_bytes(content)
    with pytest.raises(KernelError, match="could not be fetched"):
        found()
    assert not list((tmp_path / "cache").glob("source/debian*"))
    assert left_behind(tmp_path) == []


def test_damaged_tarball_is_fetched_again(mirror: SmallArchive, tree: Path, tmp_path: Path) -> None:
    source = found()
    damage(tmp_path / "cache")
    mirror.asked.clear()
    heard = Heard()
    assert source.materialize(tmp_path / "out", heard) == "6.12.117"
    assert "is damaged (linux-source.tar.xz has changed)" in heard.notes[0]
    assert any(".deb" in path for path in mirror.asked)
    assert contents(tmp_path / "out") == contents(tree)


def test_damaged_tarball_is_told_offline_and_nothing_is_unpacked(
    mirror: SmallArchive, tmp_path: Path
) -> None:
    found()
    damage(tmp_path / "cache")
    mirror.asked.clear()
    source = found(offline=True)
    with pytest.raises(KernelError, match=r"damaged there\) and this run is offline"):
        source.materialize(tmp_path / "out", Quiet())
    assert list((tmp_path / "out").iterdir()) == []
    assert mirror.asked == []


def test_damaged_tarball_of_a_version_that_is_gone_says_what_there_is(
    mirror: SmallArchive, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = found()
    damage(tmp_path / "cache")
    mirror.offer_source("6.12", "6.12.118-1", tree)
    monkeypatch.setattr(Answer, "age", staticmethod(lambda _: DAY))
    with pytest.raises(KernelError, match=r"newest is 6\.12\.118-1 by now; run again"):
        source.materialize(tmp_path / "out", Quiet())


def test_folder_that_was_left_half_is_laid_out_anew(
    mirror: SmallArchive, tree: Path, tmp_path: Path
) -> None:
    source, folder = found(), tmp_path / "out"
    source.materialize(folder, Quiet())
    (tmp_path / "out.state").unlink()
    (folder / "Makefile").write_text("half")
    (folder / "stray.c").write_text("")
    assert source.materialize(folder, Quiet()) == "6.12.117"
    assert contents(folder) == contents(tree)
    assert mirror.asked
