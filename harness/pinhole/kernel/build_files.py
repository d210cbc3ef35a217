# SPDX-License-Identifier: GPL-2.0-only
"""Files in a build folder, as the harness reads and writes them: no link there is followed.

Whatever ran in the sandbox may have put anything into the folder: a symbolic link as bzImage, or
where the harness is about to write. Inside, such a link leads nowhere; out here it would lead to
the user's files.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterable
from contextlib import suppress
from io import BufferedReader
from pathlib import Path, PurePath

from pinhole.errors import KernelError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def opened(build: Path, name: str | PurePath) -> BufferedReader:
    """The file ``name`` of the folder ``build``, to be read.

    Raises ``KernelError`` where it, or a folder on the way to it, is none but a link or a device.
    """
    # Not blocking: a pipe has no other end.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    path = PurePath(name)
    try:
        folder = _folder(build, path.parent)
        try:
            found = os.open(path.name, flags, dir_fd=folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise KernelError(f"the build left no file {build / name}: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        raise KernelError(f"what the build left as {build / name} is no file")
    return os.fdopen(found, "rb")


def read(build: Path, name: str | PurePath) -> str:
    """The text of the file, as ``opened``."""
    with opened(build, name) as file:
        return file.read().decode(errors="replace")


def digest(build: Path, name: str | PurePath) -> str:
    """The SHA-256 of the file, in hex, as ``opened``."""
    with opened(build, name) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy_out(build: Path, name: str | PurePath, target: Path) -> None:
    """Copies the file, as ``opened``, to ``target``, which lies where no build can write."""
    with opened(build, name) as file, target.open("wb") as new:
        shutil.copyfileobj(file, new, 1 << 20)


def copy_tree_out(build: Path, name: str | PurePath, target: Path) -> None:
    """Copies a folder's files and folders to ``target``, and nothing else that is in it."""
    try:
        os.close(_folder(build, PurePath(name)))
        shutil.copytree(build / name, target, symlinks=True, ignore=_neither_file_nor_folder)
    except NotADirectoryError as error:
        raise KernelError(f"what the build left as {build / name} is no folder") from error


def write(build: Path, name: str, text: str) -> None:
    """Puts a new file at the top of the folder; what is called so by now goes."""
    folder = _folder(build, PurePath())
    try:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        found = os.open(name, flags, 0o644, dir_fd=folder)
        with os.fdopen(found, "w", encoding="utf-8", errors="surrogateescape") as new:
            new.write(text)
    except (FileExistsError, IsADirectoryError) as error:
        raise KernelError(f"the build left a folder as {build / name}") from error
    finally:
        os.close(folder)


def remove(build: Path, name: str) -> None:
    """Takes away what lies at the top of the folder under that name, if anything does."""
    path = build / name
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def _folder(build: Path, below: PurePath) -> int:
    """A descriptor of a folder in ``build``; ``OSError`` where a part of the way is a link."""
    found = os.open(build, _FOLDER)
    for part in below.parts:
        above = found
        try:
            found = os.open(part, _FOLDER, dir_fd=above)
        finally:
            os.close(above)
    return found


def _neither_file_nor_folder(folder: str, names: Iterable[str]) -> list[str]:
    left_out = []
    for name in names:
        mode = os.lstat(f"{folder}/{name}").st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            left_out.append(name)
    return left_out
