# SPDX-License-Identifier: GPL-2.0-only
"""A kernel that the user gives as files: is it one, and do its parts belong together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from pinhole.errors import KernelError
from pinhole.kernel import bzimage, kconfig
from pinhole.kernel.bootable import Kernel, upstream_version
from pinhole.kernel.manifest import file_digest
from pinhole.kernel.modules import ModuleTree
from pinhole.kernel.recipe import ImageRecipe


def resolve(recipe: ImageRecipe) -> Kernel:
    """The kernel of ``recipe``; raises ``KernelError`` naming the file that is wrong."""
    image = bzimage.read(recipe.image)
    modules: Path | None
    if recipe.modules is not None:
        modules = _modules(recipe.modules, image.release)
    else:
        modules = _modules_beside(recipe.image, image.release)
    config, config_source = _config(recipe, image, modules)
    return Kernel(
        label=recipe.label,
        release=image.release,
        version=upstream_version(image.release, image.banner),
        image=image.path,
        modules=modules,
        config=config,
        key=_key(image.path, modules, config),
        origin=f"{image.path} ({image.banner}), configuration: {config_source}",
    )


def _config(
    recipe: ImageRecipe, image: bzimage.BzImage, modules: Path | None
) -> tuple[Mapping[str, str] | None, str]:
    """The configuration and where it was found."""
    path = recipe.config or kconfig.beside(recipe.image, image.release)
    if path is None and modules is not None and (modules / "config").is_file():
        path = modules / "config"  # Fedora and Arch keep it there
    if path is not None:
        return kconfig.read(path), str(path)
    inside = kconfig.embedded(image)
    return inside, "not known" if inside is None else "in the image"


def _modules(given: Path, release: str) -> Path:
    """The folder of modules that ``given`` is or holds, for exactly this ``release``."""
    candidates = (given / "lib" / "modules" / release, given / release, given)
    folder = next((one for one in candidates if (one / "modules.dep").is_file()), None)
    if folder is None:
        raise KernelError(_no_modules(given, release))
    built_for = ModuleTree(folder).built_for()
    if built_for is not None and built_for != release:
        raise KernelError(
            f"the modules in {folder} are for {built_for}, the kernel is {release}; give the "
            "modules that were built with it"
        )
    return folder.absolute()


def _modules_beside(image: Path, release: str) -> Path | None:
    """The modules of an installed kernel: ``/boot/vmlinuz-R`` has its own in ``/lib/modules/R``."""
    folder = image.absolute().parent.parent / "lib" / "modules" / release
    return folder if (folder / "modules.dep").is_file() else None


def _no_modules(given: Path, release: str) -> str:
    if not given.is_dir():
        return f"modules: {given} is not a folder; give lib/modules/{release} or what holds it"
    for place in (given / "lib" / "modules", given):
        others = sorted(one.parent.name for one in place.glob("*/modules.dep"))
        if others:
            return f"{place} has modules for {', '.join(others)}, but the kernel is {release}"
    return (
        f"{given} holds no modules with depmod's files for {release} (no modules.dep); run make "
        "modules_install, or depmod -b"
    )


def _key(image: Path, modules: Path | None, config: Mapping[str, str] | None) -> str:
    """Addresses the image, the configuration and which modules there are.

    What the modules hold is addressed by the boot image that takes some of them.
    """
    parts = [
        file_digest(image),
        file_digest(modules / "modules.dep") if modules else "",
        repr(sorted(config.items())) if config is not None else "",
    ]
    return "image-" + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]
