# SPDX-License-Identifier: GPL-2.0-only
"""Snapshots of a developer's working tree: all of it, none of it changed, never a mixture."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests.faults.mini_kernel import (
    Heard,
    commit,
    contents,
    git,
    identity,
    left_behind,
    make_repository,
    make_tree,
    traces,
)

from pinhole.errors import KernelError
from pinhole.kernel import source_tree
from pinhole.kernel.git import Store
from pinhole.kernel.source import Identified, TreeSource, identify
from pinhole.kernel.tree_listing import Listing, listing
from pinhole.progress import Quiet

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


@pytest.fixture(autouse=True)
def cache_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PINHOLE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository's tree: dirty, built in place, with one file added and one deleted."""
    tree = make_repository(tmp_path / "linux")
    (tree / "mm" / "tracked.o").write_text("ignored by a rule, but tracked\n")
    git(tree, "add", "-f", "mm/tracked.o")
    (tree / "mm" / "gone.c").write_text("")
    commit(tree)
    (tree / "mm" / "gone.c").unlink()
    (tree / "mm" / "gup.c").write_text("int dirty;\n")
    (tree / "mm" / "new.c").write_text("int untracked;\n")
    (tree / "mm" / "gup.o").write_text("built in place")
    (tree / "vmlinux").write_text("built in place")
    return tree


SOURCE = {
    ".gitignore", "Makefile", "mm/Makefile", "mm/gup.c", "mm/new.c", "mm/tracked.o",
    "scripts/include", "scripts/run.sh",
}  # fmt: skip


def found(path: Path, heard: Heard | None = None) -> Identified:
    return identify(TreeSource(path), heard or Quiet(), offline=True)


def laid_out(path: Path, folder: Path) -> set[str]:
    found(path).materialize(folder, Quiet())
    return set(contents(folder))


def test_dirty_tree_is_taken_as_it_lies_there(tree: Path, tmp_path: Path) -> None:
    source = found(tree)
    assert source.version == "6.12.117"
    assert not source.trusted
    folder = tmp_path / "out"
    assert source.materialize(folder, Quiet()) == "6.12.117"
    assert contents(folder) == {k: v for k, v in contents(tree).items() if k in SOURCE}
    assert set(contents(folder)) == SOURCE
    assert (folder / "scripts" / "run.sh").stat().st_mode & 0o111
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("split", [False, True])
def test_nothing_in_the_tree_or_its_repository_changes(
    tree: Path, tmp_path: Path, split: bool
) -> None:
    if split:
        git(tree, "update-index", "--split-index")
        shared = next((tree / ".git").glob("sharedindex.*"))
        os.utime(shared, (1, 1))
    git(tree, "config", "core.untrackedCache", "true")
    os.utime(tree / "Makefile")  # git would like to refresh its index
    before = traces(tree)
    assert laid_out(tree, tmp_path / "out") == SOURCE
    (tree / "mm" / "gup.c").touch()
    before = {**before, "mm/gup.c": traces(tree)["mm/gup.c"]}
    assert laid_out(tree, tmp_path / "out") == SOURCE
    assert traces(tree) == before


def test_same_content_has_the_same_key_and_only_changes_are_read(
    tree: Path, tmp_path: Path
) -> None:
    first = found(tree)
    os.utime(tree / "mm" / "gup.c")
    assert found(tree) == first
    first.materialize(tmp_path / "out", Quiet())
    kept = identity(tmp_path / "out" / "Makefile")
    (tree / "mm" / "gup.c").write_text("int other;\n")  # as long as before
    second = found(tree)
    assert (second.key != first.key, second.lineage) == (True, first.lineage)
    second.materialize(tmp_path / "out", Quiet())
    assert (tmp_path / "out" / "mm" / "gup.c").read_text() == "int other;\n"
    assert identity(tmp_path / "out" / "Makefile") == kept
    (tree / "mm" / "gup.c").write_text("int dirty;\n")
    assert found(tree).key == first.key


def test_a_commit_and_a_clean_tree_are_the_same_content(tmp_path: Path) -> None:
    tree = make_repository(tmp_path / "linux")
    assert found(tree).key == f"tree-{git(tree, 'rev-parse', 'HEAD^{tree}')}"


def test_tree_without_a_repository_obeys_its_own_ignore_files(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "plain")
    for name in ("mm/gup.o", "mm/kept.o", "vmlinux"):
        (tree / name).write_text("")
    before = traces(tree)
    expected = SOURCE - {"mm/new.c", "mm/tracked.o"} | {"mm/kept.o"}
    assert laid_out(tree, tmp_path / "out") == expected
    assert traces(tree) == before


def test_debians_tree_that_ignores_its_own_top_is_taken(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "linux-source-6.12")
    (tree / ".gitignore").write_text(
        ".*\n*.o\n!/mm/kept.o\n/vmlinux\n/include/config/\n/*\n!/debian/\n"
    )
    (tree / "include" / "config").mkdir(parents=True)
    for name in ("mm/gup.o", "mm/kept.o", "vmlinux", ".config", "include/config/x", "include/y.h"):
        (tree / name).write_text("")
    expected = SOURCE - {"mm/new.c", "mm/tracked.o", ".gitignore"} | {"mm/kept.o", "include/y.h"}
    assert laid_out(tree, tmp_path / "out") == expected


def test_tree_inside_another_repository_stands_for_itself(tmp_path: Path) -> None:
    outer = make_repository(tmp_path / "outer")
    (outer / ".gitignore").write_text("/linux/\n")
    (outer / ".git" / "info").mkdir(exist_ok=True)
    (outer / ".git" / "info" / "exclude").write_text("inner.c\n")
    inner = make_tree(outer / "linux")
    (inner / "mm" / "inner.c").write_text("")
    assert "mm/inner.c" in laid_out(inner, tmp_path / "out")


def test_linked_working_tree_is_taken(tree: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    git(tree, "worktree", "add", "-q", "--detach", str(linked))
    (linked / "mm" / "gup.c").write_text("int linked;\n")
    before = traces(tree)
    found(linked).materialize(tmp_path / "out", Quiet())
    assert (tmp_path / "out" / "mm" / "gup.c").read_text() == "int linked;\n"
    assert traces(tree) == before


def test_odd_trees_are_taken_or_told(tree: Path, tmp_path: Path) -> None:
    """Folders and links in the place of tracked files, pipes, odd names, a repository within."""
    (tree / "mm" / "gup.c").unlink()
    (tree / "mm" / "gup.c").mkdir()
    (tree / "mm" / "gup.c" / "part.c").write_text("")
    shutil.move(tree / "scripts", tmp_path / "scripts")
    (tree / "scripts").symlink_to(tmp_path / "scripts")
    os.mkfifo(tree / "pipe")
    (tree / 'a\\b\n"c".c').write_text("")
    make_repository(tree / "within")
    heard = Heard()
    found(tree, heard).materialize(tmp_path / "out", Quiet())
    expected = SOURCE - {"mm/gup.c", "scripts/run.sh", "scripts/include"}
    expected |= {"mm/gup.c/part.c", "scripts", 'a\\b\n"c".c'}
    assert set(contents(tmp_path / "out")) == expected
    assert heard.notes == ["tree:linux: within/ is a repository of its own and is left out"]


def test_what_is_ignored_later_goes(tree: Path, tmp_path: Path) -> None:
    found(tree)
    with (tree / ".gitignore").open("a") as rules:
        rules.write("/mm/new.c\n")
    assert laid_out(tree, tmp_path / "out") == SOURCE - {"mm/new.c"}


def change(tree: Path) -> None:
    (tree / "mm" / "gup.c").write_text("int while_it_is_read;\n")


def vanish(tree: Path) -> None:
    (tree / "mm" / "new.c").unlink(missing_ok=True)


def appear(tree: Path) -> None:
    (tree / "mm" / "late.c").write_text("")


@pytest.mark.parametrize(
    ("meddle", "name"), [(change, "mm/gup.c"), (vanish, "mm/new.c"), (appear, "mm/late.c")]
)
def test_tree_that_changes_while_it_is_read_is_told(
    tree: Path, monkeypatch: pytest.MonkeyPatch, meddle: object, name: str
) -> None:
    """After the files were read and before the snapshot is called one."""
    taken = source_tree._taken

    def and_then(source: Store, place: Path, listed: Listing) -> str:
        try:
            return taken(source, place, listed)
        finally:
            meddle(tree)  # type: ignore[operator]

    with monkeypatch.context() as patched:
        patched.setattr(source_tree, "_taken", and_then)
        with pytest.raises(KernelError, match=rf"changed while .* {name}; wait until"):
            found(tree)
    assert found(tree).version == "6.12.117"


def test_file_that_goes_between_listing_and_reading_is_only_absent(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def and_gone(source: Store, place: Path, label: str, scratch: Path) -> Listing:
        listed = listing(source, place, label, scratch)
        vanish(tree)
        return listed

    monkeypatch.setattr(source_tree, "listing", and_gone)
    assert laid_out(tree, tmp_path / "out") == SOURCE - {"mm/new.c"}


@pytest.mark.parametrize(
    ("makefile", "words"),
    [(None, "no kernel tree: Makefile: No such file"), ("all:\n", "does not begin with VERSION")],
)
def test_tree_without_a_kernel_makefile_is_told(
    tree: Path, makefile: str | None, words: str
) -> None:
    (tree / "Makefile").unlink()
    if makefile:
        (tree / "Makefile").write_text(makefile)
    with pytest.raises(KernelError, match=words):
        found(tree)


def test_missing_tree_is_told(tmp_path: Path) -> None:
    with pytest.raises(KernelError, match="there is no folder"):
        found(tmp_path / "none")


def test_nothing_that_the_repository_names_is_run(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker, script, home = tmp_path / "it-ran", tmp_path / "touch.sh", tmp_path / "home"
    script.write_text(f"#!/bin/sh\ntouch {marker}\ncat\n")
    script.chmod(0o755)
    (tree / ".gitattributes").write_text("* filter=evil text eol=crlf ident\n")
    odd = b"/* $Id: kept $ */\r\nint gup;\n"
    (tree / "mm" / "gup.c").write_bytes(odd)
    for key in ("filter.evil.clean", "filter.evil.smudge", "core.fsmonitor"):
        git(tree, "config", key, str(script))
    home.mkdir()
    (home / ".gitconfig").write_text((tree / ".git" / "config").read_text())
    monkeypatch.setenv("HOME", str(home))
    found(tree).materialize(tmp_path / "out", Quiet())
    assert (tmp_path / "out" / "mm" / "gup.c").read_bytes() == odd
    assert not marker.exists()


def test_users_own_ignore_file_holds(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".gitconfig").write_text(f"[core]\n\texcludesFile = {tmp_path}/ignore\n")
    (tmp_path / "ignore").write_text("new.c\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert laid_out(tree, tmp_path / "out") == SOURCE - {"mm/new.c"}


def test_tree_of_another_user_is_refused_with_gits_reason(
    tree: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a repository to another user")
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in (tree, tree / ".git"):
        os.chown(path, 12345, 12345)
    with pytest.raises(KernelError, match=r"belongs to another user.*safe\.directory"):
        found(tree)


def lose_objects(cache_root: Path) -> None:
    for one in cache_root.glob("git/tree-*/objects/??/*"):
        one.unlink()


def test_damaged_index_is_made_again(tree: Path, cache_root: Path) -> None:
    source = found(tree)
    next(cache_root.glob("git/tree-*/snapshot.index")).write_bytes(b"DIRC and no more")
    assert found(tree) == source


def test_lost_snapshot_is_told_when_it_is_laid_out(
    tree: Path, tmp_path: Path, cache_root: Path
) -> None:
    source = found(tree)
    lose_objects(cache_root)
    with pytest.raises(KernelError, match=r"damaged and is taken away(.|\n)*Run again"):
        source.materialize(tmp_path / "out", Quiet())
    assert found(tree) == source
    source.materialize(tmp_path / "out", Quiet())
    assert set(contents(tmp_path / "out")) == SOURCE


def test_lost_objects_are_read_again_with_the_next_snapshot(
    tree: Path, tmp_path: Path, cache_root: Path
) -> None:
    found(tree)
    lose_objects(cache_root)
    change(tree)
    heard = Heard()
    found(tree, heard).materialize(tmp_path / "out", Quiet())
    assert "the last snapshot is damaged" in heard.notes[0]
    assert set(contents(tmp_path / "out")) == SOURCE


def test_killed_snapshot_leaves_no_lock_that_stops_the_next(tree: Path, cache_root: Path) -> None:
    found(tree)
    store = next(cache_root.glob("git/tree-*"))
    (store / "snapshot.index.lock").touch()
    (store / "objects" / "ab").mkdir(exist_ok=True)
    (store / "objects" / "ab" / "tmp_obj_x").touch()
    change(tree)
    found(tree)
    assert left_behind(cache_root) == []
    assert not (store / "snapshot.index.lock").exists()
