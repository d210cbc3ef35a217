# SPDX-License-Identifier: GPL-2.0-only
"""The guest's C programs, compiled once for these sources and this compiler."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from pinhole import __version__
from pinhole.errors import BootImageError, HostError
from pinhole.kernel import cache
from pinhole.kernel.manifest import file_digest
from pinhole.kernel.tool import ToolError, run
from pinhole.progress import Progress
from pinhole.resources import shipped

PROGRAMS = ("init", "pinguest", "pinholder")

_MAKE_SECONDS = 300.0
_ASK_SECONDS = 30.0
_SOURCES = {".c", ".h"}


def build_programs(progress: Progress) -> Path:
    """The folder with the static programs ``PROGRAMS``.

    Raises ``HostError`` if a compiler or the static C library is missing, ``BootImageError`` with
    the compiler's words if it refuses the sources.
    """
    source = shipped("guest")
    library = static_library()
    key = _key(source, library)

    def make(folder: Path) -> None:
        with progress.step("compiling the guest's programs"):
            _compile(source, folder)

    return cache.entry(
        "programs",
        key,
        make,
        what="the guest's programs",
        digested=PROGRAMS,
        needs_bytes=32 << 20,
        progress=progress,
    )


def _compile(source: Path, folder: Path) -> None:
    # make takes no path with a blank or '=' in it, which the user's cache may have.
    with tempfile.TemporaryDirectory(prefix="pinhole-programs-") as name:
        _make(source, Path(name), folder)


def _make(source: Path, built: Path, folder: Path) -> None:
    argv = ["make", "-s", "-j2", "-C", str(source), f"O={built}", f"VERSION={__version__}"]
    try:
        run(argv, package="make", seconds=_MAKE_SECONDS)
    except ToolError as error:
        raise BootImageError(f"the guest's programs do not compile: {error}") from error
    for name in PROGRAMS:
        if not (built / name).is_file():
            raise BootImageError(f"{source}/Makefile made no program {name!r}")
        shutil.copy2(built / name, folder / name)


def static_library() -> Path:
    """The static C library that gcc would link; its content belongs to what is compiled."""
    try:
        said = run(["gcc", "-print-file-name=libc.a"], package="gcc", seconds=_ASK_SECONDS)
    except ToolError as error:
        raise HostError(f"gcc does not work: {error}") from error
    library = Path(said.strip())
    if not library.is_absolute() or not library.is_file():
        raise HostError("the static C library is missing; install it: apt-get install libc6-dev")
    return library


def _key(source: Path, library: Path) -> str:
    """Changes with any source file, the compiler, the libraries and pinhole's version."""
    digest = hashlib.sha256()
    for path in sorted(source.rglob("*")):
        if path.is_file() and (path.suffix in _SOURCES or path.name == "Makefile"):
            digest.update(f"{path.relative_to(source)} {file_digest(path)}\n".encode())
    compiler = run(["gcc", "--version"], package="gcc", seconds=_ASK_SECONDS)
    digest.update(f"{compiler}\n{file_digest(library)}\n{__version__}\n".encode())
    # The Makefile takes libibverbs where it is: with it the programs have more ways to hold.
    for path in sorted(library.parent.glob("lib*ibverbs.a")) + sorted(
        library.parent.glob("lib*-rdmav*.a")
    ):
        digest.update(f"{path.name} {file_digest(path)}\n".encode())
    return digest.hexdigest()[:40]
