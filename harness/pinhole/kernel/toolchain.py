# SPDX-License-Identifier: GPL-2.0-only
"""What kernels are compiled with: found on the host, and told apart by what they say they are."""

from __future__ import annotations

import functools
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pinhole.errors import HostError
from pinhole.kernel.tool import ToolError, find, run

_ASK_SECONDS = 30.0
_TOOLS = {
    "make": "make",
    "flex": "flex",
    "bison": "bison",
    "bc": "bc",
    "ld": "binutils",
    "perl": "perl",
    "gcc": "gcc",
}
"""What every build runs, and the Debian package that has it; gcc compiles the build's own tools."""
_ASKED = ("pahole", "rustc")
"""Where they are there, Kconfig asks for their versions: these stand in .config and so in the
kernel (CONFIG_IKCONFIG), and pahole makes its BTF."""
_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
_HEADERS = {"gelf.h": "libelf-dev"}
"""objtool is compiled against it (tools/objtool)."""


@dataclass(frozen=True)
class Toolchain:
    """``compiler`` is the C compiler's path; ``identity`` what compiler, linker and whatever else
    shows in a kernel say they are.

    ``ccache`` is its path, or None where the host has none: builds are slower then, no different.
    """

    compiler: Path
    identity: str
    ccache: Path | None

    @property
    def path(self) -> str:
        """Where a build looks for programs."""
        return _path(self.compiler)

    @property
    def key(self) -> str:
        """Addresses the toolchain."""
        return hashlib.sha256(self.identity.encode()).hexdigest()[:16]


@functools.cache
def toolchain(compiler: str) -> Toolchain:
    """The toolchain with ``compiler``; ``HostError`` names every package that is missing."""
    lacking = []
    for tool, package in {**_TOOLS, compiler: compiler}.items():
        try:
            find(tool, package)
        except HostError:
            lacking.append((tool, package))
    for header, package in _HEADERS.items():
        if not any((folder / header).is_file() for folder in _include_folders()):
            lacking.append((header, package))
    if lacking:
        names = ", ".join(dict.fromkeys(tool for tool, _ in lacking))
        packages = " ".join(dict.fromkeys(package for _, package in lacking))
        raise HostError(
            f"building a kernel needs {names}; install what is missing: apt-get install {packages}"
        )
    path = Path(find(compiler, compiler))
    said = [
        run([tool, "--version"], package=tool, seconds=_ASK_SECONDS).splitlines()[0]
        for tool in (str(path), "ld")
    ]
    said += _told_to_kconfig(path)
    ccache = shutil.which("ccache")
    return Toolchain(path, "\n".join(said), Path(ccache) if ccache else None)


def _told_to_kconfig(compiler: Path) -> Iterator[str]:
    for name in _ASKED:
        tool = shutil.which(name, path=_path(compiler))
        if tool is not None:
            with suppress(ToolError):  # then Kconfig takes it for missing too
                said = run([tool, "--version"], package=name, seconds=_ASK_SECONDS)
                yield f"{name}: {said.splitlines()[0]}"


def _path(compiler: Path) -> str:
    return f"{compiler.parent}:{_PATH}"


def _include_folders() -> tuple[Path, ...]:
    return Path("/usr/include"), Path("/usr/local/include")
