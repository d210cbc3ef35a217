# SPDX-License-Identifier: GPL-2.0-only
"""Which files of a working tree are its source: tracked ones, and others that are not ignored.

git answers, in a shadow of the developer's repository: a folder with a copy of the index that
points to the rest, as a linked working tree has (gitrepository-layout(5)). Even to read a
split index, git touches a file beside it.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pinhole.kernel.git import Store, git
from pinhole.kernel.source_git import unusable
from pinhole.kernel.tool import ToolError

_EVERYTHING = ("/*", "*")


@dataclass(frozen=True)
class Listing:
    """Paths below the tree, in git's order; ``nested`` are repositories of their own in it."""

    paths: Mapping[bytes, None]
    nested: tuple[str, ...]


def listing(source: Store, place: Path, label: str, scratch: Path) -> Listing:
    """What lies in ``place`` now and is its source; ``scratch`` is a private folder.

    A tree that is no repository is listed by its ``.gitignore`` files alone. Raises
    ``KernelError`` where git does not want the repository, ``ToolError`` where it fails.
    """
    folders = _repository(place, label)
    if folders is None:
        named = _unversioned(source, place, scratch)
    else:
        named = _versioned(place, *folders, scratch)
    return _present(place, named)


def _repository(place: Path, label: str) -> tuple[Path, Path] | None:
    """The git folder of ``place`` and what it shares with other working trees; None for none."""
    asked = ("--show-prefix", "--absolute-git-dir", "--git-common-dir")
    try:
        said = os.fsdecode(git("rev-parse", *asked, folder=place)).splitlines()
    except ToolError as error:
        if any("not a git repository" in line for line in error.lines):
            return None
        raise unusable(place, label, error) from error
    if len(said) != 3 or said[0]:  # a prefix: the repository is another folder's, further up
        return None
    return Path(said[1]), (place / said[2]).resolve()


def _versioned(place: Path, own: Path, common: Path, scratch: Path) -> Iterable[bytes]:
    shadow = scratch / "shadow"
    shutil.rmtree(shadow, ignore_errors=True)
    shadow.mkdir()
    (shadow / "HEAD").write_text("ref: refs/heads/none\n")
    (shadow / "commondir").write_bytes(os.fsencode(common) + b"\n")
    for path in (own / "index", *own.glob("sharedindex.*")):
        if path.exists():
            shutil.copyfile(path, shadow / path.name)
    environment = {"GIT_DIR": str(shadow), "GIT_WORK_TREE": str(place)}
    staged = git("ls-files", "-z", "--stage", folder=place, environment=environment)
    others = git(
        "ls-files", "-z", "--others", "--exclude-standard", folder=place, environment=environment
    )
    yield from (entry.split(b"\t", 1)[1] for entry in staged.split(b"\0") if entry)
    yield from others.split(b"\0")


def _unversioned(source: Store, place: Path, scratch: Path) -> Iterable[bytes]:
    def others(*words: str) -> list[bytes]:
        said = source.git(
            "ls-files", "-z", "--others", "--exclude-standard", *words,
            work_tree=place, index=scratch / "no.index",
        )  # fmt: skip
        return said.split(b"\0")

    if b"Makefile" in others("--", "Makefile"):
        return others()
    # Debian's tree ignores all that lies at its top, for there it is not in the repository.
    ignored = (place / ".gitignore").read_text(errors="surrogateescape")
    return others(*(f"--exclude={rule}" for rule in top_rules(ignored)))


def top_rules(ignored: str) -> tuple[str, ...]:
    """A ``.gitignore`` less the rule that ignores everything at the top, for the top alone.

    What git is told on its command line comes before each ``.gitignore``; with rules for the
    top only, those further down keep their order among themselves.
    """
    rules = ["!/*"]
    for line in ignored.splitlines():
        rule = line.rstrip()
        if not rule or rule.startswith("#") or rule in _EVERYTHING:
            continue
        sign, name = ("!", rule[1:]) if rule.startswith("!") else ("", rule)
        below = name.removeprefix("/")
        if "/" not in below.removesuffix("/"):
            rules.append(f"{sign}/{below}")
    return tuple(rules)


def _present(place: Path, named: Iterable[bytes]) -> Listing:
    """Those of ``named`` that are files or symbolic links and really lie below ``place``.

    A tracked file may be gone, or a folder may stand (or be linked to) where it was.
    """
    base = os.fsencode(place)
    folders: dict[bytes, bool] = {b"": True}

    def is_folder(path: bytes) -> bool:
        known = folders.get(path)
        if known is None:
            known = folders[path] = is_folder(_above(path)) and stat.S_ISDIR(_mode(path))
        return known

    def _mode(path: bytes) -> int:
        try:
            return os.lstat(base + b"/" + path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return 0

    paths: dict[bytes, None] = {}
    nested: list[str] = []
    for path in named:
        if path.endswith(b"/"):
            nested.append(os.fsdecode(path))
        elif path and is_folder(_above(path)):
            mode = _mode(path)
            if stat.S_ISREG(mode) or stat.S_ISLNK(mode):
                paths[path] = None
            elif stat.S_ISDIR(mode) and os.path.lexists(base + b"/" + path + b"/.git"):
                nested.append(os.fsdecode(path) + "/")
    return Listing(paths, tuple(nested))


def _above(path: bytes) -> bytes:
    return path.rpartition(b"/")[0]
