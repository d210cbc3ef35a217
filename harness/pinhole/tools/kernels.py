# SPDX-License-Identifier: GPL-2.0-only
"""``pinhole kernel``: build, fetch, list and show kernels."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from pinhole.dirs import cache_dir
from pinhole.errors import KernelError, UsageError
from pinhole.kernel import build, bzimage, cache, kernel_entry
from pinhole.kernel.bootable import Kernel
from pinhole.kernel.build_plan import plan_build
from pinhole.kernel.kernel import resolve
from pinhole.kernel.manifest import file_digest
from pinhole.kernel.recipe import (
    BuildRecipe,
    DebianRecipe,
    KernelRecipe,
    parse_recipe,
    with_choices,
)
from pinhole.progress import for_terminal
from pinhole.tools.report import plain_console

_TOLD = {"version", "confined", "incremental", "steps", "cpu_seconds", "seconds", "image_sha256"}


@dataclass(frozen=True)
class KernelRequest:
    """Kernels as the command line names them, and what is done with each."""

    kernels: tuple[str, ...]
    patches: tuple[Path, ...] = ()
    sandbox: bool | None = None
    offline: bool = False

    def recipes(self) -> list[KernelRecipe]:
        """The recipes; ``UsageError`` for a kernel that cannot be, or that takes no patches."""
        found = [parse_recipe(one) for one in self.kernels]
        return [with_choices(one, self.patches, self.sandbox) for one in found]


def build_kernels(request: KernelRequest, *, verify: bool, as_json: bool) -> int:
    """Builds what is not cached; returns the exit status. ``verify`` builds again from nothing."""
    progress = for_terminal()
    found: list[dict[str, Any]] = []
    same = True
    for recipe in _to_build(request.recipes()):
        began = time.monotonic()
        kernel = resolve(recipe, progress, offline=request.offline)
        description = _description(kernel) | {"took_seconds": round(time.monotonic() - began, 2)}
        if verify:
            again = build.rebuilt_digest(recipe, progress, offline=request.offline)
            description["rebuilt_sha256"] = again
            description["reproducible"] = again == file_digest(kernel.image)
            same = same and bool(description["reproducible"])
        found.append(description)
        if not as_json:
            print(_line(description))
    if as_json:
        print(json.dumps(found, indent=1))
    return 0 if same else 1


def _to_build(recipes: Sequence[KernelRecipe]) -> list[BuildRecipe]:
    """``recipes``, all of which are built; told before the first of them is."""
    built = []
    for recipe in recipes:
        if not isinstance(recipe, BuildRecipe):
            raise UsageError(
                f"{recipe.label} is a ready kernel; name one that is built from source "
                "(source:debian:6.12), or fetch it: pinhole kernel fetch"
            )
        built.append(recipe)
    return built


def fetch_kernels(request: KernelRequest) -> None:
    """Brings ready kernels, and the sources of the others, into the cache."""
    progress = for_terminal()
    for recipe in request.recipes():
        if isinstance(recipe, BuildRecipe):
            plan = plan_build(recipe, progress, offline=False)
            with build.unpacked_source(plan, progress):  # where the build looks for it
                print(f"{recipe.label}: {plan.source.origin}")
        else:
            kernel = resolve(recipe, progress)
            print(f"{kernel.label}: {kernel.release}, {kernel.origin}")


def print_kernels(*, as_json: bool) -> None:
    """All kernels in the cache, those used last first."""
    found = sorted(_cached(), key=lambda one: str(one["used"]), reverse=True)
    if as_json:
        print(json.dumps(found, indent=1))
        return
    if not found:
        print("no kernel is cached; 'pinhole kernel fetch debian:6.12' or 'pinhole run' gets one")
        return
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("release, made of", "patches", "size", "used (UTC)", "key"):
        table.add_column(name, overflow="fold")
    for one in found:
        patches = "\n".join([*([one["variant"]] if one["variant"] else []), *one["patches"]])
        size = f"{int(one['size_bytes']) >> 20} MiB"
        made = f"{one['release']}\n  {one['made_of']}"
        used = str(one["used"])[:16].replace("T", " ")
        table.add_row(*(Text(cell) for cell in (made, patches, size, used, one["key"][:18])))
    plain_console().print(table)


def show_kernel(request: KernelRequest, *, as_json: bool) -> None:
    """What a cached kernel is; ``KernelError`` if it is not in the cache."""
    named = request.kernels[0]
    folder = _by_key(named)
    if folder is None:
        recipe = request.recipes()[0]
        if isinstance(recipe, BuildRecipe):
            key = plan_build(recipe, for_terminal(), offline=True).key
            folder = cache.find(kernel_entry.KIND, key, kernel_entry.DIGESTED)
            if folder is None:
                raise KernelError(
                    f"{recipe.label} is not built (its key would be {key}); build it: "
                    f"pinhole kernel build {named}"
                )
        elif isinstance(recipe, DebianRecipe):
            folder = resolve(recipe, for_terminal(), offline=True).image.parent
        else:
            raise UsageError(
                f"{recipe.label} is a file of yours and not in the cache; name a kernel that was "
                "fetched or built (pinhole kernel list)"
            )
    facts = _facts(folder)
    if as_json:
        print(json.dumps(facts, indent=1))
        return
    for name, value in facts.items():
        shown = "\n    ".join(["", *map(str, value)]) if isinstance(value, list) else value
        print(f"{name.replace('_', ' ')}: {shown}")


def _by_key(text: str) -> Path | None:
    found = [key for key in cache.keys(kernel_entry.KIND) if key.startswith(text)]
    if len(found) > 1 and text not in found and "-" in text:
        raise UsageError(f"{len(found)} keys begin with {text!r}: {', '.join(found)}; write more")
    if len(found) != 1:
        return None
    return cache_dir() / kernel_entry.KIND / found[0]


def _cached() -> Iterator[dict[str, Any]]:
    for key in cache.keys(kernel_entry.KIND):
        try:
            yield _facts(cache_dir() / kernel_entry.KIND / key)
        except (KernelError, OSError, ValueError, KeyError, TypeError) as error:
            for_terminal().note(
                f"{key}: cannot be read ({error}); pinhole kernel prune --key {key}"
            )


def _facts(folder: Path) -> dict[str, Any]:
    """One entry, ready or built, in the same words."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    common = {
        "key": folder.name,
        "folder": str(folder),
        "size_bytes": sum(path.stat().st_size for path in files),
        "used": datetime.fromtimestamp(folder.stat().st_mtime, UTC).isoformat(timespec="seconds"),
    }
    if not folder.name.startswith(kernel_entry.PREFIX):
        package = json.loads((folder / "kernel.json").read_bytes())
        release = bzimage.read(folder / "vmlinuz").release
        made_of = f"Debian package {package['name']} {package['version']}"
        return {"release": release, "made_of": made_of, "variant": None, "patches": [], **common}
    found = kernel_entry.facts(folder)
    kernel = kernel_entry.load(folder, "", found.variant, note_use=False)
    return {
        "release": kernel.release,
        "made_of": found.source,
        "variant": found.variant,
        "patches": [Path(path).name for path in found.patches],
        **found.model_dump(include=_TOLD),
        "toolchain": found.toolchain.splitlines(),
        **common,
    }


def _description(kernel: Kernel) -> dict[str, Any]:
    return {"label": kernel.label, **_facts(kernel.image.parent), "image": str(kernel.image)}


def _line(one: dict[str, Any]) -> str:
    text = f"{one['label']}: {one['release']}, {one['image']}"
    if "reproducible" in one:
        same = "the same again" if one["reproducible"] else "NOT the same again"
        text += f"\n  built from nothing: {same} ({one['rebuilt_sha256']})"
    return text
