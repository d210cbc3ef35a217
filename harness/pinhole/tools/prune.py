# SPDX-License-Identifier: GPL-2.0-only
"""``pinhole kernel prune``: takes away what was not used for long, never what is being made."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pinhole.dirs import cache_dir
from pinhole.errors import UsageError
from pinhole.kernel import cache
from pinhole.size import parse_size

_KINDS = {
    "kernel": "kernel",
    "initramfs": "boot image",
    "source": "source package",
    "git": "store of snapshots",
    "trees": "unpacked source",
    "work": "build tree",
}
_BESIDE = (".state", ".index", ".tar", ".used")
"""What an unpacked source has beside its folder (kernel/identified.py)."""
_USERS = {"git": (".use",)}
"""What locks a piece while it is used and not made (kernel/git.py)."""
_WRITTEN_SECONDS = 3600.0
"""A log that was written to since may be that of a build that runs."""

_Inode = tuple[int, int]


@dataclass(frozen=True)
class _Piece:
    """One thing in the cache that can go; ``used`` in seconds since 1970.

    ``size_bytes`` would be free again if it went, and all that was used before it.
    """

    kind: str
    path: Path
    used: float
    size_bytes: int = 0

    def __str__(self) -> str:
        days = max(0.0, (time.time() - self.used) / 86400)
        size = f"{self.size_bytes >> 20} MiB"
        return f"{_KINDS[self.kind]} {self.path.name}: {size}, used {days:.1f} days ago"


def prune_cache(
    *, older_than_days: float, keep: str | None, key: str | None, dry_run: bool
) -> None:
    """Removes by age, by size (``keep``) or by ``key``, and says what; locks are respected."""
    keep_bytes = None if keep is None else _size(keep)
    if not dry_run:
        for kind in _KINDS:
            cache.sweep(kind)
    pieces = _measured(sorted(_pieces(), key=lambda piece: piece.used))
    if key is not None:
        chosen = [
            piece for piece in pieces if piece.kind == "kernel" and piece.path.name.startswith(key)
        ]
        if not chosen:
            raise UsageError(f"no cached kernel's key begins with {key!r}; see pinhole kernel list")
    elif keep_bytes is not None:
        chosen = _down_to(pieces, keep_bytes)
    else:
        chosen = [one for one in pieces if time.time() - one.used >= older_than_days * 86400]
        if not dry_run:
            _prune_logs(older_than_days)
    gone = 0
    for piece in chosen:
        if dry_run:
            print(f"would remove {piece}")
        elif cache.discard_unless_held(
            piece.kind, piece.path.name, _BESIDE, _USERS.get(piece.kind, ())
        ):
            print(f"removed {piece}")
        else:
            print(f"left, another pinhole uses it: {piece}")
            continue
        gone += piece.size_bytes
    print(f"{gone >> 20} MiB {'would be' if dry_run else 'are'} free again")


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise UsageError(f"--keep: {error}") from error


def _down_to(pieces: list[_Piece], size_bytes: int) -> list[_Piece]:
    total = sum(piece.size_bytes for piece in pieces)
    chosen = []
    for piece in pieces:
        if total <= size_bytes:
            break
        chosen.append(piece)
        total -= piece.size_bytes
    return chosen


def _pieces() -> Iterator[_Piece]:
    for kind in _KINDS:
        folder = cache_dir() / kind
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.is_dir() and not path.name.startswith("."):
                used = _used(path)
                if used is not None:
                    yield _Piece(kind, path, used)


def _used(path: Path) -> float | None:
    """When it was last used: an entry's own mtime, or the note beside a source or in a tree;
    None if it is gone by now."""
    times = []
    for note in (path, path.with_name(f"{path.name}.used"), path / "state.json"):
        with suppress(FileNotFoundError):
            times.append(note.stat().st_mtime)
    return max(times, default=None)


def _measured(pieces: list[_Piece]) -> list[_Piece]:
    """The pieces with their sizes; what several share by hard links counts for the last of them.

    A file that something else shares too would stay, and is not counted.
    """
    sizes: list[int] = []
    shared: dict[_Inode, tuple[int, int, int]] = {}
    for number, piece in enumerate(pieces):
        alone = 0
        for found in _files(piece.path):
            size_bytes = found.st_blocks * 512
            if found.st_nlink == 1:
                alone += size_bytes
            else:
                inode = found.st_dev, found.st_ino
                _, links, _ = shared.get(inode, (0, found.st_nlink, 0))
                shared[inode] = number, links - 1, size_bytes
        sizes.append(alone)
    for number, elsewhere, size_bytes in shared.values():
        if elsewhere == 0:
            sizes[number] += size_bytes
    return [replace(piece, size_bytes=size) for piece, size in zip(pieces, sizes, strict=True)]


def _files(folder: Path) -> Iterator[os.stat_result]:
    """The files below ``folder``; those that go meanwhile (of a build that runs) are left out."""
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                yield os.lstat(f"{place}/{name}")  # 90,000 files: a Path each is slow


def _prune_logs(older_than_days: float) -> None:
    """Logs of builds that failed, or of a base that nobody asked for by itself."""
    folder = cache_dir() / "logs"
    oldest = max(older_than_days * 86400, _WRITTEN_SECONDS)
    for path in sorted(folder.glob("*.log")):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime >= oldest:
                path.unlink()
