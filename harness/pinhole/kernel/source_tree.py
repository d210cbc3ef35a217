# SPDX-License-Identifier: GPL-2.0-only
"""A developer's working tree as it lies there, dirty, perhaps built in place: a snapshot of it.

The snapshot is a git tree in a store of ours. Its index remembers each file's size, inode and
times, so that the next snapshot reads only what was touched: of 87,000 files the first takes half
a minute, another one to three seconds. Not a byte is written in the developer's tree or
repository.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from pinhole.errors import KernelError
from pinhole.kernel import makefile
from pinhole.kernel.git import Store, lay_out, store
from pinhole.kernel.identified import Fill, Identified
from pinhole.kernel.tool import ToolError
from pinhole.kernel.tree_listing import Listing, listing
from pinhole.progress import Progress

_INDEX = "snapshot.index"
_DAMAGED = ("invalid object", "error building trees")
"""What git says where the index names a content that the store has lost."""

_NAMED = 5
"""How many files that changed a message names."""


def identify(path: Path, label: str, progress: Progress) -> Identified:
    """The tree at ``path`` as it is now: tracked files, and others that are not ignored.

    Raises ``KernelError`` if it is no kernel tree, changes meanwhile or cannot be read,
    ``HostError`` for a full disk or a missing git.
    """
    place = path.resolve()
    version = _version(place, label)
    digest = hashlib.sha256(os.fsencode(place)).hexdigest()[:20]
    source = store(f"tree-{digest}", f"the snapshots of {place}", progress)
    with progress.step(f"taking a snapshot of {place}"):
        try:
            tree = _snapshot(source, place, label, progress)
        except ToolError as error:
            if not any(word in line for line in error.lines for word in _DAMAGED):
                raise _unreadable(label, error) from error
            progress.note(
                f"{label}: the last snapshot is damaged ({error.lines[0]}): taking it anew"
            )
            source.discard(progress)
            source = store(f"tree-{digest}", f"the snapshots of {place}", progress)
            try:
                tree = _snapshot(source, place, label, progress)
            except ToolError as again:
                raise _unreadable(label, again) from again
    return Identified(
        key=f"tree-{tree}",
        lineage=f"tree-{digest}",
        version=version,
        origin=f"working tree {place} (snapshot {tree[:12]})",
        trusted=False,
        fill=_fill(source, tree, label),
    )


def _version(place: Path, label: str) -> str:
    if not place.is_dir():
        raise KernelError(f"{label}: there is no folder {place}; give a kernel tree's top folder")
    try:
        content = (place / "Makefile").read_bytes()
    except OSError as error:
        raise KernelError(
            f"{label}: {place} is no kernel tree: Makefile: {error.strerror}; give the top folder "
            "of one"
        ) from error
    return makefile.version(content, f"{label} ({place})")


def _snapshot(source: Store, place: Path, label: str, progress: Progress) -> str:
    """The tree's id; taken twice, for a tree that changes would give what never was."""
    with source.held(progress) as scratch:
        first_listing = listing(source, place, label, scratch)
        marks = _marks(place, first_listing)
        first = _taken(source, place, first_listing)
        # All but what changed since is only looked at.
        second_listing = listing(source, place, label, scratch)
        tree = _taken(source, place, second_listing)
        changed = _changed(source, first, tree) or _differing(marks, _marks(place, second_listing))
        if changed:
            more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
            raise KernelError(
                f"{label}: the tree changed while its snapshot was taken: "
                f"{', '.join(changed[:_NAMED])}{more}; wait until nothing (a build, an editor) "
                "writes there, and try again"
            )
    for nested in first_listing.nested:
        progress.note(f"{label}: {nested} is a repository of its own and is left out")
    return tree


def _changed(source: Store, first: str, second: str) -> list[str]:
    """The files in which two snapshots differ."""
    if first == second:
        return []
    words = ("diff-tree", "-r", "--name-only", "-z", first, second)
    return os.fsdecode(source.git(*words)).rstrip("\0").split("\0")


def _marks(place: Path, listed: Listing) -> dict[bytes, tuple[int, ...]]:
    """What a write to a file changes, whatever it writes: an editor that empties a file before it
    writes may be met twice in that moment."""
    found: dict[bytes, tuple[int, ...]] = {}
    for path in listed.paths:
        with suppress(FileNotFoundError):  # then it is in neither
            stat = os.lstat(os.path.join(os.fsencode(place), path))  # noqa: PTH118 - bytes
            found[path] = (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    return found


def _differing(
    first: dict[bytes, tuple[int, ...]], second: dict[bytes, tuple[int, ...]]
) -> list[str]:
    paths = sorted(first.keys() | second.keys())
    return [os.fsdecode(path) for path in paths if first.get(path) != second.get(path)]


def _taken(source: Store, place: Path, listed: Listing) -> str:
    index = source.folder / _INDEX

    def git(*words: str, given: bytes | None = None) -> bytes:
        return source.git(*words, work_tree=place, index=index, given=given)

    try:
        known = git("ls-files", "-z").split(b"\0")
    except ToolError:
        index.unlink()  # damaged: then every file is read again
        known = []
    gone = [path for path in known if path and path not in listed.paths]
    if gone:
        git("update-index", "--force-remove", "-z", "--stdin", given=b"\0".join(gone) + b"\0")
    given = b"".join(path + b"\0" for path in listed.paths)
    # --remove: a file that goes after it was listed is no error here but a change, seen above.
    git("update-index", "--add", "--remove", "--replace", "-z", "--stdin", given=given)
    return git("write-tree").decode().strip()


def _unreadable(label: str, error: ToolError) -> KernelError:
    return KernelError(
        f"{label}: no snapshot could be taken: {error}\nMend what is named; if something (a build, "
        "an editor) writes there, wait for it and try again"
    )


def _fill(source: Store, tree: str, label: str) -> Fill:
    def fill(folder: Path, progress: Progress) -> None:
        with source.held(progress), progress.step(f"laying out {label}"):
            try:
                lay_out(source, tree, folder, label)
            except ToolError as error:
                source.discard(progress)
                raise KernelError(
                    f"{label}: its snapshot in the cache was damaged and is taken away: {error}\n"
                    "Run again to take another"
                ) from error

    return fill
