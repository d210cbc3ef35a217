# SPDX-License-Identifier: GPL-2.0-only
"""Kernel sources: which source a recipe names, as values, and what each is right now."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pinhole.kernel import source_debian, source_git, source_tarball, source_tree
from pinhole.kernel.identified import Identified
from pinhole.progress import Progress

__all__ = [
    "DebianSource",
    "GitSource",
    "Identified",
    "KernelSource",
    "TarballSource",
    "TreeSource",
    "identify",
]


@dataclass(frozen=True)
class DebianSource:
    """The newest source of ``series`` (``6.12``) that Debian ships, with Debian's patches."""

    series: str

    @property
    def label(self) -> str:
        """How tables and messages call it."""
        return f"source:debian:{self.series}"


@dataclass(frozen=True)
class GitSource:
    """What ``ref`` (a branch, tag or commit) is in the repository at ``location``, path or URL."""

    location: str
    ref: str

    @property
    def label(self) -> str:
        """How tables and messages call it."""
        return f"git:{source_git.shown(self.location)}@{self.ref}"


@dataclass(frozen=True)
class TreeSource:
    """A developer's working tree as it lies there: tracked files, and those not ignored."""

    path: Path

    @property
    def label(self) -> str:
        """How tables and messages call it."""
        return f"tree:{self.path.name}"


@dataclass(frozen=True)
class TarballSource:
    """A tarball with one kernel tree in it; ``sha256`` is that of the file, in hex."""

    path: Path
    sha256: str

    @property
    def label(self) -> str:
        """How tables and messages call it."""
        return f"tarball:{self.path.name}"


KernelSource = DebianSource | GitSource | TreeSource | TarballSource


def identify(source: KernelSource, progress: Progress, *, offline: bool) -> Identified:
    """What ``source`` is now, fetched into the cache if it has to be.

    ``offline`` never touches the network. Raises ``KernelError`` if the source cannot be had or
    is no kernel's, ``HostError`` if this host lacks a tool or disk.
    """
    match source:
        case DebianSource():
            return source_debian.identify(source.series, source.label, progress, offline=offline)
        case GitSource():
            return source_git.identify(
                source.location, source.ref, source.label, progress, offline=offline
            )
        case TreeSource():
            return source_tree.identify(source.path, source.label, progress)
        case TarballSource():
            return source_tarball.identify(source.path, source.sha256, source.label)
