# SPDX-License-Identifier: GPL-2.0-only
"""A built kernel in the cache: what the entry holds, written and read in one place."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationError

from pinhole.errors import KernelError
from pinhole.kernel import bzimage, kconfig
from pinhole.kernel.bootable import Kernel
from pinhole.yamlfile import StrictModel

KIND = "kernel"
DIGESTED = ("vmlinuz", "config", "kernel.json")
PREFIX = "build"
"""Keys of built kernels begin with it, those of Debian's ready ones with ``debian``."""


class Facts(StrictModel):
    """How a kernel was built. ``cpu_seconds`` are user + system of make alone."""

    version: str
    source: str
    source_key: str
    variant: str | None
    patches: tuple[str, ...]
    toolchain: str
    confined: bool
    incremental: bool
    steps: int
    cpu_seconds: float
    seconds: float
    image_sha256: str


def write(folder: Path, facts: Facts) -> None:
    """Writes the facts into the entry that is being made."""
    (folder / "kernel.json").write_text(facts.model_dump_json(indent=1))


def facts(folder: Path) -> Facts:
    """The facts of an entry; ``KernelError`` if they cannot be read."""
    try:
        return Facts.model_validate_json((folder / "kernel.json").read_bytes())
    except (OSError, ValidationError) as error:
        raise KernelError(
            f"the cached kernel {folder.name} cannot be read ({error}); remove it: pinhole kernel "
            f"prune --key {folder.name}"
        ) from error


def load(folder: Path, label: str, variant: str | None, *, note_use: bool = True) -> Kernel:
    """The kernel of an entry, as ``label`` calls it; its use is noted for ``prune``."""
    found = facts(folder)
    image = bzimage.read(folder / "vmlinuz")
    modules = folder / "lib" / "modules" / image.release
    if note_use:
        os.utime(folder)
    patches = f", {len(found.patches)} patch files" if found.patches else ""
    return Kernel(
        label=label,
        release=image.release,
        version=found.version,
        image=image.path,
        modules=modules if modules.is_dir() else None,
        config=kconfig.read(folder / "config"),
        key=folder.name,
        origin=f"built from {found.source}{patches}, {found.toolchain.splitlines()[0]}",
        variant=variant,
    )
