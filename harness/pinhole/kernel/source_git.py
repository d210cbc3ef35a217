# SPDX-License-Identifier: GPL-2.0-only
"""A kernel from a git repository: on this host, read where it lies, or fetched from a server.

Of a server's history only the commit that is wanted comes, into a store in the cache. A repository
on this host is only read: which commit a name means is asked there, the files come out of its
objects through a store of ours.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from pinhole.errors import KernelError
from pinhole.kernel import cache, makefile
from pinhole.kernel.git import Store, git, lay_out, store
from pinhole.kernel.identified import Fill, Identified
from pinhole.kernel.tool import ToolError
from pinhole.progress import Progress

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|[^/:]+:(?!:)")
"""``https://…``, and what git takes for ssh: ``host:path``."""
_WORD = re.compile(r"(://[^/@]*):[^/@]*@")
"""A user's password in a URL."""

_REF = re.compile(r"[^-:\s\x00-\x1f\x7f][^:\s\x00-\x1f\x7f]*")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REACH = ("GIT_ASKPASS", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH")
"""What of the user's environment says how to reach a server, and nothing else."""


@dataclass(frozen=True)
class _Found:
    commit: str
    tree: str


def identify(
    location: str, ref: str, label: str, progress: Progress, *, offline: bool
) -> Identified:
    """What ``ref`` is in the repository at ``location``, fetched if it is elsewhere.

    ``offline`` takes what was fetched before. Raises ``KernelError`` if there is no such
    repository or commit, or it is no kernel; ``HostError`` for a full disk or a missing git.
    """
    if _REF.fullmatch(ref) is None:
        raise KernelError(f"{label}: {ref!r} is no name of a commit; give a branch, tag or commit")
    if is_url(location):
        source = store(f"url-{_digest(location)}", f"what was fetched from {location}", progress)
        with source.held(progress):
            found = _fetched(source, location, ref, label, progress, offline=offline)
            version = _version(source, found, label, progress)
    else:
        source = _local(Path(location), label, progress)
        found = _resolved(Path(location), ref, label)
        version = _version(source, found, label, progress)
    return Identified(
        key=f"tree-{found.tree}",
        lineage=f"git-{_digest(location)}",
        version=version,
        origin=f"git {shown(location)} {ref} ({found.commit[:12]})",
        trusted=False,
        fill=_fill(source, found, label),
    )


def is_url(location: str) -> bool:
    """Whether ``location`` is fetched from; else it is a path."""
    return _URL.match(location) is not None


def shown(location: str) -> str:
    """``location`` for people: reports are mailed, and a password is nobody's business."""
    return _WORD.sub(r"\1:***@", location)


def unusable(path: Path, label: str, error: ToolError) -> KernelError:
    """What git says when it does not want the repository at ``path``, with the way out."""
    if any("dubious ownership" in line or "unsafe repository" in line for line in error.lines):
        return KernelError(
            f"{label}: {path} belongs to another user, and git does not read such a repository "
            f"unasked; if you trust it: git config --global --add safe.directory {path}"
        )
    return KernelError(f"{label}: git cannot use the repository at {path}: {error}")


def _local(path: Path, label: str, progress: Progress) -> Store:
    """A store that reads the objects of the repository at ``path``; nothing is written there."""
    if not path.is_dir():
        raise KernelError(f"{label}: there is no folder {path}; give a repository's path or URL")
    asked = ("--show-prefix", "--show-object-format", "--git-path", "objects")
    try:
        said = os.fsdecode(git("rev-parse", *asked, folder=path)).splitlines()
    except ToolError as error:
        if any("not a git repository" in line for line in error.lines):
            said = []
        else:
            raise unusable(path, label, error) from error
    if len(said) != 3 or said[0]:  # a prefix: the repository is another folder's, further up
        raise KernelError(
            f"{label}: {path} is no git repository; give one's top folder, or take the files as "
            f"they are with tree: {path}"
        )
    form, objects = said[1], path / said[2]
    return store("objects", "git's own files", progress, form=form, objects=objects.resolve())


def _resolved(path: Path, ref: str, label: str) -> _Found:
    try:
        commit = _line(git("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", folder=path))
        tree = _line(git("rev-parse", "--verify", f"{commit}^{{tree}}", folder=path))
    except ToolError as error:
        raise KernelError(
            f"{label}: {path} has no commit {ref!r}; git -C {path} branch --all and git tag show "
            "what there is"
        ) from error
    return _Found(commit, tree)


def _fetched(
    source: Store, location: str, ref: str, label: str, progress: Progress, *, offline: bool
) -> _Found:
    kept = f"refs/fetched/{_digest(ref)}"
    before = _kept(source, kept)
    if offline or (before is not None and _COMMIT.fullmatch(ref)):  # a commit's name never moves
        if before is None:
            raise KernelError(
                f"{label} was never fetched (or is damaged in the cache) and this run is offline; "
                "run once with a network"
            )
        return before
    try:
        with (
            progress.step(f"fetching {ref} from {location}"),
            cache.full_disk_named(source.what, source.folder),
        ):
            _fetch(source, location, f"+{ref}:{kept}")
    except ToolError as error:
        if any("couldn't find remote ref" in line for line in error.lines):
            raise KernelError(
                f"{label}: the repository has no {ref!r}; git ls-remote {location} shows what "
                "there is"
            ) from error
        if before is None:
            raise KernelError(f"{label} could not be fetched: {error}") from error
        progress.note(f"{label} could not be fetched: {error}\nUsing what was fetched before.")
        return before
    found = _kept(source, kept)
    if found is None:
        raise KernelError(f"{label}: {ref!r} is no commit in {location}")
    return found


def _fetch(source: Store, location: str, refspec: str) -> None:
    source.git(
        "fetch",
        "--quiet",
        "--depth=1",
        "--no-tags",
        "--no-recurse-submodules",
        "--no-write-fetch-head",
        "--",
        location,
        refspec,
        user={name: os.environ[name] for name in _REACH if name in os.environ},
    )


def _kept(source: Store, name: str) -> _Found | None:
    try:
        commit = _line(source.git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"))
        return _Found(commit, _line(source.git("rev-parse", "--verify", f"{commit}^{{tree}}")))
    except ToolError:
        return None  # never fetched, or damaged: fetching mends both


def _version(source: Store, found: _Found, label: str, progress: Progress) -> str:
    try:
        names = source.git("ls-tree", "--name-only", found.tree, "Makefile")
        content = source.git("cat-file", "blob", f"{found.tree}:Makefile") if names else b""
    except ToolError as error:
        raise _damaged(source, label, error, progress) from error
    return makefile.version(content, label)


def _damaged(source: Store, label: str, error: ToolError, progress: Progress) -> KernelError:
    if source.objects is not None:
        return KernelError(
            f"{label}: the repository lacks objects (damaged, or a partial clone?): {error}\n"
            "git fsck there says more"
        )
    source.discard(progress)
    return KernelError(
        f"{label}: the copy in the cache was damaged and is taken away: {error}\n"
        "Run again to fetch it anew"
    )


def _fill(source: Store, found: _Found, label: str) -> Fill:
    def fill(folder: Path, progress: Progress) -> None:
        with source.held(progress), progress.step(f"laying out {label}"):
            try:
                lay_out(source, found.tree, folder, label)
            except ToolError as error:
                raise _damaged(source, label, error, progress) from error

    return fill


def _digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:20]


def _line(said: bytes) -> str:
    return said.decode().strip()
