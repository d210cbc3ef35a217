# SPDX-License-Identifier: GPL-2.0-only
"""Read the header of an x86 bzImage: is it one, which release, where is its payload.

Offsets are those of Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from pinhole.errors import KernelError

_SETUP_SECTS = 0x1F1
_SYSSIZE = 0x1F4
_BOOT_FLAG = 0x1FE
_HEADER = 0x202
_KERNEL_VERSION = 0x20E
_PAYLOAD = 0x248
_HEADER_END = 0x250
_OLDEST_PROTOCOL = 0x20A
"""2.10, of 2.6.31: relocatable, and its payload can be found (2.08)."""

_OTHERS = (
    (b"\x7fELF", "it is an ELF file; a build's bootable image is arch/x86/boot/bzImage"),
    (b"\x1f\x8b", "it is a gzip file"),
    (b"\xfd7zXZ", "it is an xz file"),
    (b"!<arch>\n", "it is a Debian package or an archive"),
    (b"07070", "it is a cpio archive, such as an initramfs"),
)


@dataclass(frozen=True)
class BzImage:
    """``banner`` is the whole version string, ``release`` its first word (``uname -r``)."""

    path: Path
    release: str
    banner: str
    payload_offset: int
    payload_bytes: int

    def payload(self) -> bytes:
        """The compressed kernel."""
        with self.path.open("rb") as opened:
            opened.seek(self.payload_offset)
            return opened.read(self.payload_bytes)


def read(path: Path) -> BzImage:
    """The header of the bzImage at ``path``; ``KernelError`` with the reason if it is none."""
    try:
        with path.open("rb") as opened:
            head = opened.read(0x10000)  # the setup code is at most 64 sectors
        size_bytes = path.stat().st_size
    except OSError as error:
        raise KernelError(f"cannot read the kernel image {path}: {error.strerror}") from error
    reason = _why_not(head)
    if reason is not None:
        raise KernelError(f"{path} is not a Linux kernel image ({reason})")
    setup_bytes = ((head[_SETUP_SECTS] or 4) + 1) * 512
    whole_bytes = setup_bytes + 16 * _number("<I", head, _SYSSIZE)
    if size_bytes < whole_bytes:
        raise KernelError(
            f"{path} is cut short: {size_bytes} bytes of a kernel image of {whole_bytes}; "
            "copy or build it again"
        )
    banner = _banner(head, setup_bytes)
    if not banner or "/" in banner.split()[0]:  # what names a folder of modules is no path
        raise KernelError(f"{path} is not a Linux kernel image (it does not say its version)")
    return BzImage(
        path=path,
        release=banner.split()[0],
        banner=banner,
        payload_offset=setup_bytes + _number("<I", head, _PAYLOAD),
        payload_bytes=_number("<I", head, _PAYLOAD + 4),
    )


def _why_not(head: bytes) -> str | None:
    if not head:
        return "it is empty"
    for magic, reason in _OTHERS:
        if head.startswith(magic):
            return reason
    if len(head) < _HEADER_END or head[_HEADER : _HEADER + 4] != b"HdrS":
        return "it has no boot header 'HdrS' at offset 0x202"
    if head[_BOOT_FLAG : _BOOT_FLAG + 2] != b"\x55\xaa":
        return "its boot flag is not 0xaa55"
    protocol = _number("<H", head, _HEADER + 4)
    if protocol < _OLDEST_PROTOCOL:
        return f"its boot protocol is {protocol >> 8}.{protocol & 0xFF:02d}, 2.10 is needed"
    return None


def _banner(head: bytes, setup_bytes: int) -> str:
    """The NUL-terminated string ``RELEASE (builder) #1 SMP …`` that the header points to."""
    start = _number("<H", head, _KERNEL_VERSION) + 0x200
    if start == 0x200 or start >= min(setup_bytes, len(head)):
        return ""
    text = head[start : start + 512].split(b"\0", 1)[0].decode("ascii", errors="replace")
    return text.strip() if text.isprintable() else ""


def _number(form: str, head: bytes, offset: int) -> int:
    return int(struct.unpack_from(form, head, offset)[0])
