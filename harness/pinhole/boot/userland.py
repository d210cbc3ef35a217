# SPDX-License-Identifier: GPL-2.0-only
"""What the guest's userland is made of on this host: a static busybox, and dropbear."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from pinhole.boot.cpio import Archive
from pinhole.errors import BootImageError, HostError
from pinhole.kernel.tool import ToolError, find, run

_SECONDS = 30.0
_PT_INTERP = 3
_LIBRARY = re.compile(r"\s*(?:\S+ => )?(?P<path>/\S+) \(0x[0-9a-f]+\)")
_MISSING = re.compile(r"\s*(\S+) => not found")
_NEEDED_APPLETS = frozenset({"sh", "modprobe", "insmod", "ip", "mount", "cat", "dmesg"})


def add_busybox(archive: Archive) -> None:
    """``/bin/busybox`` and a link for each of its applets, where these belong."""
    path = Path(find("busybox", "busybox-static"))
    if interpreter(path) is not None:
        raise HostError(
            f"{path} is dynamically linked, so it cannot run in the guest; install the static one: "
            "apt-get install busybox-static"
        )
    try:
        applets = run([str(path), "--list-full"], package="busybox-static", seconds=_SECONDS)
    except ToolError as error:
        raise HostError(f"{path} does not name its applets: {error}") from error
    names = {Path(applet).name for applet in applets.split()}
    if not names >= _NEEDED_APPLETS:
        lacking = ", ".join(sorted(_NEEDED_APPLETS - names))
        raise HostError(f"{path} lacks {lacking}; install Debian's: apt-get install busybox-static")
    archive.file("bin/busybox", _read(path), 0o755)
    for applet in sorted(set(applets.split())):
        if not archive.has(applet):
            archive.link(applet, "/bin/busybox")


def add_dropbear(archive: Archive) -> None:
    """``/usr/sbin/dropbear`` with its loader and shared libraries, at the host's paths."""
    path = Path(find("dropbear", "dropbear-bin"))
    archive.file("usr/sbin/dropbear", _read(path), 0o755)
    loader = interpreter(path)
    if loader is None:
        return
    for library in sorted({loader, *_libraries(path, loader)}):
        archive.file(str(library), _read(library), 0o755)


def interpreter(path: Path) -> Path | None:
    """The loader that the ELF file ``path`` asks for; None if it is statically linked.

    Raises ``HostError`` if it is no 64-bit ELF file (elf(5)).
    """
    data = _read(path)
    if data[:5] != b"\x7fELF\x02" or len(data) < 64:
        raise HostError(f"{path} is not a 64-bit program; install Debian's package of it")
    table, size, count = struct.unpack_from("<Q", data, 32) + struct.unpack_from("<HH", data, 54)
    for number in range(count):
        kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", data, table + number * size)
        if kind == _PT_INTERP:
            return Path(data[offset : offset + length].rstrip(b"\0").decode())
    return None


def _libraries(path: Path, loader: Path) -> set[Path]:
    """What the loader would map for ``path``, looking only where the guest's will look too."""
    try:
        # The guest has no /etc/ld.so.cache: a library that only that names would be missing.
        argv = [str(loader), "--inhibit-cache", "--list", str(path)]
        said = run(argv, package="libc6", seconds=_SECONDS)
    except ToolError as error:
        raise HostError(
            f"the libraries of {path} cannot be found ({error}); install it again: "
            "apt-get install --reinstall dropbear-bin"
        ) from error
    missing = _MISSING.findall(said)
    if missing:
        raise HostError(
            f"{path} needs libraries that are not there: {', '.join(missing)}; install it again: "
            "apt-get install --reinstall dropbear-bin"
        )
    return {Path(one["path"]) for line in said.splitlines() if (one := _LIBRARY.fullmatch(line))}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BootImageError(f"cannot read {path}: {error.strerror}") from error
