# SPDX-License-Identifier: GPL-2.0-only
"""Kernels from git: local repositories and URLs, refs that move or are none, and hostile ones."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
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
    traces,
)

from pinhole.errors import KernelError
from pinhole.kernel.source import GitSource, Identified, identify
from pinhole.progress import Quiet

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

BY_PATH = pytest.param(str, id="path")
BY_URL = pytest.param(lambda path: path.as_uri(), id="url")
both = pytest.mark.parametrize("where", [BY_PATH, BY_URL])
Where = Callable[[Path], str]


@pytest.fixture(autouse=True)
def cache_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PINHOLE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "linux")


def found(
    location: str, ref: str = "main", heard: Heard | None = None, *, offline: bool = False
) -> Identified:
    return identify(GitSource(location, ref), heard or Quiet(), offline=offline)


@both
def test_commit_is_laid_out_whole(
    repository: Path, tmp_path: Path, cache_root: Path, where: Where
) -> None:
    (repository / "mm" / "gup.c").write_text("dirty, and not in the commit\n")
    source = found(where(repository), "v6.12")
    assert source.version == "6.12.117"
    assert not source.trusted
    folder = tmp_path / "out"
    assert source.materialize(folder, Quiet()) == "6.12.117"
    expected = {**contents(repository), "mm/gup.c": b"int gup;\n"}
    assert contents(folder) == {k: v for k, v in expected.items() if not k.startswith(".git/")}
    assert (folder / "scripts" / "run.sh").stat().st_mode & 0o111
    assert source.key == f"tree-{git(repository, 'rev-parse', 'v6.12^{tree}')}"
    assert left_behind(tmp_path) == []
    assert all(not stat.S_IMODE(one.stat().st_mode) & 0o077 for one in cache_root.iterdir())


@both
def test_moved_branch_rewrites_only_what_differs(
    repository: Path, tmp_path: Path, where: Where
) -> None:
    folder, linked = tmp_path / "out", tmp_path / "linked"
    first = found(where(repository))
    first.materialize(folder, Quiet())
    shutil.copytree(folder, linked, copy_function=os.link, symlinks=True)  # as a build may do
    same, changed = identity(folder / "mm" / "Makefile"), identity(folder / "mm" / "gup.c")
    (repository / "mm" / "gup.c").write_text("int gup_fast;\n")
    (repository / "scripts" / "run.sh").unlink()
    (repository / "new.c").write_text("int new;\n")
    commit(repository)
    second = found(where(repository))
    assert second.key != first.key
    assert second.lineage == first.lineage
    second.materialize(folder, Quiet())
    assert identity(folder / "mm" / "Makefile") == same
    assert identity(folder / "mm" / "gup.c")[0] != changed[0]
    assert identity(folder / "mm" / "gup.c")[1] > changed[1]
    assert not (folder / "scripts" / "run.sh").exists()
    assert (folder / "new.c").read_text() == "int new;\n"
    assert (linked / "mm" / "gup.c").read_text() == "int gup;\n"


def test_repository_on_this_host_is_only_read(repository: Path, tmp_path: Path) -> None:
    before = traces(repository)
    found(str(repository)).materialize(tmp_path / "out", Quiet())
    assert traces(repository) == before


@both
@pytest.mark.parametrize("ref", ["v9.9", "0" * 40])
def test_ref_that_does_not_exist_is_named(repository: Path, where: Where, ref: str) -> None:
    with pytest.raises(KernelError, match=ref):
        found(where(repository), ref)


@pytest.mark.parametrize("ref", ["--upload-pack=touch x", "-x", "", "main:refs/heads/x", "a b"])
def test_ref_that_would_be_an_option_is_refused(repository: Path, ref: str) -> None:
    with pytest.raises(KernelError, match="is no name of a commit"):
        found(repository.as_uri(), ref)


def test_path_that_is_no_repository_names_tree(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(KernelError, match=r"no git repository; .* tree: "):
        found(str(tmp_path / "plain"))
    with pytest.raises(KernelError, match="no git repository"):  # the one around it is not meant
        found(str(repository / "mm"))
    with pytest.raises(KernelError, match="there is no folder"):
        found(str(tmp_path / "missing"))


@both
def test_repository_without_a_kernel_is_told(repository: Path, where: Where) -> None:
    git(repository, "rm", "-q", "Makefile")
    commit(repository)
    with pytest.raises(KernelError, match="is no kernel source"):
        found(where(repository))


def test_moving_branch_is_asked_for_again_and_a_commit_is_not(repository: Path) -> None:
    url, first = repository.as_uri(), git(repository, "rev-parse", "HEAD")
    git(repository, "config", "uploadpack.allowAnySHA1InWant", "true")
    old, fixed = found(url), found(url, first)
    (repository / "mm" / "gup.c").write_text("int moved;\n")
    commit(repository)
    assert found(url).key != old.key
    repository.rename(repository.with_name("away"))
    heard = Heard()
    assert found(url, first, heard).key == fixed.key == old.key
    assert heard.notes == []  # nobody was asked


def test_server_out_of_reach_leaves_what_was_fetched(repository: Path, tmp_path: Path) -> None:
    url, heard = repository.as_uri(), Heard()
    source = found(url)
    repository.rename(tmp_path / "away")
    assert found(url, offline=True) == found(url, heard=heard) == source
    assert "Using what was fetched before" in heard.notes[0]
    assert source.materialize(tmp_path / "out", Quiet()) == "6.12.117"
    with pytest.raises(KernelError, match="could not be fetched"):
        found(url, "v6.12")
    with pytest.raises(KernelError, match="this run is offline"):
        found(url, "v6.12", offline=True)


def test_nothing_that_a_repository_names_is_run(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hooks, filters, monitors and conversions, in the repository and the user's configuration."""
    marker, home = tmp_path / "it-ran", tmp_path / "home"
    touch = tmp_path / "touch.sh"
    touch.write_text(f"#!/bin/sh\ntouch {marker}\ncat\n")
    touch.chmod(0o755)
    attributes = b"*.c ident text eol=crlf filter=evil working-tree-encoding=UTF-16\n"
    odd = b"/* $Id$ */\r\nint gup;\n"
    for path, blob in (("mm/gup.c", odd), (".gitattributes", attributes)):
        (tmp_path / "blob").write_bytes(blob)
        name = git(repository, "hash-object", "-w", "--no-filters", str(tmp_path / "blob"))
        git(repository, "update-index", "--add", "--cacheinfo", f"100644,{name},{path}")
    git(repository, "commit", "-q", "-m", "asks for conversions")
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for hook in ("post-checkout", "reference-transaction", "post-index-change"):
        shutil.copy(touch, repository / ".git" / "hooks" / hook)
        shutil.copy(touch, hooks / hook)
    home.mkdir()
    (home / ".gitconfig").write_text(
        f'[filter "evil"]\n\tsmudge = {touch}\n\tclean = {touch}\n\trequired = true\n'
        f"[core]\n\tautocrlf = true\n\tfsmonitor = {touch}\n\thooksPath = {hooks}\n"
    )
    git(repository, "config", "filter.evil.smudge", str(touch))
    git(repository, "config", "core.fsmonitor", str(touch))
    monkeypatch.setenv("HOME", str(home))
    for number, location in enumerate((str(repository), repository.as_uri())):
        folder = tmp_path / f"out{number}"
        found(location).materialize(folder, Quiet())
        assert (folder / "mm" / "gup.c").read_bytes() == odd
    assert not marker.exists()


def test_variables_of_a_git_hook_do_not_choose_the_repository(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = found(str(repository))
    other = make_repository(tmp_path / "other")
    (other / "mm" / "gup.c").write_text("int other;\n")
    commit(other)
    before = traces(other)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    source = found(str(repository))
    assert source == expected
    source.materialize(tmp_path / "out", Quiet())
    assert traces(other) == before


def test_repository_of_another_user_is_refused_with_gits_reason(
    repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a repository to another user")
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in (repository, repository / ".git"):
        os.chown(path, 12345, 12345)
    with pytest.raises(KernelError, match=r"belongs to another user.*safe\.directory"):
        found(str(repository))
    trusted = f"[safe]\n\tdirectory = {repository}\n"
    (tmp_path / ".gitconfig").write_text(trusted)
    assert found(str(repository)).materialize(tmp_path / "out", Quiet()) == "6.12.117"


def test_submodule_stays_an_empty_folder(repository: Path, tmp_path: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{head},module")
    git(repository, "commit", "-q", "-m", "a submodule")
    found(str(repository)).materialize(tmp_path / "out", Quiet())
    assert list((tmp_path / "out" / "module").iterdir()) == []


@both
def test_killed_layout_is_done_again(repository: Path, tmp_path: Path, where: Where) -> None:
    folder, source = tmp_path / "out", found(where(repository))
    source.materialize(folder, Quiet())
    good = contents(folder)
    (folder.parent / "out.state").unlink()  # the first thing that goes, the last that comes
    (folder / "mm" / "gup.c").unlink()
    (folder / "mm" / "gup.c").write_text("half")
    (folder / "mm" / "Makefile").unlink()
    (folder / "stray").mkdir()
    (folder / "stray" / "file.o").write_text("")
    (folder.parent / "out.index.lock").touch()
    source.materialize(folder, Quiet())
    assert contents(folder) == good
    (folder.parent / "out.state").unlink()
    (folder.parent / "out.index").write_bytes(b"DIRCgarbage")
    source.materialize(folder, Quiet())
    assert contents(folder) == good


def test_damaged_copy_of_a_server_is_fetched_again(
    repository: Path, tmp_path: Path, cache_root: Path
) -> None:
    source = found(repository.as_uri())
    packs = [*cache_root.glob("git/url-*/objects/pack/*.pack"),
             *cache_root.glob("git/url-*/objects/??/*")]  # fmt: skip
    assert packs
    for one in packs:
        one.chmod(0o600)
        one.write_bytes(b"")
    with pytest.raises(KernelError, match="damaged and is taken away"):
        source.materialize(tmp_path / "out", Quiet())
    again = found(repository.as_uri())
    assert again == source
    assert again.materialize(tmp_path / "out", Quiet()) == "6.12.117"


def test_killed_git_leaves_no_lock_that_stops_the_next(repository: Path, cache_root: Path) -> None:
    url = repository.as_uri()
    found(url)
    place = next(cache_root.glob("git/url-*"))
    (place / "shallow.lock").touch()
    (place / "objects" / "pack" / "tmp_pack_abc").write_bytes(b"half")
    next((place / "refs" / "fetched").iterdir()).with_suffix(".lock").touch()
    (repository / "mm" / "gup.c").write_text("int moved;\n")
    commit(repository)
    heard = Heard()
    found(url, heard=heard)
    assert heard.notes == []
    assert left_behind(cache_root) == []


def test_path_with_odd_characters_is_read(tmp_path: Path) -> None:
    place = make_repository(tmp_path / 'a:b "c"\\d')
    assert found(str(place)).materialize(tmp_path / "out", Quiet()) == "6.12.117"
