# SPDX-License-Identifier: GPL-2.0-only
"""What a cache entry must hold: written when it is made, compared when it is opened.

Damage comes from a host that lost power before the data reached the disk, or from a hand in the
cache. Every file must have the size that was recorded, and the files that the caller names must
have their SHA-256: of an unpacked Debian kernel (4,300 files, 110 to 310 MB) all sizes take
15 ms and all digests 150 to 300 ms, and two kernels are opened in every run.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

NAME = ".manifest.json"


def write(folder: Path, digested: Sequence[str]) -> None:
    """Records the sizes of all files of ``folder``, and the SHA-256 of those in ``digested``."""
    sizes: dict[str, int] = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place) / name
            sizes[str(path.relative_to(folder))] = path.lstat().st_size
    manifest = {
        "sizes": dict(sorted(sizes.items())),
        "sha256": {path: file_digest(folder / path) for path in digested},
    }
    with (folder / NAME).open("w") as opened:
        json.dump(manifest, opened)
        opened.flush()
        os.fsync(opened.fileno())


def damage(folder: Path, digested: Sequence[str] = ()) -> str | None:
    """Why the entry at ``folder`` cannot be used, or None if it can."""
    try:
        manifest = json.loads((folder / NAME).read_bytes())
        sizes = {str(path): int(size) for path, size in manifest["sizes"].items()}
        digests = {str(path): str(digest) for path, digest in manifest["sha256"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"its manifest cannot be read: {error}"
    return _wrong_size(folder, sizes) or _wrong_digest(
        folder, {k: digests.get(k) for k in digested}
    )


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _wrong_size(folder: Path, sizes: Mapping[str, int]) -> str | None:
    base = os.fspath(folder)
    for path, size in sizes.items():
        try:
            # Joined strings: a Path for each of 4,300 files would triple the time.
            found = os.lstat(f"{base}/{path}").st_size
        except OSError as error:
            return f"{path}: {error.strerror}"
        if found != size:
            return f"{path} has {found} bytes instead of {size}"
    return None


def _wrong_digest(folder: Path, digests: Mapping[str, str | None]) -> str | None:
    for path, digest in digests.items():
        try:
            if file_digest(folder / path) != digest:
                return f"{path} has changed"
        except OSError as error:
            return f"{path}: {error.strerror}"
    return None
