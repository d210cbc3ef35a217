# SPDX-License-Identifier: GPL-2.0-only
"""Kernel and needs become an initramfs: userland, the guest's programs, modules, configuration.

The archive is made in memory in well under a second and then addressed by its own content, so
the same parts give the same file, byte for byte, on every host and in every folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pinhole.boot.cpio import Archive
from pinhole.boot.programs import PROGRAMS, build_programs
from pinhole.boot.userland import add_busybox, add_dropbear
from pinhole.errors import BootImageError
from pinhole.kernel import cache
from pinhole.kernel.bootable import Kernel
from pinhole.kernel.modules import ModuleTree, canonical, decompressed
from pinhole.needs import Needs
from pinhole.progress import Progress

GUEST_ADDRESS = "10.0.2.15/24"
"""What QEMU's user networking gives its first guest (qemu(1), ``-netdev user``)."""

_FOLDERS = {"proc": 0o555, "sys": 0o555, "dev": 0o755, "run": 0o755, "tmp": 0o1777,
            "root": 0o700, "root/.ssh": 0o700, "var/log": 0o755}  # fmt: skip
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "etc/shells": "/bin/sh\n",
    "etc/hosts": "127.0.0.1 localhost\n",
}


@dataclass(frozen=True)
class BootImage:
    """What QEMU loads for ``kernel``: its image and this ``initramfs``, without any keys.

    ``loaded`` are the modules that init loads, in order; ``key`` addresses kernel and initramfs.
    """

    kernel: Kernel
    initramfs: Path
    loaded: tuple[str, ...]
    key: str


@dataclass(frozen=True)
class _Module:
    """A module in the image: its path in the kernel's folder, and what init passes to it."""

    path: str
    parameters: str


def build(kernel: Kernel, needs: Needs, progress: Progress) -> BootImage:
    """The boot image of ``kernel`` with all that ``needs`` names.

    Raises ``BootImageError`` naming the module that the kernel has neither built in nor as a
    file, ``HostError`` for a missing package or a full disk.
    """
    archive = Archive()
    for path, mode in _FOLDERS.items():
        archive.folder(path, mode)
    for path, text in _FILES.items():
        archive.file(path, text.encode())
    archive.character_device("dev/console", 5, 1, 0o600)
    archive.character_device("dev/null", 1, 3, 0o666)
    programs = build_programs(progress)
    for name in PROGRAMS:
        archive.file("init" if name == "init" else f"usr/bin/{name}",
                     (programs / name).read_bytes(), 0o755)  # fmt: skip
    add_dropbear(archive)
    add_busybox(archive)
    loaded = _add_modules(archive, kernel, needs, progress)
    archive.file("etc/pinhole/init.conf", _configuration(kernel, needs, loaded).encode())
    return _kept(kernel, archive.to_bytes(), loaded, progress)


def _kept(
    kernel: Kernel, content: bytes, loaded: tuple[_Module, ...], progress: Progress
) -> BootImage:
    digest = hashlib.sha256(content).hexdigest()

    def make(folder: Path) -> None:
        (folder / "initramfs").write_bytes(content)

    folder = cache.entry(
        "initramfs",
        digest[:40],
        make,
        what=f"the boot image of {kernel.label}",
        digested=("initramfs",),
        needs_bytes=len(content),
        progress=progress,
    )
    return BootImage(
        kernel=kernel,
        initramfs=folder / "initramfs",
        loaded=tuple(canonical(module.path) for module in loaded),
        key=hashlib.sha256(f"{kernel.key}\n{digest}".encode()).hexdigest()[:40],
    )


def _add_modules(
    archive: Archive, kernel: Kernel, needs: Needs, progress: Progress
) -> tuple[_Module, ...]:
    """Puts the modules into the archive; returns those that init loads, in that order."""
    parameters = _parameters((*needs.modules, *needs.optional_modules))
    if kernel.modules is None:
        _check_without_modules(kernel, needs, progress)
        return ()
    tree = ModuleTree(kernel.modules)
    optional = [name for name in map(canonical_word, needs.optional_modules) if tree.has(name)]
    required = [canonical_word(text) for text in needs.modules]
    try:
        first = tree.loading_order((*required, *optional))
        both = tree.loading_order((*required, *optional, *needs.runtime_modules))
    except KeyError as error:
        raise BootImageError(
            f"{kernel.label} ({kernel.release}) has no module {error.args[0]!r}, neither built in "
            f"nor in {kernel.modules}"
        ) from error
    root = f"lib/modules/{kernel.release}"
    for path in both:
        archive.file(f"{root}/{decompressed(path)}", tree.content(path))
    for name, text in tree.reduced_index(both).items():
        archive.file(f"{root}/{name}", text.encode())
    return tuple(_Module(path, parameters.get(canonical(path), "")) for path in first)


def canonical_word(text: str) -> str:
    """The module's name in ``NAME [PARAMETERS]``, as the kernel has it."""
    return canonical(text.split(maxsplit=1)[0]) if text.strip() else text


def _parameters(texts: tuple[str, ...]) -> Mapping[str, str]:
    """What each module is loaded with; two needs that disagree are an error."""
    known: dict[str, str] = {}
    for text in texts:
        name, parameters = canonical_word(text), " ".join(text.split()[1:])
        if parameters and known.setdefault(name, parameters) != parameters:
            raise BootImageError(
                f"the module {name} is to be loaded with {known[name]!r} and with {parameters!r}; "
                "run these scenarios apart"
            )
    return known


def _check_without_modules(kernel: Kernel, needs: Needs, progress: Progress) -> None:
    """A kernel that came without modules must have everything built in."""
    if kernel.config is None:
        progress.note(
            f"{kernel.label}: neither its configuration nor its modules are known; taking all "
            "that is needed to be built in"
        )
        return
    apart = sorted(option for option in needs.options if kernel.config.get(option) == "m")
    if apart:
        raise BootImageError(
            f"{kernel.label} ({kernel.release}) has {', '.join(apart)} as modules, but no modules "
            "were given with its image; add modules: PATH"
        )


def _configuration(kernel: Kernel, needs: Needs, loaded: tuple[_Module, ...]) -> str:
    """What init reads (guest/init/conf.c): a verb and its arguments a line."""
    lines = [
        f"module /lib/modules/{kernel.release}/{decompressed(module.path)} {module.parameters}"
        for module in loaded
    ]
    lines += [f"sysctl {name} {value}" for name, value in needs.sysctls]
    lines += ["hostname pinhole", f"address eth0 {GUEST_ADDRESS}"]
    for line in lines:
        if not line.isprintable():
            raise BootImageError(f"{line!r} cannot be a line of the guest's configuration")
    return "".join(f"{line.rstrip()}\n" for line in lines)
