# SPDX-License-Identifier: GPL-2.0-only
"""Kernel recipes: which kernel a plan or the command line asks for, as values.

Ready kernels are ``debian:6.12``, ``image:PATH`` or a mapping with ``image:``; kernels that are
built are ``source:debian:6.12``, ``git:PLACE@REF``, ``tree:PATH``, ``tarball:PATH@SHA256``,
``variant:NAME``, a mapping (``recipe_mapping.py``) or the path of a YAML file that holds one. A
recipe says nothing about how the kernel is had; ``kernel.resolve`` does.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pinhole.errors import UsageError
from pinhole.kernel.source import DebianSource, GitSource, KernelSource, TarballSource, TreeSource
from pinhole.kernel.source_git import is_url
from pinhole.kernel.suites import SERIES
from pinhole.kernel.variants import default_series

DEFAULT_FRAGMENTS = ("base", "hotplug", "holds", "tracing", "faults")
"""What every scenario of the catalogue takes, and what its evidence is taken from."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class DebianRecipe:
    """The newest generic kernel of ``series`` (``6.12``) that Debian ships, ready-made."""

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


@dataclass(frozen=True)
class ConfigRecipe:
    """What a built kernel's configuration is made of.

    ``base`` is ``allnoconfig``, ``defconfig``, ``tree`` (the .config that lies in a tree:) or a
    file. ``fragments`` are names in ``kernel-configs/fragments/`` or files, merged in order;
    ``options`` are (``CONFIG_X``, value) and come last. Each of them is checked in the end.
    """

    base: str | Path = "allnoconfig"
    fragments: tuple[str | Path, ...] = DEFAULT_FRAGMENTS
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class BuildRecipe:
    """A kernel that is built from ``source``: variant first, then ``patches``, in order.

    ``compiler`` is the C compiler's command. ``sandbox`` is None where the host decides.
    """

    source: KernelSource
    variant: str | None = None
    patches: tuple[Path, ...] = ()
    config: ConfigRecipe = field(default_factory=ConfigRecipe)
    compiler: str = "gcc"
    sandbox: bool | None = field(default=None, compare=False)
    name: str | None = None

    @property
    def label(self) -> str:
        """How tables and options call it: its name, or source, variant and patches."""
        if self.name:
            return self.name
        parts = [self.source.label, *([self.variant] if self.variant else [])]
        label = "+".join([*parts, *(patch.stem for patch in self.patches)])
        if self.config != ConfigRecipe():
            # Two configurations of one source must not share a column, nor a folder of a run.
            label += f"#{hashlib.sha256(repr(self.config).encode()).hexdigest()[:6]}"
        return label


KernelRecipe = DebianRecipe | ImageRecipe | BuildRecipe

_FORMS = (
    "source:debian:6.12",
    "variant:NAME",
    "git:PLACE@REF",
    "tree:PATH",
    "tarball:PATH@SHA256",
    "image:PATH",
    "FILE.yaml",
)


def parse_recipe(
    value: str | Mapping[str, object], *, relative_to: Path | None = None
) -> KernelRecipe:
    """The recipe that ``value`` means; paths are relative to ``relative_to`` (or the cwd).

    Raises ``UsageError``, with a suggestion where there is a near one.
    """
    if isinstance(value, str):
        return _from_text(value.strip(), relative_to)
    from pinhole.kernel.recipe_mapping import from_mapping  # noqa: PLC0415 - it builds on this file

    return from_mapping(value, relative_to)


def patched(recipe: KernelRecipe, patches: Iterable[Path]) -> BuildRecipe:
    """``recipe`` with ``patches`` on top; ``UsageError`` for a kernel that is ready-made."""
    if not isinstance(recipe, BuildRecipe):
        hint = f"; write 'source:{recipe.label}'" if isinstance(recipe, DebianRecipe) else ""
        raise UsageError(
            f"{recipe.label} is a ready kernel: patches need one that is built from source{hint}"
        )
    added = tuple(patches)
    name = recipe.name and "+".join([recipe.name, *(patch.stem for patch in added)])
    return replace(recipe, patches=(*recipe.patches, *added), name=name)


def with_choices(
    recipe: KernelRecipe, patches: Iterable[Path], sandbox: bool | None
) -> KernelRecipe:
    """``recipe`` with ``patches`` on top, and built in a sandbox or not, as the user says."""
    added = [path.absolute() for path in patches]
    if added:
        recipe = patched(recipe, added)
    if sandbox is not None and isinstance(recipe, BuildRecipe):
        recipe = replace(recipe, sandbox=sandbox)
    return recipe


def parse_source(text: str, relative_to: Path | None) -> KernelSource | None:
    """The source that ``text`` names (``debian:6.12``, ``git:…``), or None if it names none."""
    kind, _, rest = text.partition(":")
    rest = rest.strip()
    if kind == "debian" and rest in SERIES:
        return DebianSource(rest)
    if kind == "tree" and rest:
        return TreeSource(local_path(rest, relative_to))
    if kind == "git" and rest:
        place, at, ref = rest.rpartition("@")
        if not at or not place or not ref:
            raise UsageError(f"{text!r} names no revision: write git:PLACE@REF (git:~/linux@v6.12)")
        return GitSource(git_place(place, relative_to), ref)
    if kind == "tarball" and rest:
        path, at, digest = rest.rpartition("@")
        if not at or not path:
            raise UsageError(f"{text!r} has no checksum: write tarball:PATH@SHA256")
        return TarballSource(local_path(path, relative_to), checked_sha256(digest))
    return None


def git_place(text: str, relative_to: Path | None) -> str:
    """A URL, or ssh's ``host:path``, as it is; a path made absolute."""
    return text if is_url(text) else str(local_path(text, relative_to))


def checked_sha256(text: str) -> str:
    """``text`` as lower-case hex; ``UsageError`` if it is no SHA-256."""
    found = text.strip().lower()
    if _SHA256.fullmatch(found) is None:
        raise UsageError(f"{text!r} is no SHA-256 (64 hex digits, as sha256sum prints them)")
    return found


def local_path(text: object, relative_to: Path | None) -> Path:
    """A path of the user's, absolute."""
    return (relative_to or Path.cwd()) / Path(str(text).strip()).expanduser()


def _from_text(text: str, relative_to: Path | None) -> KernelRecipe:
    kind, colon, rest = text.partition(":")
    rest = rest.strip()
    if kind == "debian" and rest in SERIES:
        return DebianRecipe(rest)
    if kind == "image" and rest:
        return ImageRecipe(local_path(rest, relative_to))
    if kind == "variant" and rest:
        name, _, series = rest.partition("@")
        return BuildRecipe(DebianSource(series or default_series(name)), variant=name, name=rest)
    source = parse_source(rest if kind == "source" else text, relative_to)
    if source is not None:
        return BuildRecipe(source)
    if not colon and text.endswith((".yaml", ".yml")):
        from pinhole.kernel.recipe_mapping import from_file  # noqa: PLC0415 - as above

        return from_file(local_path(text, relative_to))
    if not colon and "/" in text:
        raise UsageError(f"unknown kernel {text!r} (did you mean 'image:{text}'?)")
    known = [f"debian:{series}" for series in SERIES]
    near = nearest(text, [*known, *(f"source:{one}" for one in known)])
    hint = f"did you mean {near!r}? " if near else ""
    raise UsageError(f"unknown kernel {text!r} ({hint}known: {', '.join([*known, *_FORMS])})")


def nearest(text: str, known: Iterable[str]) -> str | None:
    """The known name that was most likely meant.

    Transposed characters come first: difflib alone takes 'debian:6.21' for 'debian:6.1'.
    """
    near = difflib.get_close_matches(text, list(known), n=5, cutoff=0.6)
    return min(near, key=lambda one: sorted(one) != sorted(text), default=None)
