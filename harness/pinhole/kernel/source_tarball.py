# SPDX-License-Identifier: GPL-2.0-only
"""A kernel from a tarball whose SHA-256 the user gave: compared first, unpacked after a look.

The sum says that this is the file that was meant, not that its author meant well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pinhole.errors import KernelError
from pinhole.kernel import archive, cache
from pinhole.kernel.identified import Fill, Identified, empty
from pinhole.kernel.manifest import file_digest
from pinhole.kernel.tool import ToolError, run
from pinhole.progress import Progress

_SHA256 = re.compile(r"[0-9a-f]{64}")
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_SECONDS = 1200.0


def identify(path: Path, sha256: str, label: str) -> Identified:
    """What the tarball at ``path`` holds, by its sum alone: a kernel made of it needs no look.

    Raises ``KernelError`` if ``sha256`` is none. The file is compared when it is laid out.
    """
    wanted = sha256.strip().lower()
    if _SHA256.fullmatch(wanted) is None:
        raise KernelError(
            f"{label}: {sha256!r} is no SHA-256 (64 hexadecimal digits); sha256sum {path} prints it"
        )
    key = f"tarball-{wanted}"
    return Identified(
        key=key,
        lineage=key,
        version=None,
        origin=f"tarball {path.name} (sha256 {wanted[:12]})",
        trusted=False,
        fill=_fill(path, wanted, label),
    )


def _fill(path: Path, wanted: str, label: str) -> Fill:
    def fill(folder: Path, progress: Progress) -> None:
        with progress.step(f"comparing {path.name}"):
            _compare(path, wanted, label)
        empty(folder)
        try:
            with _opened(path, folder, label) as opened:
                with progress.step(f"looking through {path.name}"):
                    top = archive.checked(opened, label)
                opened.seek(0)
                with progress.step(f"unpacking {path.name}"):
                    archive.unpack(opened, top, folder, label)
        except KernelError:
            empty(folder)
            raise

    return fill


def _compare(path: Path, wanted: str, label: str) -> None:
    try:
        found = file_digest(path)
    except OSError as error:
        raise KernelError(f"{label}: {path} cannot be read: {error.strerror}") from error
    if found != wanted:
        raise KernelError(
            f"{label}: {path} is not the file that was meant: its SHA-256 is {found}, the recipe "
            f"says {wanted}; fetch it again, or correct the recipe"
        )


@contextmanager
def _opened(path: Path, folder: Path, label: str) -> Iterator[BinaryIO]:
    """The tarball, in a form that Python's tarfile reads: that knows no zstd."""
    with path.open("rb") as opened:
        if opened.read(len(_ZSTD)) != _ZSTD:
            opened.seek(0)
            yield opened
            return
    # One name for each folder: what a killed process left is written over, and goes then.
    plain = folder.with_name(f"{folder.name}.tar")
    argv = ["zstd", "--decompress", "--force", "--quiet", "-o", str(plain), str(path)]
    try:
        with cache.full_disk_named(label, folder):
            run(argv, package="zstd", seconds=_ZSTD_SECONDS)
        with plain.open("rb") as opened:
            yield opened
    except ToolError as error:
        raise KernelError(f"{label}: {path} cannot be decompressed: {error}") from error
    finally:
        plain.unlink(missing_ok=True)
