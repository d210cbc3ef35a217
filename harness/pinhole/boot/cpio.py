# SPDX-License-Identifier: GPL-2.0-only
"""Write a newc cpio archive: the same entries give the same bytes, and no root is needed.

The format is that of Documentation/driver-api/early-userspace/buffer-format.rst: sorted names,
modification time 0, owner 0:0, inodes counted from 1.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import PurePosixPath

from pinhole.errors import BootImageError

_TRAILER = "TRAILER!!!"
_FILE_BYTES_MAX = 0xFFFFFFFF
"""Sizes are eight hexadecimal digits."""


@dataclass(frozen=True)
class _Entry:
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


class Archive:
    """Entries by their path in the guest, without the leading ``/``; parents come by themselves."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    def folder(self, path: str, mode: int = 0o755) -> None:
        """A folder; giving it again changes its mode."""
        path = self._place(path)
        known = self._entries.get(path)
        if known is not None and not stat.S_ISDIR(known.mode):
            raise BootImageError(f"the boot image has /{path} twice, as a folder and otherwise")
        self._entries[path] = _Entry(stat.S_IFDIR | mode)

    def file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """A regular file."""
        if len(data) > _FILE_BYTES_MAX:
            raise BootImageError(f"/{path} is too large for a boot image: {len(data)} bytes")
        self._add(path, _Entry(stat.S_IFREG | mode, data))

    def link(self, path: str, target: str) -> None:
        """A symbolic link."""
        self._add(path, _Entry(stat.S_IFLNK | 0o777, target.encode()))

    def character_device(self, path: str, major: int, minor: int, mode: int) -> None:
        """A device node; its numbers are those of Documentation/admin-guide/devices.txt."""
        self._add(path, _Entry(stat.S_IFCHR | mode, device=(major, minor)))

    def has(self, path: str) -> bool:
        """Whether there is an entry at ``path``."""
        return path.strip("/") in self._entries

    def to_bytes(self) -> bytes:
        """The archive, padded to 512 bytes as the kernel's own are."""
        out = bytearray()
        for inode, (name, entry) in enumerate(sorted(self._entries.items()), start=1):
            _write(out, inode, name, entry)
        _write(out, 0, _TRAILER, _Entry(0))
        return bytes(out + bytes(-len(out) % 512))

    def _add(self, path: str, entry: _Entry) -> None:
        path = self._place(path)
        if path in self._entries:
            raise BootImageError(f"the boot image has /{path} twice")
        self._entries[path] = entry

    def _place(self, path: str) -> str:
        """``path`` as a name in the archive, after its parents were added."""
        pure = PurePosixPath(path.strip("/"))
        if not pure.parts or ".." in pure.parts or "\0" in path:
            raise BootImageError(f"{path!r} cannot be a path in the boot image")
        for parent in pure.parents:
            if parent.parts and str(parent) not in self._entries:
                self._entries[str(parent)] = _Entry(stat.S_IFDIR | 0o755)
        return str(pure)


def _write(out: bytearray, inode: int, name: str, entry: _Entry) -> None:
    encoded = name.encode() + b"\0"
    numbers = (
        inode,
        entry.mode,
        0,  # uid
        0,  # gid
        2 if stat.S_ISDIR(entry.mode) else 1,
        0,  # mtime
        len(entry.data),
        0,  # device the file lies on
        0,
        *entry.device,
        len(encoded),
        0,  # checksum: unused in newc
    )
    out += b"070701" + b"".join(b"%08X" % number for number in numbers) + encoded
    out += bytes(-len(out) % 4)
    out += entry.data
    out += bytes(-len(out) % 4)
