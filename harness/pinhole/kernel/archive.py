# SPDX-License-Identifier: GPL-2.0-only
"""Tar archives from anywhere: looked through to the end before the first file is written.

Refused are names that lead out of the archive's folder, links that do, and what is no file, folder
or link. Unpacking trusts none of that again: each file is made new, in a folder that was made
here, so that a link in the archive never decides where a file goes.
"""

from __future__ import annotations

import lzma
import os
import posixpath
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pinhole.errors import KernelError

_MEMBERS = 1_000_000
_BYTES = 32 << 30
"""Far above any kernel's (90,000 members, 1.6 GB): an archive that unpacks without end."""


class _Member(tarfile.TarInfo):
    """A member whose header is whole: tarfile takes a damaged one for the end."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> _Member:
        try:
            return super().fromtarfile(tar)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise  # two blocks of zeros: the end as it should be
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"{error} at byte {tar.offset}") from error


def checked(opened: IO[bytes], label: str) -> str:
    """The one folder in which all members lie (``.`` if there is none), once all were looked at.

    Raises ``KernelError``, naming the member that is refused, or if the archive is cut off.
    """
    tops: set[str] = set()
    links: list[tuple[str, str]] = []
    size_bytes = count = 0
    with _reading(opened, label) as tar:
        for member in _members(tar):
            count += 1
            size_bytes += member.size
            if count > _MEMBERS or size_bytes > _BYTES:
                raise KernelError(
                    f"{label}: more than {_MEMBERS} members or {_BYTES >> 30} GiB; no kernel's "
                    "source is that large"
                )
            path = _path(member, label)
            top, _, below = path.partition("/")
            if path != ".":
                tops.add(top if below or member.isdir() else ".")
            if member.issym() or member.islnk():
                links.append((member.name, _target(member, path, label)))
    if not count:
        raise KernelError(f"{label}: the archive is empty; give a kernel's tarball")
    top = tops.pop() if len(tops) == 1 else "."
    for name, target in links:
        if top not in {".", target} and not target.startswith(f"{top}/"):
            raise _refused(label, name, f"is a link out of {top}")
    return top


def unpack(opened: IO[bytes], top: str, folder: Path, label: str) -> None:
    """Writes an archive that ``checked`` found good into the empty ``folder``, less ``top``.

    Owners and times are this host's and now; of the modes only "executable" is kept.
    """
    made = {"."}
    with _reading(opened, label) as tar:
        for member in _members(tar):
            path = posixpath.relpath(_path(member, label), top)
            if path == ".":
                continue
            try:
                _folders(folder, path if member.isdir() else posixpath.dirname(path) or ".", made)
                if not member.isdir():
                    _write(tar, member, folder, path, top, label)
            except (FileExistsError, NotADirectoryError) as error:
                raise _refused(label, member.name, "lies where another one does") from error


@contextmanager
def _reading(opened: IO[bytes], label: str) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(fileobj=opened, mode="r:*", tarinfo=_Member) as tar:
            yield tar
    except (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise KernelError(
            f"{label}: the archive is damaged, cut off, or none: {error}; fetch it again"
        ) from error
    except OSError as error:
        if error.errno is None:  # gzip and bz2 report damaged data so
            raise KernelError(
                f"{label}: the archive is damaged: {error}; fetch it again"
            ) from error
        raise


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    while (member := tar.next()) is not None:
        yield member
        tar.members.clear()  # type: ignore[attr-defined]  # else all 90,000 stay in memory


def _path(member: tarfile.TarInfo, label: str) -> str:
    """Where the member lies below the archive's root; refuses what must not be unpacked."""
    parts = member.name.split("/")
    if member.name.startswith("/") or ".." in parts or not member.name:
        raise _refused(label, member.name, "leads out of the archive's folder")
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        raise _refused(label, member.name, "is no file, folder or link (a device or pipe?)")
    return posixpath.normpath(member.name)


def _target(member: tarfile.TarInfo, path: str, label: str) -> str:
    """What a link leads to, below the archive's root.

    ``..`` may only stand at the front of a link: after the name of another link it would not
    mean the folder that is written before it.
    """
    parts = [part for part in member.linkname.split("/") if part not in {"", "."}]
    ups = next((place for place, part in enumerate(parts) if part != ".."), len(parts))
    above = posixpath.dirname(path) if member.issym() else ""
    target = posixpath.normpath(posixpath.join(above, *parts))
    if (
        member.linkname.startswith("/")
        or ".." in parts[ups:]
        or target == ".."
        or target.startswith("../")
    ):
        raise _refused(label, member.name, f"is a link out of the archive ({member.linkname!r})")
    return target


def _folders(folder: Path, path: str, made: set[str]) -> None:
    if path not in made:
        _folders(folder, posixpath.dirname(path) or ".", made)
        (folder / path).mkdir()  # FileExistsError for a link too: nothing is written through one
        made.add(path)


def _write(
    tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, path: str, top: str, label: str
) -> None:
    place = f"{folder}/{path}"
    if member.issym():
        _target(member, path, label)
        Path(place).symlink_to(member.linkname)
        return
    if member.islnk():
        # A copy: a tree's files must be free to change one by one.
        original = folder / posixpath.relpath(_target(member, path, label), top)
        if original.is_symlink() or not original.is_file():
            raise _refused(label, member.name, "is a link to a file that is not before it")
        source: IO[bytes] | None = original.open("rb")
        mode = original.stat().st_mode
    else:
        source, mode = tar.extractfile(member), member.mode
    assert source is not None  # a regular file has content
    rights = 0o755 if mode & 0o100 else 0o644
    with (
        source,
        os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, rights), "wb") as new,
    ):
        shutil.copyfileobj(source, new, 1 << 20)


def _refused(label: str, name: str, reason: str) -> KernelError:
    return KernelError(f"{label}: the member {name!r} {reason}; this is no kernel's tarball")
