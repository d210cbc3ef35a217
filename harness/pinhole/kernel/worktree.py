# SPDX-License-Identifier: GPL-2.0-only
"""Work trees: a source by hard links, and the build folder inside it.

A file of the source is never written in place: whoever changes one puts a new file there, so
that the trees which share it keep theirs, and make sees by the new mtime what has changed.
"""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pinhole.dirs import cache_dir, private_dir
from pinhole.kernel.sandbox import BUILD_FOLDER, Folders
from pinhole.kernel.tool import run

KIND = "work"
_STATE = "state.json"
_COPY_SECONDS = 600.0


@dataclass(frozen=True)
class WorkTree:
    """``folder`` holds ``source``, what ccache found new, and the word on what was done here.

    Whoever uses it holds a lock by which nobody else does.
    """

    folder: Path

    @classmethod
    def named(cls, name: str) -> WorkTree:
        """The work tree ``name`` in the cache, there or not."""
        return cls(cache_dir() / KIND / name)

    @property
    def source(self) -> Path:
        """The source, with the build folder in it."""
        return self.folder / "source"

    @property
    def folders(self) -> Folders:
        """As a build takes them, made where they were missing."""
        found = Folders(self.source, cache_dir() / "ccache", self.folder / "ccache-new")
        for one in (found.build, found.ccache, found.ccache_new):
            private_dir(one)
        return found

    def state(self) -> dict[str, Any]:
        """What ``remember`` wrote last; nothing where the tree is half-made."""
        try:
            found = json.loads((self.folder / _STATE).read_bytes())
        except (OSError, ValueError):
            return {}  # half-made: it is made ready again
        return found if isinstance(found, dict) else {}

    def remember(self, **facts: object) -> None:
        """Writes what is done, whole."""
        aside = self.folder / f"{_STATE}.new"
        aside.write_text(json.dumps(facts))
        aside.replace(self.folder / _STATE)

    def forget(self) -> None:
        """The tree is about to change: until ``remember`` it is half-made."""
        private_dir(self.folder)
        (self.folder / _STATE).unlink(missing_ok=True)

    def wipe(self) -> None:
        """Takes the tree away."""
        if self.folder.exists():
            self.forget()
            shutil.rmtree(self.folder)

    def link_from(self, source: Path) -> None:
        """Makes the source what ``source`` is; files that are the same stay, mtime included.

        A file that comes is newer than all that was built here: make goes by that alone.
        """
        built_until = self._built_until()
        self.forget()
        private_dir(self.source)
        _link(source, self.source, BUILD_FOLDER, built_until)

    def _built_until(self) -> float:
        """When the last object here may have been made, in seconds since 1970."""
        build = self.source / BUILD_FOLDER
        if not build.is_dir() or not any(build.iterdir()):
            return 0.0
        try:
            return (self.folder / _STATE).stat().st_mtime
        except FileNotFoundError:
            return math.inf  # interrupted, nobody knows when

    def copy_from(self, other: WorkTree) -> None:
        """Makes this tree what ``other`` is, with a build folder of its own."""
        self.link_from(other.source)
        shutil.rmtree(self.folders.build)
        # cp keeps mtimes, which make goes by, and shares blocks where the file system can.
        words = ["cp", "-a", "--reflink=auto", "--", str(other.folders.build), str(self.source)]
        run(words, package="coreutils", seconds=_COPY_SECONDS)


def _link(source: Path, target: Path, keep: str, built_until: float) -> None:
    """Hard links of all files below ``source``; what else is in ``target`` goes, but ``keep``."""
    theirs = {one.name: one for one in os.scandir(source) if one.name != keep}
    ours = {one.name: one for one in os.scandir(target) if one.name != keep}
    for name, one in ours.items():
        other = theirs.get(name)
        both_folders = other is not None and _is_folder(one) and _is_folder(other)
        if both_folders or (other is not None and one.inode() == other.inode()):
            continue
        if _is_folder(one):
            shutil.rmtree(one.path)
        else:
            Path(one.path).unlink()
    for name, one in theirs.items():
        path = f"{target}/{name}"
        if _is_folder(one):
            if not os.path.isdir(path):  # noqa: PTH112 - 6,000 folders: a Path each is slow
                os.mkdir(path, 0o755)  # noqa: PTH102
            _link(Path(one.path), Path(path), "", built_until)
        elif not os.path.lexists(path):
            _link_file(one.path, path)
            # The source may have moved on while something was built here of what it was before.
            # Trees that share the file may compile it once more for this.
            if one.stat(follow_symlinks=False).st_mtime <= built_until:
                os.utime(path, follow_symlinks=False)


def _link_file(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        # Another file system, or one more link than it can count.
        if error.errno not in {errno.EXDEV, errno.EMLINK, errno.EPERM}:
            raise
        shutil.copy2(source, target, follow_symlinks=False)


def _is_folder(one: os.DirEntry[str]) -> bool:
    return one.is_dir(follow_symlinks=False)
