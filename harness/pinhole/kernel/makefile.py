# SPDX-License-Identifier: GPL-2.0-only
"""Which version a kernel source says it is, from the first lines of its top Makefile."""

from __future__ import annotations

import re

from pinhole.errors import KernelError

_LINE = re.compile(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION)[ \t]*=[ \t]*(\S*)", re.MULTILINE)
_NUMBER = re.compile(r"\d{1,5}")
_CANDIDATE = re.compile(r"-rc\d+")
_BYTES = 1 << 20


def version(content: bytes, source: str) -> str:
    """The upstream version (``6.12.117``, ``6.13.0-rc4``) that the Makefile ``content`` names.

    Of EXTRAVERSION only a release candidate counts: the rest is whoever built it. Raises
    ``KernelError``, naming ``source``, if this is no kernel's Makefile.
    """
    said: dict[str, str] = {}
    for name, value in _LINE.findall(content[:_BYTES].decode(errors="replace")):
        said.setdefault(name, value)
    numbers = [said.get(name, "") for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL")]
    if not all(_NUMBER.fullmatch(number) for number in numbers):
        raise KernelError(
            f"{source} is no kernel source: its Makefile does not begin with VERSION, PATCHLEVEL "
            "and SUBLEVEL; give the top folder of a kernel tree"
        )
    candidate = _CANDIDATE.match(said.get("EXTRAVERSION", ""))
    return ".".join(numbers) + (candidate[0] if candidate else "")
