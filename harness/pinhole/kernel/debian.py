# SPDX-License-Identifier: GPL-2.0-only
"""Debian's ready-made kernels: find the newest of a series, fetch it, unpack it, remember it.

Which package is newest is asked at most once a day; a kernel that is in the cache goes on
working when the mirror is out of reach or has dropped the suite.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pinhole.errors import KernelError
from pinhole.kernel import apt, bzimage, cache, kconfig
from pinhole.kernel.answer import Answer
from pinhole.kernel.apt import Package, PrivateApt
from pinhole.kernel.bootable import Kernel, upstream_version
from pinhole.kernel.recipe import DebianRecipe
from pinhole.kernel.suites import SERIES, Alternatives
from pinhole.kernel.tool import ToolError, run
from pinhole.progress import Progress

_ASK_AGAIN_SECONDS = 24 * 3600.0
_TRY_AGAIN_SECONDS = 3600.0
"""After a mirror failed: a host without network must not wait for it in every run."""

_UNPACK_SECONDS = 600.0
_UNPACKED = 1
"""The layout of an entry; another number makes other keys."""

_DIGESTED = ("vmlinuz", "config", "kernel.json")


@dataclass(frozen=True)
class _Cached:
    """An undamaged kernel in the cache, and the package it was."""

    folder: Path
    package: Package


def resolve(recipe: DebianRecipe, progress: Progress, *, offline: bool) -> Kernel:
    """The newest kernel of the series: cached, or fetched first.

    Raises ``KernelError`` if there is none to be had, ``HostError`` for a full disk or a missing
    tool. ``offline`` never asks a mirror.
    """
    series = recipe.series
    ready = _ready(series, offline=offline, progress=progress)
    if ready is None:
        with cache.lock("debian", series, what=f"Debian's {series} kernel", progress=progress):
            # Another process may have asked and fetched while this one waited.
            ready = _ready(series, offline=offline, progress=progress)
            if ready is None:
                ready = _asked(series, progress)
    return _kernel(recipe.label, ready)


def _ready(series: str, *, offline: bool, progress: Progress) -> _Cached | None:
    """The cached kernel if it can be used without asking."""
    cached = _newest_cached(series)
    if offline:
        if cached is None:
            raise KernelError(
                f"debian:{series} is not in the cache (or damaged there) and this run is offline; "
                "run once with a network, or give a kernel as image: PATH"
            )
        return cached
    answer = Answer.read(series)
    if cached is None or answer is None:
        return None
    if answer.age(answer.asked) < _ASK_AGAIN_SECONDS and answer.sha256 == cached.package.sha256:
        return cached
    if answer.age(answer.failed) < _TRY_AGAIN_SECONDS:
        progress.note(
            f"debian:{series}: the mirror failed less than an hour ago; using the cached "
            f"{cached.package.name} {cached.package.version}"
        )
        return cached
    return None


def _asked(series: str, progress: Progress) -> _Cached:
    """The newest kernel after asking the mirror; the cached one if that fails."""
    cached = _newest_cached(series)
    try:
        return _ask_and_fetch(series, cached, progress)
    except (KernelError, ToolError) as error:
        if cached is None:
            if isinstance(error, KernelError):
                raise
            raise KernelError(
                f"debian:{series} could not be fetched: {error}\nTry again later, or give a kernel "
                "as image: PATH"
            ) from error
        Answer.failure(series).write(series)
        progress.note(
            f"{error}\nUsing the cached {cached.package.name} {cached.package.version} instead."
        )
        return cached


def _ask_and_fetch(series: str, cached: _Cached | None, progress: Progress) -> _Cached:
    with cache.scratch("debian", series) as folder:
        with progress.step(f"asking for Debian's newest {series} kernel"):
            private, package, complaints = _newest_offered(series, SERIES[series], folder)
        if complaints:
            reason = "; ".join(complaints)
            if cached is not None:  # what another suite has may well be older than this
                raise KernelError(f"debian:{series}: {reason}")
            progress.note(f"debian:{series}: {reason}; taking {package.name} {package.version}")
        made = cache.entry(
            "kernel",
            _key(package),
            _make(series, private, package, progress),
            what=f"{package.name} {package.version}",
            digested=_DIGESTED,
            needs_bytes=package.size_bytes + package.installed_bytes + (64 << 20),
            progress=progress,
        )
    if not complaints:
        Answer.success(package.sha256).write(series)
    return _Cached(made, package)


def _newest_offered(
    series: str, alternatives: Alternatives, folder: Path
) -> tuple[PrivateApt, Package, list[str]]:
    """The newest package, the apt that can fetch it, and what went wrong before it was found."""
    mirror = apt.host_mirror()
    name = re.compile(
        rf"linux-image-{re.escape(series)}\.\d+(-\d+|\+deb\d+(u\d+)?)-{apt.ARCHITECTURE}"
    )
    complaints: list[str] = []
    for number, suites in enumerate(alternatives):
        named = " and ".join(suite.name for suite in suites)
        part = folder / f"apt-{number}"
        part.mkdir()
        private = PrivateApt(part, mirror, suites)
        try:
            private.update()
        except ToolError as error:
            complaints.append(_complaint(named, error))
            continue
        package = private.newest(name, f"linux-image-{series}.")
        if package is not None:
            return private, package, complaints
        complaints.append(f"{named} has no kernel {series}")
    raise KernelError(
        f"debian:{series} is not to be had from the host's Debian mirror: {'; '.join(complaints)}; "
        "give a kernel as image: PATH (and modules: PATH) instead"
    )


def _complaint(suite: str, error: ToolError) -> str:
    said = [line for line in error.lines if line.startswith("E: ")] or [str(error)]
    if any("does not have a Release file" in line for line in error.lines):
        return f"the mirror does not have the suite {suite} (any more)"
    if any("not signed" in line or "GPG error" in line for line in error.lines):
        return f"the signature of {suite} is not Debian's ({said[0]})"
    return f"the mirror did not answer for {suite} ({said[0]})"


def _make(
    series: str, private: PrivateApt, package: Package, progress: Progress
) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        megabytes = package.size_bytes // 1_000_000
        with progress.step(f"fetching {package.name} {package.version} ({megabytes} MB)"):
            archive = private.fetch(package, folder)
        with progress.step(f"unpacking {package.name} {package.version}"):
            unpack(archive, folder)
        archive.unlink()
        facts = {"series": series, **vars(package)}
        (folder / "kernel.json").write_text(json.dumps(facts, indent=1))

    return make


def unpack(archive: Path, folder: Path) -> None:
    """Puts the kernel of a linux-image package into ``folder``: vmlinuz, config, lib/modules.

    Raises ``KernelError`` if the package holds none, ``ToolError`` if it cannot be unpacked.
    """
    whole = folder / "package"
    run(["dpkg-deb", "-x", str(archive), str(whole)], package="dpkg", seconds=_UNPACK_SECONDS)
    images = sorted((whole / "boot").glob("vmlinuz-*"))
    places = (whole / "lib" / "modules", whole / "usr" / "lib" / "modules")
    modules = next((place for place in places if place.is_dir()), None)
    if len(images) != 1 or modules is None:
        raise KernelError(f"{archive.name} holds no kernel with modules; report this as a bug")
    release = images[0].name.removeprefix("vmlinuz-")
    images[0].rename(folder / "vmlinuz")
    (whole / "boot" / f"config-{release}").rename(folder / "config")
    (folder / "lib").mkdir()
    modules.rename(folder / "lib" / "modules")
    shutil.rmtree(whole)
    # Debian's package runs depmod when it is installed; it ships no modules.dep.
    run(["depmod", "-b", str(folder), release], package="kmod", seconds=_UNPACK_SECONDS)


def _kernel(label: str, cached: _Cached) -> Kernel:
    image = bzimage.read(cached.folder / "vmlinuz")
    return Kernel(
        label=label,
        release=image.release,
        version=upstream_version(image.release, image.banner),
        image=image.path,
        modules=cached.folder / "lib" / "modules" / image.release,
        config=kconfig.read(cached.folder / "config"),
        key=_key(cached.package),
        origin=f"Debian package {cached.package.name} {cached.package.version}",
    )


def _key(package: Package) -> str:
    return f"debian{_UNPACKED}-{package.sha256[:40]}"


def _newest_cached(series: str) -> _Cached | None:
    found: dict[Package, Path] = {}
    for key in cache.keys("kernel"):
        folder = cache.find("kernel", key, _DIGESTED) if key.startswith("debian") else None
        if folder is not None:
            facts = json.loads((folder / "kernel.json").read_bytes())
            if facts.pop("series") == series:
                found[Package(**facts)] = folder
    newest = apt.newest(list(found))
    return _Cached(found[newest], newest) if newest else None
