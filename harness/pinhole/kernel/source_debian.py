# SPDX-License-Identifier: GPL-2.0-only
"""Debian's kernel source: the newest linux-source package of a series, its tarball in the cache."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from pinhole.errors import KernelError
from pinhole.kernel import cache, debian_package
from pinhole.kernel.bootable import upstream_version
from pinhole.kernel.debian_package import Cached, Wanted
from pinhole.kernel.identified import Fill, Identified, empty
from pinhole.kernel.suites import SERIES
from pinhole.kernel.tool import ToolError, run
from pinhole.progress import Progress

_UNPACK_SECONDS = 1200.0
_UNPACKED = 1
"""The layout of an entry; another number makes other keys."""

_TARBALL = "linux-source.tar.xz"
_FACTS = "source.json"
_WHOLE = (_TARBALL, _FACTS)


def identify(series: str, label: str, progress: Progress, *, offline: bool) -> Identified:
    """The newest source of the series: cached, or fetched first.

    Raises ``KernelError`` if there is none to be had, ``HostError`` for a full disk or a missing
    tool. ``offline`` never asks a mirror.
    """
    # The tarball's 150 MB are digested when they are unpacked, not each time they are named.
    wanted = _wanted(series, label, compared=(_FACTS,))
    cached = debian_package.resolve(wanted, progress, offline=offline)
    package, key = cached.package, wanted.key(cached.package)
    return Identified(
        key=key,
        lineage=key,
        version=upstream_version(package.version),
        origin=f"Debian package {package.name} {package.version}",
        trusted=True,
        fill=_fill(wanted, cached, offline=offline),
    )


def _wanted(series: str, label: str, compared: tuple[str, ...]) -> Wanted:
    name = f"linux-source-{series}"
    return Wanted(
        label=label,
        series=series,
        thing="kernel source",
        otherwise="give a source as tarball:, tree: or git:",
        alternatives=SERIES[series],
        name=re.compile(re.escape(name)),
        prefix=name,
        answer=f"source-{series}",
        kind="source",
        layout=f"debian{_UNPACKED}",
        facts=_FACTS,
        digested=_WHOLE,
        compared=compared,
        unpack=_keep_tarball,
    )


def _keep_tarball(archive: Path, folder: Path) -> None:
    whole = folder / "package"
    run(["dpkg-deb", "-x", str(archive), str(whole)], package="dpkg", seconds=_UNPACK_SECONDS)
    tarballs = sorted((whole / "usr" / "src").glob("linux-source-*.tar.xz"))
    if len(tarballs) != 1:
        raise KernelError(f"{archive.name} holds no kernel source; report this as a bug")
    tarballs[0].rename(folder / _TARBALL)
    shutil.rmtree(whole)


def _fill(wanted: Wanted, cached: Cached, *, offline: bool) -> Fill:
    def fill(folder: Path, progress: Progress) -> None:
        tarball = _undamaged(wanted, cached, progress, offline=offline) / _TARBALL
        empty(folder)
        with progress.step(f"unpacking {cached.package.name} {cached.package.version}"):
            try:
                with cache.full_disk_named(wanted.label, folder):
                    _unpack(tarball, folder)
            except ToolError as error:
                raise KernelError(
                    f"{wanted.label} could not be unpacked: {error}\nRemove {tarball.parent} and "
                    "try again"
                ) from error

    return fill


def _undamaged(wanted: Wanted, cached: Cached, progress: Progress, *, offline: bool) -> Path:
    """The entry with all its digests compared, fetched again if they are wrong."""
    key = wanted.key(cached.package)
    found = cache.find(wanted.kind, key, _WHOLE)
    if found is not None:
        return found
    strict = _wanted(wanted.series, wanted.label, compared=_WHOLE)
    again = debian_package.resolve(strict, progress, offline=offline)
    if strict.key(again.package) != key:
        raise KernelError(
            f"the cached {cached.package.name} {cached.package.version} was damaged and the newest "
            f"is {again.package.version} by now; run again to take that"
        )
    return again.folder


def _unpack(tarball: Path, folder: Path) -> None:
    """Unpacks what Debian signed: tar takes 10 s for it where Python's tarfile takes 30."""
    run(
        [
            "tar",
            "--extract",
            "--file", str(tarball),
            "--directory", str(folder),
            "--strip-components=1",
            "--xz",
            "--no-same-owner",
            # An archive's old mtimes would hide from make that this content is new here.
            "--touch",
        ],
        package="tar",
        seconds=_UNPACK_SECONDS,
    )  # fmt: skip
