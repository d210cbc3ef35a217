# SPDX-License-Identifier: GPL-2.0-only
"""YAML into typed models, with errors that name file, line, key and what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from pinhole.errors import UsageError

Location = tuple[str | int, ...]


class StrictModel(BaseModel):
    """A frozen model that refuses keys it does not know: a misspelt key must not be ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


M = TypeVar("M", bound=StrictModel)


@dataclass(frozen=True)
class YamlFile:
    """A parsed file: plain data, and the line on which each key or item stands."""

    path: str
    data: object
    lines: Mapping[Location, int]

    @classmethod
    def read(cls, path: Path) -> YamlFile:
        """Parses ``path``; raises ``UsageError`` for a file that is not there or not YAML."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise UsageError(f"cannot read {path}: {reason}") from error
        return cls.parse(text, str(path))

    @classmethod
    def parse(cls, text: str, path: str) -> YamlFile:
        """Parses ``text``; ``path`` is only for messages."""
        try:
            # compose() keeps the marks and makes no objects; the data are then made by the safe
            # constructor from the very same nodes.
            loader = yaml.SafeLoader(text)
            try:
                node = loader.get_single_node()
                lines: dict[Location, int] = {}
                _walk(node, (), lines, path)
                data: object = None if node is None else loader.construct_document(node)
            finally:
                loader.dispose()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = f"{path}:{mark.line + 1}" if mark else path
            raise UsageError(f"{where}: not valid YAML: {error.problem}") from error
        except (yaml.YAMLError, RecursionError, ValueError) as error:
            raise UsageError(f"{path}: not valid YAML: {error}") from error
        return cls(path, data, lines)

    def where(self, location: Location) -> str:
        """``file:line`` of ``location``, or of the nearest thing around it that has a line."""
        for length in range(len(location), -1, -1):
            line = self.lines.get(location[:length])
            if line is not None:
                return f"{self.path}:{line}"
        return self.path

    def model(self, kind: type[M]) -> M:
        """The data as a ``kind``; raises ``UsageError`` with one line for each mistake."""
        return self.model_at(kind, (), self.data)

    def model_at(self, kind: type[M], base: Location, data: object) -> M:
        """``data``, which stands at ``base`` in this file, as a ``kind``."""
        if not isinstance(data, dict):
            raise UsageError(f"{self.where(base)}: expected keys and values, found {_name(data)}")
        try:
            return kind.model_validate(data)
        except ValidationError as error:
            details = [detail for detail in error.errors() if not _other_branch(detail)]
            lines = (self._explain(kind, base, detail) for detail in details)
            raise UsageError("\n".join(dict.fromkeys(lines))) from error

    def _explain(self, kind: type[BaseModel], base: Location, detail: Any) -> str:
        location: Location = base + tuple(detail["loc"])
        # pydantic puts names of union branches into the location; only what is in the file counts.
        real = self._real(location)
        key = str(location[-1]) if location else ""
        where = self.where(real)
        if detail["type"] == "extra_forbidden":
            known = _fields(kind, tuple(detail["loc"])[:-1])
            return f"{where}: unknown key {key!r}{did_you_mean(key, known)}"
        if detail["type"] == "missing":
            return f"{where}: the key {key!r} is missing"
        message = detail["msg"].removeprefix("Value error, ")
        named = ".".join(str(part) for part in real)
        return f"{where}: {named}: {message} (found {_name(detail.get('input'))})"

    def _real(self, location: Location) -> Location:
        found: Location = ()
        for part in location:
            if (*found, part) in self.lines:
                found = (*found, part)
        return found


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for the nearest of ``known``, else a list of all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    if close:
        return f" (did you mean {close[0]!r}?)"
    return f" (known: {', '.join(names)})" if names else ""


def _other_branch(detail: Any) -> bool:
    """Whether the error is of the branch of a union that the user did not mean.

    Where a name or keys may stand, pydantic reports the mistakes of both readings.
    """
    given = detail.get("input")
    return (detail["type"] == "string_type" and isinstance(given, dict)) or (
        detail["type"] == "model_type" and isinstance(given, str)
    )


def _walk(
    node: yaml.Node | None, location: Location, lines: dict[Location, int], path: str
) -> None:
    if node is None:
        return
    lines.setdefault(location, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key_node, value in node.value:
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if key in seen:
                raise UsageError(f"{path}:{line}: the key {key!r} stands twice")
            seen.add(key)
            lines[(*location, key)] = line
            _walk(value, (*location, key), lines, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*location, index), lines, path)


def _fields(kind: type[BaseModel], location: Location) -> list[str]:
    """The field names of the model that stands at ``location`` inside ``kind``."""
    for part in location:
        if isinstance(part, str) and part in kind.model_fields:
            inner = _model_in(kind.model_fields[part].annotation)
            if inner is not None:
                kind = inner
    return list(kind.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _model_in(argument)
        if found is not None:
            return found
    return None


def _name(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
