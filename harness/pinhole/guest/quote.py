# SPDX-License-Identifier: GPL-2.0-only
"""The one place where words become a line for the guest's shell, or for a message."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from pinhole.errors import UsageError

_SHOWN = 120


def shell_line(argv: Sequence[str]) -> str:
    """``argv`` as one line that a POSIX shell splits into the same words again.

    Raises ``UsageError`` for no words at all and for a NUL, which no exec() can pass on.
    """
    if not argv:
        raise UsageError("a command for the guest needs at least one word")
    if any("\0" in word for word in argv):
        raise UsageError(f"a command for the guest holds a NUL: {shown(argv)}")
    return shlex.join(argv)


def shown(argv: Sequence[str]) -> str:
    """``argv`` as messages name it: one printable line, cut to a bearable length."""
    line = shlex.join(argv).encode("unicode_escape").decode("ascii")
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"


def glob_literal(path: str) -> str:
    """A glob(7) pattern that only ``path`` matches; glob(3) drops the backslashes again."""
    return re.sub(r"([\\*?\[\]])", r"\\\1", path)
