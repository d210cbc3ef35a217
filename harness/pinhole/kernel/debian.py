# SPDX-License-Identifier: GPL-2.0-only
"""Debian's ready-made kernels: the newest of a series, from its linux-image package."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from pinhole.errors import KernelError
from pinhole.kernel import apt, bzimage, debian_package, kconfig
from pinhole.kernel.bootable import Kernel, upstream_version
from pinhole.kernel.debian_package import Cached, Wanted
from pinhole.kernel.recipe import DebianRecipe
from pinhole.kernel.suites import SERIES
from pinhole.kernel.tool import run
from pinhole.progress import Progress

_UNPACK_SECONDS = 600.0
_UNPACKED = 1
"""The layout of an entry; another number makes other keys."""

_DIGESTED = ("vmlinuz", "config", "kernel.json")


def resolve(recipe: DebianRecipe, progress: Progress, *, offline: bool) -> Kernel:
    """The newest kernel of the series: cached, or fetched first.

    Raises ``KernelError`` if there is none to be had, ``HostError`` for a full disk or a missing
    tool. ``offline`` never asks a mirror.
    """
    wanted = _wanted(recipe)
    cached = debian_package.resolve(wanted, progress, offline=offline)
    return _kernel(recipe.label, wanted.key(cached.package), cached)


def _wanted(recipe: DebianRecipe) -> Wanted:
    series = recipe.series
    return Wanted(
        label=recipe.label,
        series=series,
        thing="kernel",
        otherwise="give a kernel as image: PATH (and modules: PATH)",
        alternatives=SERIES[series],
        name=re.compile(
            rf"linux-image-{re.escape(series)}\.\d+(-\d+|\+deb\d+(u\d+)?)-{apt.ARCHITECTURE}"
        ),
        prefix=f"linux-image-{series}.",
        answer=series,
        kind="kernel",
        layout=f"debian{_UNPACKED}",
        facts="kernel.json",
        digested=_DIGESTED,
        compared=_DIGESTED,
        unpack=unpack,
    )


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


def _kernel(label: str, key: str, cached: Cached) -> Kernel:
    image = bzimage.read(cached.folder / "vmlinuz")
    return Kernel(
        label=label,
        release=image.release,
        version=upstream_version(image.release, image.banner),
        image=image.path,
        modules=cached.folder / "lib" / "modules" / image.release,
        config=kconfig.read(cached.folder / "config"),
        key=key,
        origin=f"Debian package {cached.package.name} {cached.package.version}",
    )
