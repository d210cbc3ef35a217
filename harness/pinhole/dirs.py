# SPDX-License-Identifier: GPL-2.0-only
"""The folders on the host that pinhole writes to, each made with mode 0700."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from pinhole.errors import HostError


def private_dir(path: Path, elsewhere: str = "point PINHOLE_CACHE elsewhere") -> Path:
    """``path``, made with mode 0700 where it was missing; raises ``HostError`` with the reason.

    ``elsewhere`` says how the user chooses another place.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise HostError(
            f"cannot make the folder {path}: {error.strerror}; free some space or mend its "
            f"permissions, or {elsewhere}"
        ) from error
    return path


def cache_dir() -> Path:
    """The user's cache: ``$PINHOLE_CACHE``, or ``~/.cache/pinhole``."""
    chosen = os.environ.get("PINHOLE_CACHE")
    return private_dir(Path(chosen) if chosen else Path(platformdirs.user_cache_dir("pinhole")))
