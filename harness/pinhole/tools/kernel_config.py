# SPDX-License-Identifier: GPL-2.0-only
"""``pinhole kernel config``: the configuration of a kernel, and why an option is as it is."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pinhole.dirs import cache_dir, private_dir
from pinhole.errors import KernelError, UsageError
from pinhole.kernel import build_files, cache, kernel_entry
from pinhole.kernel.build import prepared_tree, tools_for
from pinhole.kernel.build_plan import BuildPlan, plan_build
from pinhole.kernel.configure import Explanation, configure, explain
from pinhole.kernel.kernel import resolve
from pinhole.kernel.make import Make
from pinhole.kernel.recipe import BuildRecipe
from pinhole.kernel.sandbox import Confinement
from pinhole.kernel.tool import ToolError
from pinhole.machine.text import printable
from pinhole.progress import for_terminal
from pinhole.tools.kernels import KernelRequest

_OPTION = re.compile(r"CONFIG_\w{1,200}", re.ASCII)


def print_config(request: KernelRequest, explained: Sequence[str]) -> None:
    """Prints the .config, or what is to be said of the options ``explained``.

    Raises ``UsageError`` for a name that is no option's, ``KernelError`` if the configuration
    cannot be made.
    """
    names = tuple(map(_option, explained))
    recipe = request.recipes()[0]
    progress = for_terminal()
    if not isinstance(recipe, BuildRecipe):
        if names:
            raise UsageError(
                f"{recipe.label} is a ready kernel: its Kconfig files are not here; explain a "
                "kernel that is built (source:debian:6.12)"
            )
        config = resolve(recipe, progress, offline=request.offline).config
        if config is None:
            raise KernelError(f"the configuration of {recipe.label} is not known")
        print("\n".join(f"{option}={value}" for option, value in sorted(config.items())))
        return
    plan = plan_build(recipe, progress, offline=request.offline)
    built = cache.find(kernel_entry.KIND, plan.key, kernel_entry.DIGESTED)
    if built is not None and not names:
        sys.stdout.write((built / "config").read_text())
        return
    log = private_dir(cache_dir() / "logs") / f"{plan.key}-config.log"
    log.unlink(missing_ok=True)
    with prepared_tree(plan, progress) as (tree, version):
        make, confined = tools_for(plan, tree, log, progress)
        asked = plan.asked_of(version)
        with progress.step(f"configuring {recipe.label}"):
            config, _ = configure(make, confined, plan.config_base, asked)
        if not names:
            sys.stdout.write(build_files.read(tree.folders.build, ".config"))
        for name, found in _explanations(make, confined, names, log).items() if names else ():
            # A Kconfig file's words are its author's.
            print(printable(_explained(plan, version, name, config.get(name), found)))
    log.unlink(missing_ok=True)


def _option(text: str) -> str:
    """The option's whole name; the kernel's parser would take anything else for a pattern."""
    name = text if text.startswith("CONFIG_") else f"CONFIG_{text}"
    if _OPTION.fullmatch(name) is None:
        raise UsageError(f"--explain {text!r}: an option's name is CONFIG_ and letters or digits")
    return name


def _explanations(
    make: Make, confined: Confinement, names: Sequence[str], log: Path
) -> Mapping[str, Explanation]:
    try:
        return explain(make, confined, names)
    except ToolError as error:
        raise KernelError(
            f"this kernel's own Kconfig parser could not be asked: {error}\nThe log: {log}"
        ) from error


def _explained(
    plan: BuildPlan, version: str, name: str, value: str | None, found: Explanation
) -> str:
    lines = [f"{name} {'is not set' if value is None else f'= {value}'} in {plan.recipe.label}"]
    for request in plan.requests:
        if request.option == name:
            asked = f"  asked for by {request.source}: {request.line}"
            if not request.holds_for(version):
                asked += f", of kernels {request.kernels} alone; this is {version}"
            lines.append(asked)
    if len(lines) == 1:
        lines.append("  nobody asks for it: its default, or what others select")
    if not found.text:
        lines.append(f"  no Kconfig file of {version} defines it")
    lines += [f"  not met: {condition}" for condition in found.unmet]
    lines += [f"  {line}" for line in found.text.splitlines() if line.strip()]
    return "\n".join(lines)
