# SPDX-License-Identifier: GPL-2.0-only
"""A recipe written as a YAML mapping, in a plan's ``kernels:`` or in a file of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pinhole.errors import UsageError
from pinhole.kernel.recipe import (
    DEFAULT_FRAGMENTS,
    BuildRecipe,
    ConfigRecipe,
    ImageRecipe,
    KernelRecipe,
    checked_sha256,
    git_place,
    local_path,
    nearest,
    parse_recipe,
    parse_source,
)
from pinhole.kernel.source import DebianSource, GitSource, KernelSource, TarballSource, TreeSource
from pinhole.kernel.variants import default_series
from pinhole.yamlfile import YamlFile

_IMAGE_KEYS = ("image", "modules", "config", "name")
_SOURCE_KEYS = ("source", "git", "tree", "tarball")
_BUILD_KEYS = (*_SOURCE_KEYS, "variant", "patches", "config", "compiler", "sandbox", "name")
_CONFIG_KEYS = ("base", "fragments", "options")
_BASES = ("allnoconfig", "defconfig", "tree")


def from_file(path: Path) -> KernelRecipe:
    """The recipe in the YAML file ``path``; its paths are relative to its folder."""
    file = YamlFile.read(path)
    if not isinstance(file.data, str | dict):
        raise UsageError(f"{path}: a kernel's recipe is a mapping, such as 'source: debian:6.12'")
    try:
        return parse_recipe(file.data, relative_to=path.absolute().parent)
    except UsageError as error:
        raise UsageError(f"{file.where(())}: {error}") from error


def from_mapping(value: Mapping[str, object], relative_to: Path | None) -> KernelRecipe:
    """The recipe that ``value`` means; ``UsageError`` names the key that is wrong."""
    if "image" in value:
        return _image(value, relative_to)
    _known_keys(value, (*_BUILD_KEYS, "image"), "a kernel")
    source = _source(value, relative_to)
    sandbox = value.get("sandbox")
    if sandbox is not None and not isinstance(sandbox, bool):
        raise UsageError(f"a kernel's 'sandbox' is true or false, not {sandbox!r}")
    return BuildRecipe(
        source=source,
        variant=_optional_text(value, "variant"),
        patches=tuple(local_path(one, relative_to) for one in _texts(value, "patches")),
        config=_config(value.get("config", {}), relative_to),
        compiler=_optional_text(value, "compiler") or "gcc",
        sandbox=sandbox,
        name=_optional_text(value, "name") or (None if _named_source(value) else _variant(value)),
    )


def _image(value: Mapping[str, object], relative_to: Path | None) -> ImageRecipe:
    _known_keys(value, _IMAGE_KEYS, "a ready kernel")
    paths = {
        key: local_path(_text(value, key), relative_to) for key in _IMAGE_KEYS[:3] if key in value
    }
    return ImageRecipe(
        image=paths["image"],
        modules=paths.get("modules"),
        config=paths.get("config"),
        name=_optional_text(value, "name"),
    )


def _named_source(value: Mapping[str, object]) -> bool:
    return any(key in value for key in _SOURCE_KEYS)


def _variant(value: Mapping[str, object]) -> str | None:
    variant = _optional_text(value, "variant")
    return None if variant is None or value.get("patches") else variant


def _source(value: Mapping[str, object], relative_to: Path | None) -> KernelSource:
    named = [key for key in _SOURCE_KEYS if key in value]
    if len(named) > 1:
        raise UsageError(f"a kernel has one source, not {' and '.join(named)}")
    if not named:
        variant = _optional_text(value, "variant")
        if variant is not None:
            return DebianSource(default_series(variant))
        raise UsageError(
            "a kernel written as a mapping needs 'image', or a source to build from "
            f"({', '.join(_SOURCE_KEYS)}): {dict(value)!r}"
        )
    key = named[0]
    if key == "git":
        given = _mapping(value["git"], "git", ("path", "url", "ref"))
        places = [one for one in ("path", "url") if one in given]
        if len(places) != 1 or "ref" not in given:
            raise UsageError("a kernel's 'git' needs 'path' or 'url', and 'ref'")
        place = _text(given, places[0])
        return GitSource(
            git_place(place, relative_to) if places == ["path"] else place, _text(given, "ref")
        )
    if key == "tarball":
        given = _mapping(value["tarball"], "tarball", ("path", "sha256"))
        if set(given) != {"path", "sha256"}:
            raise UsageError("a kernel's 'tarball' needs 'path' and 'sha256'")
        path = local_path(_text(given, "path"), relative_to)
        return TarballSource(path, checked_sha256(_text(given, "sha256")))
    text = _text(value, key)
    if key == "tree":
        return TreeSource(local_path(text, relative_to))
    source = parse_source(text, relative_to)
    if source is None:
        near = nearest(text, ["debian:5.10", "debian:6.1", "debian:6.12"])
        hint = f"did you mean {near!r}? " if near else ""
        raise UsageError(
            f"unknown source {text!r} ({hint}known: debian:6.12, git:PLACE@REF, tree:PATH, "
            "tarball:PATH@SHA256)"
        )
    return source


def _config(value: object, relative_to: Path | None) -> ConfigRecipe:
    if isinstance(value, str):
        value = {"base": value}
    given = _mapping(value, "config", _CONFIG_KEYS)
    base = _optional_text(given, "base") or "allnoconfig"
    options = _mapping(given.get("options", {}), "options", None)
    fragments = _texts(given, "fragments") if "fragments" in given else DEFAULT_FRAGMENTS
    return ConfigRecipe(
        base=base if base in _BASES else local_path(base, relative_to),
        fragments=tuple(
            local_path(one, relative_to) if "/" in one or one.endswith(".config") else one
            for one in fragments
        ),
        options=tuple((_option(name), _value(given)) for name, given in options.items()),
    )


def _option(name: str) -> str:
    if not name.startswith("CONFIG_"):
        raise UsageError(f"{name!r} is no kernel option (did you mean 'CONFIG_{name}'?)")
    return name


def _value(given: object) -> str:
    """YAML takes a bare ``y`` for text and ``yes`` for true; a number for a number."""
    if isinstance(given, bool):
        return "y" if given else "n"
    if isinstance(given, str | int):
        return str(given)
    raise UsageError(f"a kernel option's value is y, n, m, a number or a text, not {given!r}")


def _known_keys(value: Mapping[str, object], known: tuple[str, ...], what: str) -> None:
    for key in value:
        if key not in known:
            near = nearest(str(key), known)
            hint = f"did you mean {near!r}? " if near else ""
            raise UsageError(f"unknown key {key!r} in {what} ({hint}known: {', '.join(known)})")


def _mapping(value: object, key: str, known: tuple[str, ...] | None) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise UsageError(f"a kernel's {key!r} must be a mapping, not {value!r}")
    if known is not None:
        _known_keys(value, known, f"a kernel's {key!r}")
    return value


def _texts(value: Mapping[str, object], key: str) -> tuple[str, ...]:
    given = value.get(key, ())
    if isinstance(given, str):
        given = (given,)
    if not isinstance(given, list | tuple) or not all(
        isinstance(one, str) and one.strip() for one in given
    ):
        raise UsageError(f"a kernel's {key!r} must be a list of texts, not {given!r}")
    return tuple(given)


def _text(value: Mapping[str, object], key: str) -> str:
    given = value[key]
    if not isinstance(given, str | Path) or not str(given).strip():
        raise UsageError(f"a kernel's {key!r} must be a text that is not empty, not {given!r}")
    return str(given).strip()


def _optional_text(value: Mapping[str, object], key: str) -> str | None:
    return _text(value, key) if key in value else None
