# SPDX-License-Identifier: GPL-2.0-only
"""A kernel source that is pinned down: its content's address, and the way to lay it out.

``FOLDER.state`` beside a source folder says which content lies in it, whole. It is taken away
before the first change and written after the last: a killed layout is seen, and done again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pinhole.dirs import private_dir
from pinhole.errors import KernelError
from pinhole.kernel import cache, makefile
from pinhole.progress import Progress

Fill = Callable[[Path, Progress], None]


@dataclass(frozen=True)
class Identified:
    """What a source is now. ``key`` addresses the content and can name a cache entry.

    ``lineage`` stays the same while the content moves: of a git repository or a tree its place;
    what never moves (a package, a tarball) has its key there. ``version`` is the upstream version
    where it is known before the source lies there. ``origin`` says for people what it is.
    ``trusted``: a signature that the host trusts was checked. ``fill`` brings a folder that is
    empty, or holds an earlier content of the lineage (whole or not), to this content.
    """

    key: str
    lineage: str
    version: str | None
    origin: str
    trusted: bool
    fill: Fill = field(repr=False, compare=False)

    def materialize(self, folder: Path, progress: Progress) -> str:
        """Makes ``folder`` hold exactly the source; gives the version that its Makefile names.

        ``folder`` is empty or missing, or what an earlier materialize of the same lineage left.
        A file that differs is replaced by a new one, never written in place; where the lineage
        moves, files that are the same stay as they are, mtime included. Nobody else may use
        ``folder`` meanwhile. Raises ``KernelError`` if the source cannot be had or is no
        kernel's, ``HostError`` for a full disk or a missing tool.
        """
        state = folder.with_name(f"{folder.name}.state")
        with cache.full_disk_named(f"the source of {self.origin}", folder):
            if not _says(state, self.key):
                state.unlink(missing_ok=True)
                private_dir(folder)
                self.fill(folder, progress)
                self._version(folder)  # what is no kernel source is not called whole
                _write(state, self.key)
            return self._version(folder)

    def _version(self, folder: Path) -> str:
        try:
            content = (folder / "Makefile").read_bytes()
        except (FileNotFoundError, IsADirectoryError) as error:
            raise KernelError(
                f"{self.origin} is no kernel source: it has no Makefile; give the top folder of a "
                "kernel tree"
            ) from error
        return makefile.version(content, self.origin)


def empty(folder: Path) -> None:
    """Removes all that lies in ``folder``, not the folder itself."""
    with os.scandir(folder) as found:
        for one in found:
            if one.is_dir(follow_symlinks=False):
                shutil.rmtree(one.path)
            else:
                Path(one.path).unlink()


def _says(state: Path, key: str) -> bool:
    try:
        return state.read_text() == key
    except (FileNotFoundError, UnicodeDecodeError):
        return False


def _write(state: Path, key: str) -> None:
    aside = state.with_name(f"{state.name}.new")
    aside.write_text(key)
    aside.replace(state)
