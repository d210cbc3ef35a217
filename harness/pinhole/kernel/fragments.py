# SPDX-License-Identifier: GPL-2.0-only
"""Fragments of a kernel configuration: what is asked for, by whom, and on which kernels.

A fragment is a text of ``CONFIG_X=value`` lines, as ``make`` takes them. Behind the value a
comment may hold a range of upstream versions, for options that other kernels do not have::

    CONFIG_GUP_TEST=y # >=5.11

``# CONFIG_X is not set`` asks for the option to be off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from pinhole.errors import UsageError
from pinhole.resources import shipped
from pinhole.versions import in_range
from pinhole.yamlfile import did_you_mean

_SET = re.compile(r"(?P<option>CONFIG_\w+)=(?P<value>\"[^\"]*\"|[^\s#]+)\s*(?:#\s*(?P<range>.*))?")
_UNSET = re.compile(r"# (?P<option>CONFIG_\w+) is not set")


@dataclass(frozen=True)
class Request:
    """One option that is asked for: ``value`` as .config has it (``n``: not set), and by whom.

    ``kernels`` is the range of upstream versions that it holds for, empty for all.
    """

    option: str
    value: str
    source: str
    kernels: str = ""

    @property
    def line(self) -> str:
        """The line of .config that this asks for."""
        return f"# {self.option} is not set" if self.value == "n" else f"{self.option}={self.value}"

    def holds_for(self, version: str) -> bool:
        """Whether it is asked of a kernel of upstream ``version``."""
        return not self.kernels or in_range(version, self.kernels)

    def granted(self, value: str | None) -> bool:
        """Whether the final ``value`` (None: not set) is what was asked for."""
        if self.value == "n":
            return value is None
        return value is not None and value == self.value.strip('"')


def fragment_names() -> tuple[str, ...]:
    """The fragments that pinhole ships, by name."""
    return tuple(sorted(path.stem for path in _folder().glob("*.config")))


def fragment_path(named: str | Path) -> Path:
    """Where the fragment lies; ``UsageError`` with what was probably meant if it is unknown."""
    if isinstance(named, Path):
        return named
    if named not in fragment_names():
        raise UsageError(
            f"unknown configuration fragment {named!r}{did_you_mean(named, fragment_names())}: "
            f"known are {', '.join(fragment_names())}, or a path of your own"
        )
    return _folder() / f"{named}.config"


def fragment_text(named: str | Path) -> str:
    """The text of a fragment; ``UsageError`` if it cannot be read."""
    path = fragment_path(named)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"cannot read the configuration fragment {path}: {reason}") from error


def requests(
    fragments: Iterable[str | Path], options: Sequence[tuple[str, str]]
) -> tuple[Request, ...]:
    """All that is asked for: what comes later replaces what came before.

    Raises ``UsageError`` naming file and line for what is no line of a fragment.
    """
    merged: dict[tuple[str, str], Request] = {}
    for fragment in fragments:
        name = fragment if isinstance(fragment, str) else str(fragment)
        for request in parse(fragment_text(fragment), name):
            _forget(merged, request)
            merged[request.option, request.kernels] = request
    for option, value in options:
        request = Request(option, value, "options")
        _forget(merged, request)
        merged[option, ""] = request
    return tuple(merged.values())


def parse(text: str, name: str) -> tuple[Request, ...]:
    """The lines of a fragment; ``name`` is what its requests' ``source`` begins with."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        where = f"{name}:{number}"
        unset = _UNSET.fullmatch(stripped)
        given = _SET.fullmatch(stripped)
        if unset:
            found.append(Request(unset["option"], "n", where))
        elif given:
            kernels = (given["range"] or "").strip()
            found.append(Request(given["option"], given["value"], where, _range(kernels, where)))
        elif stripped and not stripped.startswith("#"):
            raise UsageError(
                f"{where}: {stripped!r} is no line of a configuration (CONFIG_X=y, "
                "'CONFIG_X=y # >=6.2' or '# CONFIG_X is not set')"
            )
    return tuple(found)


def _range(text: str, where: str) -> str:
    try:
        SpecifierSet(text)
    except InvalidSpecifier as error:
        raise UsageError(
            f"{where}: {text!r} is not a range of kernel versions (write '# >=5.13, <6.14'); put "
            "other comments on a line of their own"
        ) from error
    return text


def _forget(merged: dict[tuple[str, str], Request], request: Request) -> None:
    """A request for all kernels replaces whatever was asked of some of them."""
    if not request.kernels:
        for key in [key for key in merged if key[0] == request.option]:
            del merged[key]


def _folder() -> Path:
    return shipped("kernel-configs") / "fragments"
