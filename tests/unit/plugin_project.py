# SPDX-License-Identifier: GPL-2.0-only
"""A user's own project with tests, and pytest as a process of its own in it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_UNWANTED = {"PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTHONWARNINGS", "FORCE_COLOR", "PY_COLORS"}


@dataclass(frozen=True)
class Session:
    """How a pytest session ended, and what it printed."""

    status: int
    text: str

    @property
    def outcomes(self) -> Mapping[str, int]:
        """The counts of the last line: ``{"passed": 1, "skipped": 2}``."""
        last = self.text.strip().splitlines()[-1]
        return {word: int(count) for count, word in re.findall(r"(\d+) ([a-z]+)(?=,| in )", last)}


@dataclass(frozen=True)
class Project:
    """A folder with a test file; runs of pinhole are kept in ``runs``."""

    folder: Path

    @property
    def runs(self) -> Path:
        return self.folder / "pinhole-runs"

    @property
    def kept(self) -> Sequence[Path]:
        """The directories of failed tests."""
        return sorted(path for path in self.runs.glob("*/*") if path.is_dir())

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def command(self, *arguments: str) -> list[str]:
        """pytest as a user would call it, but warnings are errors and nothing is cached."""
        python = [sys.executable, "-W", "error", "-m", "pytest", "-W", "error"]
        ours = ["--pinhole-runs", str(self.runs), "--pinhole-patience", "3"]
        return [*python, "-p", "no:cacheprovider", "-rs", *ours, *arguments]

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in _UNWANTED}
        return {**kept, "COLUMNS": "300"}

    def pytest(self, *arguments: str) -> Session:
        """Runs pytest in the folder to its end."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        return Session(done.returncode, done.stdout)
