# SPDX-License-Identifier: GPL-2.0-only
"""Makes a kernel's configuration, and checks that each option which was asked for is in it.

``make`` drops without a word what its Kconfig does not allow; here that is an error, which names
the option and the dependency that is not met.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pinhole.errors import KernelError
from pinhole.kernel import build_files, kconfig
from pinhole.kernel.expression import unmet
from pinhole.kernel.fragments import Request
from pinhole.kernel.make import Built, Make
from pinhole.kernel.sandbox import BUILD_FOLDER, Confinement
from pinhole.kernel.tool import ToolError
from pinhole.machine.text import printable
from pinhole.resources import shipped

_REQUESTED = "pinhole.config"
_CONFIG = ".config"
_PARSER = ("confdata", "expr", "lexer.lex", "menu", "parser.tab", "preprocess", "symbol", "util")
"""The objects of scripts/kconfig that a program for it is linked with (its Makefile)."""
_ANSWER = re.compile(r"^option (\w+)\n(.*?)^end$", re.MULTILINE | re.DOTALL)
_DEPENDS = re.compile(r"^\s*Depends on: (.*)$", re.MULTILINE)
_MANY = 12
_KCONFIG_ENVIRONMENT = {
    "srctree": "..",
    "ARCH": "x86",
    "SRCARCH": "x86",
    "CC": "gcc",
    "HOSTCC": "gcc",
    "LD": "ld",
    "NM": "nm",
    "OBJCOPY": "objcopy",
    "PAHOLE": "pahole",
    "RUSTC": "rustc",
    "BINDGEN": "bindgen",
}
"""What the top Makefile exports to scripts/kconfig, as far as Kconfig files ask for it."""


@dataclass(frozen=True)
class Explanation:
    """What the tree's Kconfig says of ``option``: its own words, empty if it does not know it.

    ``unmet`` are the conditions that are not met, for each place that defines it.
    """

    option: str
    text: str
    unmet: tuple[str, ...]


def configure(
    make: Make,
    confinement: Confinement,
    base: str | Path,
    requests: Sequence[Request],
) -> tuple[Mapping[str, str], Built]:
    """Writes the .config of ``base`` and ``requests`` into the build folder, and checks it.

    Returns what is set, and what making it cost. Raises ``KernelError`` with every option that
    did not take.
    """
    build = confinement.folders.build
    wanted = "".join(f"{request.line}\n" for request in requests)
    build_files.write(build, _REQUESTED, wanted)
    if base == "allnoconfig":
        given = f"KCONFIG_ALLCONFIG={confinement.source / BUILD_FOLDER / _REQUESTED}"
        cost = make.run("allnoconfig", settings=[given])
    else:
        cost = Built(0, 0.0)
        if isinstance(base, Path):
            begun = base.read_text(encoding="utf-8", errors="surrogateescape")
        else:
            cost = make.run(base)
            begun = build_files.read(build, _CONFIG)
        build_files.write(build, _CONFIG, f"{begun}\n{wanted}")
        cost += make.run("olddefconfig")
    final = configuration(build)
    _check(make, confinement, requests, final)
    return final, cost


def configuration(build: Path) -> Mapping[str, str]:
    """What is set in the build folder's .config; ``KernelError`` if it holds nothing."""
    options = kconfig.parse(build_files.read(build, _CONFIG))
    if not options:
        raise KernelError(f"{build / _CONFIG} is not a kernel configuration (no line CONFIG_X=…)")
    return options


def explain(
    make: Make, confinement: Confinement, options: Iterable[str]
) -> Mapping[str, Explanation]:
    """What the tree's own parser says of ``options``, with the values of the present .config."""
    build, source = confinement.folders.build, confinement.source
    program = "pinhole-explain"
    # Copied, for the sandbox sees nothing of where pinhole lies.
    text = (shipped("kernel-configs") / "explain.c").read_text()
    build_files.write(build, f"{program}.c", text)
    inside = source / BUILD_FOLDER
    objects = [str(inside / f"scripts/kconfig/{name}.o") for name in _PARSER]
    includes = [f"-I{source / part}" for part in ("scripts/kconfig", "scripts/include")]
    made = [str(inside / f"{program}.c"), "-o", str(inside / program)]
    present = [one for one in objects if (build / "scripts/kconfig" / Path(one).name).is_file()]
    make.command(["gcc", *includes, *made, *present])
    names = [option.removeprefix("CONFIG_") for option in options]
    # There, for cc-option makes its files in the present folder, and the source is read-only.
    words = ["env", "-C", str(inside), str(inside / program), "Kconfig", *names]
    said = make.output(words, _KCONFIG_ENVIRONMENT)
    found = {}
    for name, text in _ANSWER.findall(said):
        shown = "" if text.strip() == "unknown" else text.strip()
        conditions = [unmet(one) for one in _DEPENDS.findall(shown)]
        option = f"CONFIG_{name}"
        found[option] = Explanation(option, shown, tuple(one for one in conditions if one))
    return found


def _check(
    make: Make, confinement: Confinement, requests: Sequence[Request], final: Mapping[str, str]
) -> None:
    dropped = [request for request in requests if not request.granted(final.get(request.option))]
    if not dropped:
        return
    explanations: Mapping[str, Explanation] = {}
    reasons = ""
    try:
        explanations = explain(make, confinement, [request.option for request in dropped])
    except (KernelError, ToolError):  # what was dropped is the news, not that nobody knows why
        reasons = "\n(this kernel's own Kconfig parser could not be asked why)"
    lines = [
        f"{asked}; {_reason(request, explanations[request.option])}"
        if request.option in explanations
        else asked
        for request in dropped
        for asked in (_asked(request, final),)
    ]
    more = f"\n  and {len(lines) - _MANY} more" if len(lines) > _MANY else ""
    raise KernelError(
        "the configuration did not take all that was asked for:\n  "
        + "\n  ".join(lines[:_MANY])
        + more
        + reasons
        + "\nAsk for what is missing too, give the line a range of versions ('# >=6.2'), or leave "
        "it out"
    )


def _asked(request: Request, final: Mapping[str, str]) -> str:
    value = final.get(request.option)
    got = "is not set" if value is None else f"is {value}"
    return printable(f"{request.source}: {request.line}: it {got}")


def _reason(request: Request, known: Explanation) -> str:
    if not known.text:
        return "this kernel has no such option"
    if known.unmet:
        return printable(f"it depends on {' or on '.join(dict.fromkeys(known.unmet))}")
    if request.value == "n":
        return "another option selects it"
    return (
        "all that it depends on is met, so its range, or the choice that it is in, took another "
        "value"
    )
