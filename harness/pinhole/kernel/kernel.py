# SPDX-License-Identifier: GPL-2.0-only
"""A recipe becomes a bootable kernel: each kind of recipe by its own file."""

from __future__ import annotations

from pinhole.kernel import build, debian, given
from pinhole.kernel.bootable import Kernel
from pinhole.kernel.recipe import BuildRecipe, DebianRecipe, ImageRecipe, KernelRecipe
from pinhole.progress import Progress

__all__ = ["Kernel", "resolve"]


def resolve(recipe: KernelRecipe, progress: Progress, *, offline: bool = False) -> Kernel:
    """The kernel that ``recipe`` means, fetched or built into the cache if it has to be.

    ``offline`` never touches the network. Raises ``KernelError`` if the kernel cannot be had or
    is none, ``HostError`` if this host lacks a tool or disk.
    """
    match recipe:
        case DebianRecipe():
            return debian.resolve(recipe, progress, offline=offline)
        case ImageRecipe():
            return given.resolve(recipe)
        case BuildRecipe():
            return build.resolve(recipe, progress, offline=offline)
