# SPDX-License-Identifier: GPL-2.0-only
"""Builds kernels from source, once each: cached, incremental where a relative is built already.

The unpatched kernels of one lineage and configuration are built in one work tree, from content
to content. A patched one is built in a copy of that tree, so that nothing which a patch's build
does can reach another kernel; the copy goes when the kernel is in the cache, and stays after an
interruption, to go on from there.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pinhole.dirs import cache_dir, private_dir
from pinhole.errors import HostError, KernelError
from pinhole.kernel import build_files, bzimage, cache, ccache, kernel_entry
from pinhole.kernel.apply import apply
from pinhole.kernel.bootable import Kernel
from pinhole.kernel.build_plan import BuildPlan, plan_build
from pinhole.kernel.configure import configuration, configure
from pinhole.kernel.make import Built, Make
from pinhole.kernel.manifest import file_digest
from pinhole.kernel.patches import load_patches
from pinhole.kernel.recipe import BuildRecipe
from pinhole.kernel.sandbox import BUILD_FOLDER, Confinement, confinement, sees, why_not
from pinhole.kernel.tool import ToolError
from pinhole.kernel.worktree import KIND, WorkTree
from pinhole.progress import Progress

IMAGE = Path("arch/x86/boot/bzImage")
_MODULES = "pinhole-modules"
_BEGUN = Path("include/generated/autoconf.h")
"""What make writes first of all when it begins to build."""
_NEEDS_BYTES = 3 << 30
"""A source of 1.7 GB, its build folder of 0.4 GB without debug info, and some air."""


@dataclass(frozen=True)
class _Compiled:
    """A build folder that holds a finished kernel."""

    build: Path
    config: Mapping[str, str]
    version: str
    cost: Built
    seconds: float
    confined: bool
    incremental: bool

    def facts(self) -> dict[str, object]:
        """What a work tree remembers of it."""
        return {
            "version": self.version,
            "steps": self.cost.steps,
            "cpu_seconds": self.cost.cpu_seconds,
            "seconds": self.seconds,
            "confined": self.confined,
            "incremental": self.incremental,
        }

    @classmethod
    def again(cls, tree: WorkTree, facts: Mapping[str, Any]) -> _Compiled:
        """The kernel that ``tree`` holds, by what it remembers."""
        build = tree.folders.build
        return cls(
            build=build,
            config=configuration(build),
            version=str(facts["version"]),
            cost=Built(int(facts["steps"]), float(facts["cpu_seconds"])),
            seconds=float(facts["seconds"]),
            confined=bool(facts["confined"]),
            incremental=bool(facts["incremental"]),
        )


def resolve(recipe: BuildRecipe, progress: Progress, *, offline: bool) -> Kernel:
    """The kernel of ``recipe``, from the cache or built.

    Raises ``KernelError`` if it cannot be built, with the reason; ``HostError`` for a missing
    tool or a full disk; ``UsageError`` for what the recipe names and is not there.
    """
    plan = plan_build(recipe, progress, offline=offline)
    log = private_dir(cache_dir() / "logs") / f"{plan.key}.log"

    def make(folder: Path) -> None:
        work = _patched(plan, log, progress) if plan.patched else _unpatched(plan, log, progress)
        with work as compiled:
            _collect(plan, compiled, log, folder)

    folder = cache.entry(
        kernel_entry.KIND,
        plan.key,
        make,
        what=f"the kernel {recipe.label}",
        digested=kernel_entry.DIGESTED,
        needs_bytes=_NEEDS_BYTES,
        progress=progress,
    )
    return kernel_entry.load(folder, recipe.label, recipe.variant)


def rebuilt_digest(recipe: BuildRecipe, progress: Progress, *, offline: bool) -> str:
    """The SHA-256 of the image of ``recipe`` built from nothing, without ccache, and thrown away.

    What ``resolve`` gives must have the same: then neither the cache nor an incremental build
    shows in the kernel.
    """
    plan = plan_build(recipe, progress, offline=offline)
    log = private_dir(cache_dir() / "logs") / f"{plan.key}-rebuilt.log"
    with cache.lock(KIND, f"rebuilt-{plan.key}", what="the same", progress=progress):
        tree = WorkTree.named(f"rebuilt-{plan.key}")
        tree.wipe()
        try:
            with unpacked_source(plan, progress) as (source, version):
                tree.link_from(source)
            _apply(plan, tree, version, progress)
            compiled = _compile(plan, tree, plan.key, version, log, progress, use_ccache=False)
            return build_files.digest(compiled.build, IMAGE)
        finally:
            tree.wipe()


@contextmanager
def prepared_tree(plan: BuildPlan, progress: Progress) -> Iterator[tuple[WorkTree, str]]:
    """A tree of the recipe's source and patches, not built, gone afterwards; and its version."""
    with cache.lock(KIND, f"look-{plan.key}", what="the same", progress=progress):
        tree = WorkTree.named(f"look-{plan.key}")
        tree.wipe()
        try:
            with unpacked_source(plan, progress) as (source, version):
                tree.link_from(source)
            _apply(plan, tree, version, progress)
            yield tree, version
        finally:
            tree.wipe()


def tools_for(
    plan: BuildPlan, tree: WorkTree, log: Path, progress: Progress, *, key: str = ""
) -> tuple[Make, Confinement]:
    """make as it runs in ``tree``, and how it is confined."""
    return _tools(plan, tree, key or plan.key, log, progress, use_ccache=False)


@contextmanager
def unpacked_source(plan: BuildPlan, progress: Progress) -> Iterator[tuple[Path, str]]:
    """The unpacked source and its version; nobody else changes it meanwhile."""
    name = "source-" + hashlib.sha256(plan.source.lineage.encode()).hexdigest()[:24]
    with cache.lock("trees", name, what=f"the source of {plan.source.origin}", progress=progress):
        folder = cache_dir() / "trees" / name
        with progress.step(f"unpacking {plan.source.origin}"):
            version = plan.source.materialize(folder, progress)
        folder.with_name(f"{name}.used").touch()
        yield folder, version


@contextmanager
def _unpatched(plan: BuildPlan, log: Path, progress: Progress) -> Iterator[_Compiled]:
    """The lineage's work tree, with the unpatched kernel of ``plan`` built in it."""
    what = f"{plan.source.origin} without patches"
    with cache.lock(KIND, plan.tree, what=what, progress=progress):
        tree = WorkTree.named(plan.tree)
        state = tree.state()
        if state.get("key") != plan.base_key:
            incremental = (tree.source / BUILD_FOLDER / "vmlinux").exists()
            with unpacked_source(plan, progress) as (source, version):
                tree.link_from(source)
            try:
                compiled = _compile(
                    plan, tree, plan.base_key, version, log, progress, incremental=incremental
                )
            except KernelError:
                if not (tree.folders.build / _BEGUN).exists():
                    tree.wipe()  # its configuration cannot be: nobody comes back to it
                raise
            if plan.source.trusted:
                ccache.take_over(tree.folders)
            state = {"key": plan.base_key, **compiled.facts()}
            tree.remember(**state)
        cache.note_use(tree.folder)
        yield _Compiled.again(tree, state)


@contextmanager
def _patched(plan: BuildPlan, log: Path, progress: Progress) -> Iterator[_Compiled]:
    """A copy of the lineage's work tree, with the patched kernel built in it."""
    with cache.lock(KIND, plan.key, what=f"the tree of {plan.recipe.label}", progress=progress):
        yield from _patched_in(WorkTree.named(plan.key), plan, log, progress)


def _patched_in(
    tree: WorkTree, plan: BuildPlan, log: Path, progress: Progress
) -> Iterator[_Compiled]:
    version = tree.state().get("version")
    if version is None:
        tree.wipe()
        base_log = log.with_name(f"{plan.base_key}.log")
        with _unpatched(plan, base_log, progress) as base:
            version = base.version
            tree.copy_from(WorkTree.named(plan.tree))
        try:
            _apply(plan, tree, version, progress)
        except BaseException:
            tree.wipe()
            raise
        tree.remember(version=version)
    else:
        progress.note(f"{plan.recipe.label}: going on where its build was interrupted")
    try:
        compiled = _compile(plan, tree, plan.key, version, log, progress, incremental=True)
        yield compiled
    except (KernelError, HostError, ToolError):
        tree.wipe()
        raise
    tree.wipe()


def _apply(plan: BuildPlan, tree: WorkTree, version: str, progress: Progress) -> None:
    files = plan.patch_files(version)
    if files:
        with progress.step(f"applying {', '.join(path.name for path in files)} to {version}"):
            apply(load_patches(files, progress), tree.source, progress)


def _compile(
    plan: BuildPlan,
    tree: WorkTree,
    key: str,
    version: str,
    log: Path,
    progress: Progress,
    *,
    incremental: bool = False,
    use_ccache: bool = True,
) -> _Compiled:
    began = time.monotonic()
    log.unlink(missing_ok=True)
    make, confined = _tools(plan, tree, key, log, progress, use_ccache=use_ccache)
    with cache.full_disk_named(f"the build of {plan.recipe.label}", tree.folder, _NEEDS_BYTES):
        with progress.step(f"configuring {plan.recipe.label}"):
            config, cost = configure(make, confined, plan.config_base, plan.asked_of(version))
        plan.check_unchanged()  # its patches were applied before
        targets = ["bzImage", *(["modules"] if "m" in config.values() else [])]
        text = f"building {plan.recipe.label}"
        if key != plan.key:
            text = f"building its base, {version} without patches"
        with progress.step(text):
            cost += make.run(*targets, text=text)
        if "modules" in targets:
            # An earlier kernel of this tree has its modules there, under its own release.
            build_files.remove(tree.folders.build, _MODULES)
            inside = confined.source / BUILD_FOLDER / _MODULES
            cost += make.run(
                "modules_install", settings=[f"INSTALL_MOD_PATH={inside}", "INSTALL_MOD_STRIP=1"]
            )
    return _Compiled(
        build=tree.folders.build,
        config=config,
        version=version,
        cost=cost,
        seconds=time.monotonic() - began,
        confined=confined.confined,
        incremental=incremental,
    )


def _tools(
    plan: BuildPlan, tree: WorkTree, key: str, log: Path, progress: Progress, *, use_ccache: bool
) -> tuple[Make, Confinement]:
    confined = confinement(tree.folders, plan.recipe.sandbox)
    if not confined.confined and plan.recipe.sandbox is None:
        progress.note(f"building {plan.recipe.label} without a sandbox: {why_not()}")
    tools = plan.toolchain
    if confined.confined and not sees(tools.compiler):
        raise HostError(
            f"the compiler {tools.compiler} lies where a build in the sandbox does not see it; "
            "take one below /usr or /opt, or build with --no-sandbox what you trust"
        )
    compiler = str(tools.compiler)
    environment: Mapping[str, str] = {}
    if use_ccache and tools.ccache is not None:
        compiler = f"{tools.ccache} {compiler}"
        environment = ccache.environment(
            confined, fill=plan.source.trusted and key == plan.base_key
        )
    settings = [
        f"O={BUILD_FOLDER}",
        "ARCH=x86_64",
        f"CC={compiler}",
        f"HOSTCC={compiler}",
        f"LOCALVERSION={plan.local_version_of(key)}",
    ]
    environment = {
        **environment,
        "PATH": tools.path,
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        # What the kernel would otherwise take from the clock, the user and the host.
        "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 1970",
        "KBUILD_BUILD_USER": "pinhole",
        "KBUILD_BUILD_HOST": "pinhole",
        "KBUILD_BUILD_VERSION": "1",
    }
    return Make(confined, settings, environment, log, progress), confined


def _collect(plan: BuildPlan, compiled: _Compiled, log: Path, folder: Path) -> None:
    """Copies the finished kernel into ``folder``, the cache entry that is being made."""
    build = compiled.build
    build_files.copy_out(build, IMAGE, folder / "vmlinuz")
    bzimage.read(folder / "vmlinuz")  # what is no kernel is not kept as one
    build_files.copy_out(build, ".config", folder / "config")
    build_files.copy_out(build, "System.map", folder / "System.map")
    if "CONFIG_DEBUG_INFO" in compiled.config:
        build_files.copy_out(build, "vmlinux", folder / "vmlinux")
    if "m" in compiled.config.values():
        # Without its links: those to the build and its source lead to what goes.
        build_files.copy_tree_out(build, f"{_MODULES}/lib", folder / "lib")
    kernel_entry.write(
        folder,
        kernel_entry.Facts(
            version=compiled.version,
            source=plan.source.origin,
            source_key=plan.source.key,
            variant=plan.recipe.variant,
            patches=tuple(str(path) for path in plan.patch_files(compiled.version)),
            toolchain=plan.toolchain.identity,
            confined=compiled.confined,
            incremental=compiled.incremental,
            steps=compiled.cost.steps,
            cpu_seconds=round(compiled.cost.cpu_seconds, 1),
            seconds=round(compiled.seconds, 1),
            image_sha256=file_digest(folder / "vmlinuz"),
        ),
    )
    if log.exists():  # a base that was built for a patched kernel has its log here too
        shutil.move(log, folder / "build.log")
