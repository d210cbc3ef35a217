# SPDX-License-Identifier: GPL-2.0-only
"""The content-addressed cache: entries are made once, whole, and by one process at a time.

Layout under ``pinhole.dirs.cache_dir()``::

    KIND/KEY/                an entry: what ``make`` wrote, and its manifest
    KIND/.making-KEY-XXXX/   one being made; becomes KIND/KEY by one rename
    KIND/.KEY.lock           held (flock) while the entry is made or taken away

An entry is visible only when it is whole. The kernel drops the lock with the process that held
it, so what lies under ``.making-KEY-*`` while the lock is *ours* belongs to nobody alive: that
is the whole proof by which leftovers of killed processes are removed.
An entry that was damaged since (``manifest.py``) is made again.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import filelock

from pinhole.dirs import cache_dir, private_dir
from pinhole.errors import HostError
from pinhole.kernel import manifest
from pinhole.kernel.tool import ToolError
from pinhole.progress import Progress, Quiet

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]*")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FULL_WORDS = tuple(os.strerror(number) for number in sorted(_FULL))
_WAIT_SECONDS = 6 * 3600.0
"""How long to wait for another process that makes the same thing; a kernel build may be long."""

Make = Callable[[Path], None]


def entry(
    kind: str,
    key: str,
    make: Make,
    *,
    what: str = "",
    digested: Sequence[str] = (),
    needs_bytes: int = 0,
    progress: Progress | None = None,
) -> Path:
    """The entry ``key`` of ``kind``; ``make(folder)`` fills it where it is missing or damaged.

    ``what`` names it for people. ``digested`` are paths in the entry whose SHA-256 is compared
    at each opening. ``needs_bytes`` must be free before ``make`` begins. Whatever ``make`` raises
    comes out and leaves nothing; a full disk is a ``HostError``.
    """
    progress = progress or Quiet()
    what = what or f"{kind} {key}"
    folder = _folder(kind, key)
    if folder.exists() and manifest.damage(folder, digested) is None:
        note_use(folder)
        return folder
    with lock(kind, key, what=what, progress=progress):
        _sweep(kind, key)
        if folder.exists():
            reason = manifest.damage(folder, digested)
            if reason is None:  # another process made it while this one waited
                return folder
            progress.note(f"the cached {what} is damaged ({reason}): making it again")
            _take_away(folder, key)
        if shutil.disk_usage(folder.parent).free < needs_bytes:
            raise _no_space(what, folder, needs_bytes, "No space left on device")
        with full_disk_named(what, folder, needs_bytes), _made_aside(folder) as making:
            make(making)
            manifest.write(making, digested)
            making.rename(folder)
    return folder


def note_use(folder: Path) -> None:
    """Notes that an entry was used now: what was not for long is what ``prune`` takes away."""
    with suppress(OSError):  # a cache that cannot be written is not pruned either
        os.utime(folder)


def find(kind: str, key: str, digested: Sequence[str] = ()) -> Path | None:
    """The entry, if it is there and undamaged."""
    folder = _folder(kind, key)
    return folder if folder.exists() and manifest.damage(folder, digested) is None else None


def discard(kind: str, key: str, *, what: str, progress: Progress) -> None:
    """Takes the entry away, whole, if it is there; a later ``entry`` makes it again."""
    with lock(kind, key, what=what, progress=progress):
        folder = _folder(kind, key)
        if folder.exists():
            _take_away(folder, key)


def discard_unless_held(
    kind: str, key: str, beside: Sequence[str] = (), users: Sequence[str] = ()
) -> bool:
    """Takes the entry away, unless another process makes or uses it just now: then False.

    ``beside`` are endings of files that say of the entry what it holds: these go first. ``users``
    are endings of the keys under which it is locked while it is used.
    """
    folder = _folder(kind, key)
    try:
        with ExitStack() as held:
            for ending in ("", *users):
                path = folder.with_name(f".{key}{ending}.lock")
                held.enter_context(filelock.FileLock(path, timeout=0, mode=0o600))
            for ending in beside:
                folder.with_name(key + ending).unlink(missing_ok=True)
            if folder.exists():
                _take_away(folder, key)
    except filelock.Timeout:
        return False
    return True


def sweep(kind: str) -> None:
    """Removes what killed processes left half-made, or half taken away, of ``kind``."""
    _sweep(kind, "")


def keys(kind: str) -> tuple[str, ...]:
    """The keys of all visible entries of ``kind``, sorted."""
    folder = cache_dir() / kind
    if not folder.is_dir():
        return ()
    return tuple(sorted(one.name for one in folder.iterdir() if not one.name.startswith(".")))


@contextmanager
def lock(kind: str, key: str, *, what: str, progress: Progress) -> Iterator[None]:
    """Holds the lock of ``key`` against other processes; says so if it has to wait."""
    folder = _folder(kind, key)
    path = private_dir(folder.parent) / f".{key}.lock"
    held = filelock.FileLock(path, mode=0o600)
    try:
        try:
            held.acquire(timeout=0)
        except filelock.Timeout:
            with progress.step(f"waiting for another pinhole that makes {what}"):
                held.acquire(timeout=_WAIT_SECONDS)
    except filelock.Timeout as error:
        raise HostError(
            f"another process has held {path} for {_WAIT_SECONDS:.0f} s: it makes {what}; "
            "wait for it or end it, and try again"
        ) from error
    except OSError as error:
        raise HostError(f"cannot lock {path}: {error.strerror}; mend its permissions") from error
    try:
        yield
    finally:
        held.release()


@contextmanager
def scratch(kind: str, key: str) -> Iterator[Path]:
    """A private folder in the cache's file system, gone afterwards; hold ``lock`` around it."""
    _sweep(kind, key)
    place = _folder(kind, key)
    private_dir(place.parent)
    with full_disk_named(f"{kind} {key}", place), _made_aside(place) as folder:
        yield folder


@contextmanager
def full_disk_named(what: str, folder: Path, needs_bytes: int = 0) -> Iterator[None]:
    """Turns a full disk or a file system that cannot be written into a ``HostError``."""
    try:
        yield
    except ToolError as error:
        for line in error.lines:
            if any(words in line for words in _FULL_WORDS):
                raise _no_space(what, folder, needs_bytes, line) from error
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise _no_space(what, folder, needs_bytes, str(error.strerror)) from error
        if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}:
            raise HostError(
                f"cannot write {what} in {folder.parent}: {error.strerror}; mend it, or point "
                "PINHOLE_CACHE elsewhere"
            ) from error
        raise


@contextmanager
def _made_aside(folder: Path) -> Iterator[Path]:
    """A folder beside ``folder`` to fill and rename; gone afterwards if it was not renamed."""
    making = Path(tempfile.mkdtemp(prefix=f".making-{folder.name}-", dir=folder.parent))
    try:
        yield making
    finally:
        # What cannot be removed now is swept by the next one who holds the lock.
        shutil.rmtree(making, ignore_errors=True)


def _sweep(kind: str, key: str) -> None:
    """Removes what killed makers left; the lock of ``key`` must be held.

    What was left under other keys goes too, where their locks can be had at once: nobody may
    ever ask for those keys again (an older kernel, an older compiler).
    """
    for left in (cache_dir() / kind).glob(".making-*-????????"):
        other = left.name[len(".making-") : -len("-????????")]
        if other == key:
            shutil.rmtree(left)
            continue
        others = filelock.FileLock(left.parent / f".{other}.lock", timeout=0, mode=0o600)
        try:
            with others:
                # Its maker may have renamed it, or another process swept it, since the glob.
                shutil.rmtree(left, ignore_errors=True)
        except filelock.Timeout:
            continue


def _take_away(folder: Path, key: str) -> None:
    """Removes a visible entry: first out of sight, so that no half of it is ever seen."""
    aside = Path(tempfile.mkdtemp(prefix=f".making-{key}-", dir=folder.parent))
    folder.rename(aside / "damaged")
    shutil.rmtree(aside)


def _no_space(what: str, folder: Path, needs_bytes: int, reason: str) -> HostError:
    free = shutil.disk_usage(folder.parent).free
    wanted = f"about {-(-needs_bytes // 1_000_000)} MB are needed, " if needs_bytes else ""
    return HostError(
        f"cannot write {what} in {folder.parent}: {reason} ({wanted}{free // 1_000_000} MB are "
        "free); free some space, or point PINHOLE_CACHE elsewhere"
    )


def _folder(kind: str, key: str) -> Path:
    for name in (kind, key):
        if _SAFE.fullmatch(name) is None:
            raise ValueError(f"{name!r} cannot name a part of the cache")
    return cache_dir() / kind / key
