# SPDX-License-Identifier: GPL-2.0-only
"""A kernel source of a few files, git repositories of it, and what a folder holds."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from pinhole.progress import Quiet

MAKEFILE = "VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 117\nEXTRAVERSION =\nNAME = Baby Opossum\n"


class Heard(Quiet):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def make_tree(folder: Path) -> Path:
    """A kernel tree with an executable, a link and a rule for what a build leaves."""
    for path, content in {
        "Makefile": MAKEFILE,
        ".gitignore": "*.o\n/vmlinux\n!/mm/kept.o\n",
        "mm/gup.c": "int gup;\n",
        "mm/Makefile": "obj-y += gup.o\n",
        "scripts/run.sh": "#!/bin/sh\n",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    (folder / "scripts" / "run.sh").chmod(0o755)
    (folder / "scripts" / "include").symlink_to("../mm")
    return folder


def git(folder: Path, *words: str) -> str:
    """What git says in ``folder``, with nobody's configuration."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    who = ("-c", "user.name=nobody", "-c", "user.email=nobody@test")
    argv = ["git", "-C", str(folder), *who, *words]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, env=environment)
    return done.stdout.strip()


def commit(folder: Path, message: str = "change") -> str:
    """Commits all that lies in ``folder``, ignored or not refused; gives the commit."""
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD")


def make_repository(folder: Path) -> Path:
    """``make_tree`` as a repository with one commit on ``main``, tagged ``v6.12``."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q", "-b", "main")
    make_tree(folder)
    commit(folder, "first")
    git(folder, "tag", "-a", "-m", "release", "v6.12")
    return folder


def contents(folder: Path) -> Mapping[str, str | bytes]:
    """Every file below ``folder``, by its path: its bytes, or where a link leads."""
    found: dict[str, str | bytes] = {}
    for place, folders, names in os.walk(folder):
        for name in [*names, *(one for one in folders if (Path(place) / one).is_symlink())]:
            path = Path(place) / name
            link = path.is_symlink()
            found[str(path.relative_to(folder))] = (
                f"-> {path.readlink()}" if link else path.read_bytes()
            )
    return found


def traces(folder: Path) -> Mapping[str, tuple[object, ...]]:
    """All that a write to anything below ``folder`` would change: stat of everything, contents."""
    found: dict[str, tuple[object, ...]] = {}
    for place, folders, names in os.walk(folder):
        for name in [".", *names, *folders]:
            path = Path(place) / name
            stat = path.lstat()
            kept = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            what = (stat.st_ino, stat.st_mode, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
            found[str(path.relative_to(folder))] = (*what, kept)
    return found


def identity(path: Path) -> tuple[int, int]:
    """Inode and time of the last write."""
    stat = path.lstat()
    return stat.st_ino, stat.st_mtime_ns


def left_behind(root: Path) -> list[str]:
    """What no process may leave in the cache ``root``."""
    patterns = (".making-*", "*.index.lock", ".unpacking-*", "tmp_obj_*", "tmp_pack_*")
    return sorted(str(one) for pattern in patterns for one in root.rglob(pattern))
