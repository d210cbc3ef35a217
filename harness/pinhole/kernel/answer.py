# SPDX-License-Identifier: GPL-2.0-only
"""What a mirror last said about a series, so that it is not asked in every run."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from pinhole.dirs import cache_dir
from pinhole.kernel import cache


@dataclass(frozen=True)
class Answer:
    """When the mirror was last asked with success, what it said, and when it last failed."""

    asked: float
    failed: float
    sha256: str

    @staticmethod
    def age(when: float) -> float:
        """Seconds since ``when``; a time in the future (the clock was set) is long ago."""
        age = time.time() - when
        return age if age >= 0 else float("inf")

    @classmethod
    def success(cls, sha256: str) -> Answer:
        """What is remembered when the mirror says now that ``sha256`` is the newest package."""
        return cls(asked=time.time(), failed=0.0, sha256=sha256)

    @classmethod
    def failure(cls, series: str) -> Answer:
        """What is remembered when the mirror fails now."""
        before = cls.read(series)
        return cls(before.asked if before else 0.0, time.time(), before.sha256 if before else "")

    @classmethod
    def read(cls, series: str) -> Answer | None:
        """What is remembered; nothing if the file is missing or cannot be understood."""
        try:
            kept = json.loads(_answer_file(series).read_bytes())
            return cls(float(kept["asked"]), float(kept["failed"]), str(kept["sha256"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None  # then the mirror is asked again, which mends it

    def write(self, series: str) -> None:
        """Remembers it; the lock of the series must be held."""
        path = _answer_file(series)
        with cache.full_disk_named(f"the answer for {series}", path):
            aside = path.with_suffix(".new")
            aside.write_text(json.dumps(vars(self)))
            aside.replace(path)


def _answer_file(series: str) -> Path:
    return cache_dir() / "debian" / f"{series}.json"
