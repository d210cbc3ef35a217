# SPDX-License-Identifier: GPL-2.0-only
"""From the command line's words to kernels and a ``Launch``: what run, shell and pytest share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pinhole.guest.guest import Launch
from pinhole.kernel.kernel import Kernel, resolve
from pinhole.kernel.recipe import KernelRecipe
from pinhole.machine.probe import AcceleratorChoice, choose
from pinhole.machine.process import find_qemu
from pinhole.progress import Progress


@dataclass(frozen=True)
class LaunchRequest:
    """The escape hatches of the command line; see ``pinhole run --help``."""

    accel: str | None = None
    qemu: Path | None = None
    qemu_arguments: tuple[str, ...] = ()
    append: tuple[str, ...] = ()
    gdb: int | None = None
    patience: float = 1.0


@dataclass(frozen=True)
class Prepared:
    """Kernels by recipe, how machines are started, and why with that accelerator."""

    kernels: dict[KernelRecipe, Kernel]
    launch: Launch
    choice: AcceleratorChoice


def prepare(
    recipes: Iterable[KernelRecipe],
    request: LaunchRequest,
    progress: Progress,
    *,
    offline: bool = False,
) -> Prepared:
    """Finds QEMU, gets the kernels, and chooses the accelerator by booting the first of them."""
    qemu = find_qemu(request.qemu)
    kernels = {
        recipe: resolve(recipe, progress, offline=offline) for recipe in dict.fromkeys(recipes)
    }
    first = next(iter(kernels.values()))
    choice = choose(request.accel, qemu, first.image, progress)
    launch = Launch(
        qemu=qemu,
        accelerator=choice.accelerator,
        append=request.append,
        qemu_arguments=request.qemu_arguments,
        gdb=request.gdb,
        patience=request.patience,
    )
    return Prepared(kernels, launch, choice)
