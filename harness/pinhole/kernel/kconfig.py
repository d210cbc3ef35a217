# SPDX-License-Identifier: GPL-2.0-only
"""A kernel's configuration: read it, and find it for an image that somebody gives."""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

from pinhole.errors import KernelError
from pinhole.kernel.bzimage import BzImage

_SET = re.compile(r"(CONFIG_\w+)=(.*)")
_IKCONFIG_START = b"IKCFG_ST"  # kernel/configs.c: the gzip'd .config stands between these
_IKCONFIG_END = b"IKCFG_ED"
_KERNEL_BYTES_MAX = 1 << 30
"""A decompressed kernel is about 60 MB; a payload that says otherwise is not believed."""


def parse(text: str) -> Mapping[str, str]:
    """``CONFIG_X`` to ``y``, ``m`` or its value without quotes; what is not set is absent."""
    options: dict[str, str] = {}
    for line in text.splitlines():
        found = _SET.fullmatch(line.strip())
        if found and found[2] != "n":
            options[found[1]] = found[2].removeprefix('"').removesuffix('"')
    return options


def read(path: Path) -> Mapping[str, str]:
    """The configuration in the file ``path``; raises ``KernelError`` if it holds none."""
    try:
        options = parse(path.read_text(errors="replace"))
    except OSError as error:
        raise KernelError(
            f"cannot read the kernel configuration {path}: {error.strerror}"
        ) from error
    if not options:
        raise KernelError(f"{path} is not a kernel configuration (no line CONFIG_X=…)")
    return options


def beside(image: Path, release: str) -> Path | None:
    """The configuration that belongs to ``image`` by where it lies, if there is one.

    ``config-RELEASE`` beside ``vmlinuz-RELEASE``, or the ``.config`` of the build tree in which
    the image is ``arch/x86/boot/bzImage``.
    """
    candidates = []
    for path in dict.fromkeys((image, image.resolve())):
        candidates.append(path.with_name(f"config-{release}"))
        if path.parts[-4:-2] in {("arch", "x86"), ("arch", "x86_64")} and path.parts[-2] == "boot":
            candidates.append(path.parents[3] / ".config")
    return next((path for path in candidates if path.is_file()), None)


def embedded(image: BzImage) -> Mapping[str, str] | None:
    """The configuration inside the image (CONFIG_IKCONFIG), if it is there and can be reached.

    Kernels compressed with zstd, lz4 or lzo cannot be opened with Python's own modules.
    """
    whole = _decompressed(image.payload())
    start = whole.find(_IKCONFIG_START)
    end = whole.find(_IKCONFIG_END, start)
    if start < 0 or end < 0:
        return None
    try:
        text = zlib.decompressobj(31).decompress(whole[start + len(_IKCONFIG_START) : end])
    except zlib.error:
        return None  # the marker was part of something else: the configuration is not known
    return parse(text.decode(errors="replace")) or None


def _decompressed(payload: bytes) -> bytes:
    """The kernel out of its payload, or nothing; what follows the stream is left alone."""
    known: tuple[tuple[bytes, Callable[[], bytes]], ...] = (
        (b"\x1f\x8b", lambda: zlib.decompressobj(31).decompress(payload, _KERNEL_BYTES_MAX)),
        (
            b"\xfd7zXZ\x00",
            lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(payload, _KERNEL_BYTES_MAX),
        ),
        (b"BZh", lambda: bz2.BZ2Decompressor().decompress(payload, _KERNEL_BYTES_MAX)),
        (
            b"\x5d\x00\x00",
            lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE).decompress(payload, _KERNEL_BYTES_MAX),
        ),
    )
    for magic, decompress in known:
        if payload.startswith(magic):
            try:
                return decompress()
            except (zlib.error, lzma.LZMAError, OSError, EOFError):
                return b""  # not what its first bytes say: the configuration is not known
    return b""
