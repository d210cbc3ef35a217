# SPDX-License-Identifier: GPL-2.0-only
"""ccache for builds that are not trusted with it: read by all, filled by the harness alone.

A build reads the user's cache and writes what it finds new into a folder of its own. The harness
takes that over only from a source that a signature vouches for, without patches: whatever else
ran in a build could have put a false object there for the next one to link.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pinhole.dirs import private_dir
from pinhole.kernel.sandbox import Confinement, Folders

_STORE = "store"
_OWN = "own"
_LARGEST_BYTES = 4 << 30


def environment(confined: Confinement, *, fill: bool) -> Mapping[str, str]:
    """ccache's settings (ccache 4.7's manual, "Remote storage backends")."""
    new = confined.ccache_new
    storages = [f"file:{confined.ccache}|read-only=true"]
    if fill:
        storages.append(f"file:{new / _STORE}")
    return {
        # With remote storage only, its own folder holds nothing but temporary files.
        "CCACHE_DIR": str(new / _OWN),
        "CCACHE_REMOTE_ONLY": "true",
        "CCACHE_REMOTE_STORAGE": " ".join(storages),
        "CCACHE_COMPILERCHECK": "content",
        # By the compiler's own list of dependencies: a miss costs no second preprocessing.
        "CCACHE_DEPEND": "true",
        "CCACHE_NOSTATS": "true",
    }


def take_over(folders: Folders) -> None:
    """Moves what the build found new into the user's cache, and empties the build's folder."""
    store = folders.ccache_new / _STORE
    for place, _, names in os.walk(store):
        target = private_dir(folders.ccache / Path(place).relative_to(store))
        for name in names:
            if name != "CACHEDIR.TAG":
                (Path(place) / name).replace(target / name)
    shutil.rmtree(folders.ccache_new)
    _trim(folders.ccache)


def _trim(folder: Path) -> None:
    """Keeps the newest 4 GiB: remote storage in files has no limit of its own."""
    files = []
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place) / name
            with suppress(FileNotFoundError):  # another pinhole keeps it small just now
                found = path.stat()
                files.append((found.st_mtime, found.st_size, path))
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total <= _LARGEST_BYTES:
            return
        path.unlink(missing_ok=True)
        total -= size
