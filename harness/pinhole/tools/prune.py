# SPDX-License-Identifier: GPL-2.0-only
"""``pinhole kernel prune``: takes away what was not used for long, never what is being made."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True)
class _Piece:
    """One thing in the cache that can go; ``used`` in seconds since 1970."""

    kind: str
    path: Path
    used: float
    size_bytes: int

    def __str__(self) -> str:
        days = max(0.0, (time.time() - self.used) / 86400)
        size = f"{self.size_bytes >> 20} MiB"
        return f"{_KINDS[self.kind]} {self.path.name}: {size}, used {days:.1f} days ago"


def prune_cache(
    *, older_than_days: float, keep: str | None, key: str | None, dry_run: bool
) -> None:
    """Removes by age, by size (``keep``) or by ``key``, and says what; locks are respected."""
    pieces = sorted(_pieces(), key=lambda piece: piece.used)
    if key is not None:
        chosen = [
            piece for piece in pieces if piece.kind == "kernel" and piece.path.name.startswith(key)
        ]
        if not chosen:
            raise UsageError(f"no cached kernel's key begins with {key!r}; see pinhole kernel list")
    elif keep is not None:
        chosen = _down_to(pieces, _size(keep))
    else:
        chosen = [one for one in pieces if time.time() - one.used >= older_than_days * 86400]
    gone = 0
    for piece in chosen:
        if dry_run:
            print(f"would remove {piece}")
        elif cache.discard_unless_held(piece.kind, piece.path.name, _BESIDE):
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
                yield _Piece(kind, path, _used(path), _bytes(path))


def _used(path: Path) -> float:
    """When it was last used: an entry's own mtime, or the note beside a source or in a tree."""
    notes = (path, path.with_name(f"{path.name}.used"), path / "state.json")
    return max(note.stat().st_mtime for note in notes if note.exists())


def _bytes(path: Path) -> int:
    """What would be free again; a file that other trees share by a hard link is not counted."""
    total = 0
    for one in path.rglob("*"):
        found = one.lstat()
        if found.st_nlink == 1:
            total += found.st_blocks * 512
    return total
