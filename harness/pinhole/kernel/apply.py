# SPDX-License-Identifier: GPL-2.0-only
"""Patches applied to an unpacked source tree: all of them, or nothing of any.

The tree's files may be hard links to a pristine copy, so no file is ever written in place. The
series is applied with ``git apply`` (no fuzz) to copies of the files that it touches, in a
private folder; only then each result is written beside its place in the tree and renamed over it.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pinhole.errors import KernelError
from pinhole.kernel import refusal
from pinhole.kernel.cache import full_disk_named
from pinhole.kernel.diff import FileChange
from pinhole.kernel.patches import Patch
from pinhole.kernel.sandbox import BUILD_FOLDER
from pinhole.kernel.tool import ToolError, run
from pinhole.progress import Progress, Quiet

_GIT_SECONDS = 120.0
_FILE_MODES = re.compile(r"100[0-7]{3}|120000")
_KINDS = {"160000": "a submodule", "040000": "a folder"}


@dataclass(frozen=True)
class Applied:
    """The paths that differ from before, relative to the tree, sorted; a rename is two."""

    changed: tuple[Path, ...]
    added: tuple[Path, ...]
    removed: tuple[Path, ...]


def apply(patches: Sequence[Patch], tree: Path, progress: Progress | None = None) -> Applied:
    """Applies ``patches`` in order to ``tree``.

    Raises ``KernelError`` naming patch, file, hunk and what it expected, with the tree as it was.
    A process that is killed while the results are moved leaves a tree to throw away.
    """
    progress = progress or Quiet()
    with (
        full_disk_named("the patched source", tree),
        tempfile.TemporaryDirectory(prefix="pinhole-patches-") as folder,
    ):
        staging = _Staging(Path(folder), tree)
        for number, patch in enumerate(patches, start=1):
            with progress.step(f"patch {number}/{len(patches)}: {patch.title}"):
                staging.apply(patch)
        return _move(staging.files(), staging.folder, tree)


class _Staging:
    """Copies of the files that patches touch, and nothing else of the tree."""

    def __init__(self, place: Path, tree: Path) -> None:
        self._place = place
        self._tree = tree
        self._had: set[str] = set()
        self.folder = place / "tree"
        self.folder.mkdir()

    def apply(self, patch: Patch) -> None:
        """Applies one patch to the copies, after looking where it would write."""
        changes = patch.changes
        for change in changes:
            for path in change.paths:
                _check_path(patch, path)
            _check_modes(patch, change)
        for change in changes:
            for path in change.paths:
                self._fetch(path)
                self._check_way(patch, path)
                if (self._tree / path).is_dir() and not (self._tree / path).is_symlink():
                    # git would put a file there: of the folder's files it sees the copies alone.
                    raise _refused(patch, path, "that is a folder in the tree")
        self._git_apply(patch, changes)
        for path in self.files():
            if path not in self._had:
                raise _refused(patch, path, "git changes it although the patch does not name it")
            self._check_link(patch, path)

    def files(self) -> dict[str, bool]:
        """Every path that patches named or made, and whether it is there now."""
        there = {
            str(path.relative_to(self.folder))
            for path in self.folder.rglob("*")
            if path.is_symlink() or not path.is_dir()
        }
        return {path: path in there for path in sorted(there | self._had)}

    def _fetch(self, path: str) -> None:
        """Copies ``path`` from the tree the first time that it is named."""
        if path in self._had:
            return
        self._had.add(path)
        parts = PurePosixPath(path).parts
        for depth in range(1, len(parts) + 1):
            here = PurePosixPath(*parts[:depth])
            source, copy = self._tree / here, self.folder / here
            if copy.is_symlink():
                return
            if source.is_symlink():
                # A link in the middle is copied so that _check_way sees it.
                if not copy.exists():
                    copy.symlink_to(source.readlink())
                return
            if source.is_dir():
                copy.mkdir(exist_ok=True)
            elif source.exists():
                if not copy.exists():
                    shutil.copyfile(source, copy)
                    copy.chmod(0o755 if source.stat().st_mode & stat.S_IXUSR else 0o644)
                return

    def _check_way(self, patch: Patch, path: str) -> None:
        for parent in PurePosixPath(path).parents:
            link = self.folder / parent
            if link.is_symlink():
                raise _refused(
                    patch, path, f"{parent} is a symbolic link (to {link.readlink()}) there"
                )

    def _check_link(self, patch: Patch, path: str) -> None:
        """A link may point within the tree alone: lexically, and as the tree resolves it."""
        link = self.folder / path
        if not link.is_symlink():
            return
        target = str(link.readlink())
        up = [part == ".." for part in PurePosixPath(target).parts]
        depth = len(PurePosixPath(path).parts) - 1
        root = Path(os.path.realpath(self._tree))
        # realpath and not Path.resolve(), which raises where links go in a circle.
        goal = Path(os.path.realpath((root / path).parent / target))
        # "x/../.." may leave the tree where x is itself a link: .. may stand in front only.
        if (
            target.startswith("/")
            or sum(up) > depth
            or up != sorted(up, reverse=True)
            or not goal.is_relative_to(root)
        ):
            raise _refused(patch, path, f"it would be a symbolic link out of the tree, to {target}")

    def _git_apply(self, patch: Patch, changes: Sequence[FileChange]) -> None:
        text = self._place / "patch"
        text.write_bytes(patch.text)
        try:
            with full_disk_named("the patched source", self.folder):
                self._git(patch, text)
        except ToolError as error:
            raise KernelError(
                refusal.explain(
                    patch,
                    changes,
                    said=error.lines or (str(error),),
                    standing=self.folder,
                    base=refusal.base_of(self._tree),
                    applied_already=self._is_applied(patch, text),
                )
            ) from error

    def _is_applied(self, patch: Patch, text: Path) -> bool:
        try:
            self._git(patch, text, "--check", "--reverse")
        except ToolError:
            return False
        return True

    def _git(self, patch: Patch, text: Path, *options: str) -> None:
        """``git apply`` outside of any repository, whatever the caller's environment says.

        In a repository it would skip, without a word, what lies outside of the current folder.
        HOME too: git before 2.32 does not know GIT_CONFIG_GLOBAL, and attributes lie there.
        """
        home = str(self._place)
        run(
            ["git", "apply", f"-p{patch.strip}", "--whitespace=nowarn", *options, str(text)],
            package="git",
            seconds=_GIT_SECONDS,
            folder=self.folder,
            environment={
                "GIT_CONFIG_GLOBAL": "/dev/null",
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_CONFIG_COUNT": "0",
                "GIT_CONFIG_PARAMETERS": "",
                "GIT_ATTR_NOSYSTEM": "1",
                "GIT_DIR": f"{home}/no-repository",
                "HOME": home,
                "XDG_CONFIG_HOME": home,
            },
        )


def _check_path(patch: Patch, path: str) -> None:
    parts = path.split("/")
    if path.startswith("/"):
        raise _refused(patch, path, "it is an absolute path")
    if any(part in {"", ".", ".."} for part in parts):
        raise _refused(patch, path, "it does not stay in the tree ('..', '.' or '//' in it)")
    if any(part.lower() == ".git" for part in parts):
        raise _refused(patch, path, "it lies in a git repository's own folder")
    if parts[0] == BUILD_FOLDER:
        raise _refused(patch, path, "the kernel is built in that folder")


def _check_modes(patch: Patch, change: FileChange) -> None:
    for mode in change.modes:
        if not _FILE_MODES.fullmatch(mode):
            kind = _KINDS.get(mode, "neither a file nor a symbolic link")
            raise _refused(patch, change.paths[0], f"its mode {mode} says that it is {kind}")


def _refused(patch: Patch, path: str, reason: str) -> KernelError:
    return KernelError(
        f"the patch {patch} is refused: it touches {path}, and {reason}; take that part out of "
        "the patch"
    )


def _move(files: dict[str, bool], staged: Path, tree: Path) -> Applied:
    """Brings what differs into the tree: everything is written first, then renamed."""
    changed, added, removed = [], [], []
    for path, is_there in files.items():
        old, new = tree / path, staged / path
        was_there = old.is_symlink() or old.is_file()
        if is_there and not was_there:
            added.append(Path(path))
        elif was_there and not is_there:
            removed.append(Path(path))
        elif was_there and _differ(old, new):
            changed.append(Path(path))
    # In the tree, so that a rename suffices; what is removed goes first, for a folder may take
    # the place of a file.
    with _written_beside([*changed, *added], staged, tree) as written:
        for gone in removed:
            (tree / gone).unlink()
            _remove_empty(tree / gone, tree)
        for aside, place in written:
            (tree / place).parent.mkdir(parents=True, exist_ok=True)
            aside.replace(tree / place)
    return Applied(tuple(changed), tuple(added), tuple(removed))


def _differ(old: Path, new: Path) -> bool:
    if old.is_symlink() or new.is_symlink():
        return not (old.is_symlink() and new.is_symlink() and old.readlink() == new.readlink())
    modes = {bool(path.stat().st_mode & stat.S_IXUSR) for path in (old, new)}
    return len(modes) > 1 or old.read_bytes() != new.read_bytes()


@contextmanager
def _written_beside(
    paths: Sequence[Path], staged: Path, tree: Path
) -> Iterator[list[tuple[Path, Path]]]:
    """Copies of ``paths`` in the tree's file system, to be renamed; those that were not, go."""
    with tempfile.TemporaryDirectory(prefix=".pinhole-patches-", dir=tree) as folder:
        written = []
        for number, path in enumerate(paths):
            aside = Path(folder) / str(number)
            # Copied and not moved: its mtime is now, as make wants it.
            shutil.copyfile(staged / path, aside, follow_symlinks=False)
            if not aside.is_symlink():
                aside.chmod(0o755 if (staged / path).stat().st_mode & stat.S_IXUSR else 0o644)
            written.append((aside, path))
        yield written


def _remove_empty(path: Path, tree: Path) -> None:
    for parent in path.parents:
        if parent == tree or any(parent.iterdir()):
            return
        parent.rmdir()
