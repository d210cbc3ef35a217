# SPDX-License-Identifier: GPL-2.0-only
"""Text that a guest or QEMU wrote, made safe to show and read in bounded amounts."""

from __future__ import annotations

from pathlib import Path


def printable(text: str) -> str:
    """``text`` with everything but printable characters, tabs and newlines escaped: a guest must
    not move the cursor of, or colour, the terminal that shows its words."""
    text = text.replace("\r\n", "\n")
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one in "\n\t" else one.encode("unicode_escape").decode()
        for one in text
    )


def file_tail(path: Path, limit_bytes: int) -> str:
    """The last ``limit_bytes`` of a file, decoded with replacement; empty if it is missing."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - limit_bytes))
            return file.read(limit_bytes).decode(errors="replace")
    except FileNotFoundError:
        return ""
