# SPDX-License-Identifier: GPL-2.0-only
"""Sizes as people write them (``512M``), as bytes; units are binary, as QEMU's are."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30

_UNITS = {"": 1, "K": KIB, "M": MIB, "G": GIB, "T": 1 << 40}
_PATTERN = r"^\s*[0-9]+\s*[KMGTkmgt]?([Ii]?[Bb])?\s*$"
_SIZE = re.compile(r"(\d+)\s*([KMGT]?)(?:I?B)?", re.IGNORECASE)


def parse_size(text: str | int) -> int:
    """Bytes of ``text``: a count of bytes, or a number with K, M, G or T (powers of 1024).

    Raises ``ValueError`` for anything else, for a negative number and for a bool.
    """
    if isinstance(text, bool) or not isinstance(text, str | int):
        raise ValueError(f"{text!r} is not a size (write 512M, 2G or a count of bytes)")
    if isinstance(text, int):
        if text < 0:
            raise ValueError(f"{text} is not a size: it is negative")
        return text
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a size (write 512M, 2G or a count of bytes)")
    return int(found[1]) * _UNITS[found[2].upper()]


def format_size(size_bytes: int) -> str:
    """``size_bytes`` in the largest unit that divides it: 536870912 is ``512M``."""
    for unit in ("T", "G", "M", "K"):
        if size_bytes and size_bytes % _UNITS[unit] == 0:
            return f"{size_bytes // _UNITS[unit]}{unit}"
    return str(size_bytes)


SizeBytes = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(format_size, return_type=str, when_used="json"),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": _PATTERN}]}
    ),
]
"""A pydantic field of bytes that a user may write as ``512M``."""
