# SPDX-License-Identifier: GPL-2.0-only
"""Kernel recipes: which kernel a plan or the command line asks for, as values.

``debian:6.12``, ``image:PATH``, or a mapping ``{image: PATH, modules: PATH, config: PATH,
name: LABEL}``. A recipe says nothing about how the kernel is had; ``kernel.resolve`` does.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pinhole.errors import UsageError
from pinhole.kernel.suites import SERIES


@dataclass(frozen=True)
class DebianRecipe:
    """The newest generic kernel of ``series`` (``6.12``) that Debian ships."""

    series: str

    @property
    def label(self) -> str:
        """How tables and options call it."""
        return f"debian:{self.series}"


@dataclass(frozen=True)
class ImageRecipe:
    """A bzImage that is there already; ``modules`` is ``lib/modules/RELEASE`` or holds it."""

    image: Path
    modules: Path | None = None
    config: Path | None = None
    name: str | None = None

    @property
    def label(self) -> str:
        """How tables and options call it."""
        return self.name or f"image:{self.image.name}"


KernelRecipe = DebianRecipe | ImageRecipe

_KEYS = ("image", "modules", "config", "name")
_FORMS = "image:PATH"


def parse_recipe(
    value: str | Mapping[str, object], *, relative_to: Path | None = None
) -> KernelRecipe:
    """The recipe that ``value`` means; paths are relative to ``relative_to`` (or the cwd).

    Raises ``UsageError``, with a suggestion where there is a near one.
    """
    if isinstance(value, str):
        return _from_text(value.strip(), relative_to)
    return _from_mapping(value, relative_to)


def _from_text(text: str, relative_to: Path | None) -> KernelRecipe:
    source, colon, rest = text.partition(":")
    rest = rest.strip()
    if source == "debian" and rest in SERIES:
        return DebianRecipe(rest)
    if source == "image" and rest:
        return ImageRecipe(_path(rest, relative_to))
    if not colon and "/" in text:
        raise UsageError(f"unknown kernel {text!r} (did you mean 'image:{text}'?)")
    known = [f"debian:{series}" for series in SERIES]
    near = _nearest(text, known)
    hint = f"did you mean {near!r}? " if near else ""
    raise UsageError(f"unknown kernel {text!r} ({hint}known: {', '.join([*known, _FORMS])})")


def _from_mapping(value: Mapping[str, object], relative_to: Path | None) -> KernelRecipe:
    for key, given in value.items():
        if key not in _KEYS:
            near = _nearest(str(key), _KEYS)
            hint = f"did you mean {near!r}? " if near else ""
            raise UsageError(f"unknown key {key!r} in a kernel ({hint}known: {', '.join(_KEYS)})")
        if not isinstance(given, str | Path) or not str(given).strip():
            raise UsageError(f"a kernel's {key!r} must be a text that is not empty, not {given!r}")
    if "image" not in value:
        raise UsageError(f"a kernel written as a mapping needs the key 'image': {dict(value)!r}")
    return ImageRecipe(
        image=_path(value["image"], relative_to),
        modules=_path(value["modules"], relative_to) if "modules" in value else None,
        config=_path(value["config"], relative_to) if "config" in value else None,
        name=str(value["name"]).strip() if "name" in value else None,
    )


def _path(text: object, relative_to: Path | None) -> Path:
    return (relative_to or Path.cwd()) / Path(str(text).strip()).expanduser()


def _nearest(text: str, known: Iterable[str]) -> str | None:
    """The known name that was most likely meant.

    Transposed characters come first: difflib alone takes 'debian:6.21' for 'debian:6.1'.
    """
    near = difflib.get_close_matches(text, list(known), n=5, cutoff=0.6)
    return min(near, key=lambda one: sorted(one) != sorted(text), default=None)
