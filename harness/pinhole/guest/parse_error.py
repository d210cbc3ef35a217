# SPDX-License-Identifier: GPL-2.0-only
"""What every parser of the guest's text raises on text that it cannot read."""

from __future__ import annotations

from pinhole.errors import PinholeError

_QUOTED = 200


class ParseError(PinholeError):
    """Text of the guest is not in the form that the kernel or pinhole's programs write."""


def quoted(text: str | bytes) -> str:
    """``text`` for a message: escaped and cut, because the guest is hostile."""
    found = repr(text[:_QUOTED])
    return found if len(text) <= _QUOTED else f"{found}… ({len(text)} in all)"
