# SPDX-License-Identifier: GPL-2.0-only
"""Kconfig's dependency expressions, with present values: which of their conditions are not met.

They come as scripts/kconfig prints them: ``A [=y] && (B [=n] || !C [=m]) && D``; a symbol
without a value is one that no Kconfig file defines, which counts as ``n``
(Documentation/kbuild/kconfig-language.rst, "Menu dependencies").
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"\s*(?P<operator>&&|\|\||!=|<=|>=|<|>|=|!|\(|\))"
    r"|\s*(?P<symbol>\"[^\"]*\"|[A-Za-z0-9_.-]+)(?: \[=(?P<value>[^\]]*)\])?"
)
_TRISTATE = {"n": 0, "m": 1, "y": 2}


@dataclass(frozen=True)
class _Part:
    """A parsed part: its tristate value (0 to 2), and where it stands in the text."""

    value: int
    begin: int
    end: int


def _both(parts: list[_Part]) -> _Part:
    return _Part(min(part.value for part in parts), parts[0].begin, parts[-1].end)


class _Parser:
    """Recursive descent over the tokens; the top-level conjunction is kept apart."""

    def __init__(self, text: str) -> None:
        self._tokens = [match for match in _TOKEN.finditer(text) if match.group().strip()]
        self._next = 0
        self.conjuncts: list[_Part] = []

    def top(self) -> None:
        """Parses the whole; ``conjuncts`` are its parts if it is one conjunction, else itself."""
        self.conjuncts = self._parts()
        if self._take("||"):
            first, rest = _both(self.conjuncts), self._any()
            self.conjuncts = [_Part(max(first.value, rest.value), first.begin, rest.end)]

    def _parts(self) -> list[_Part]:
        parts = [self._unary()]
        while self._take("&&"):
            parts.append(self._unary())
        return parts

    def _all(self) -> _Part:
        return _both(self._parts())

    def _any(self) -> _Part:
        part = self._all()
        while self._take("||"):
            other = self._all()
            part = _Part(max(part.value, other.value), part.begin, other.end)
        return part

    def _unary(self) -> _Part:
        token = self._tokens[self._next]
        begin = token.start() + len(token.group()) - len(token.group().lstrip())
        if self._take("!"):
            part = self._unary()
            return _Part(2 - part.value, begin, part.end)
        if self._take("("):
            part = self._any()
            end = self._tokens[self._next].end()
            if not self._take(")"):
                raise ValueError("a parenthesis is not closed")
            return _Part(part.value, begin, end)
        return self._comparison(begin)

    def _comparison(self, begin: int) -> _Part:
        left, end = self._symbol()
        for operator in ("!=", "<=", ">=", "<", ">", "="):
            if self._take(operator):
                right, end = self._symbol()
                return _Part(2 if _compare(left, operator, right) else 0, begin, end)
        return _Part(_TRISTATE.get(left, 0), begin, end)

    def _symbol(self) -> tuple[str, int]:
        token = self._tokens[self._next]
        if token["symbol"] is None:
            raise ValueError(f"{token.group()!r} is no symbol")
        self._next += 1
        name = token["symbol"].strip('"')
        if token["value"] is not None:
            return token["value"], token.end()
        # A constant, or a symbol that nothing defines.
        constant = name in _TRISTATE or token["symbol"].startswith('"') or name[0].isdigit()
        return (name if constant else "n"), token.end()

    def _take(self, operator: str) -> bool:
        if self._next < len(self._tokens) and self._tokens[self._next]["operator"] == operator:
            self._next += 1
            return True
        return False

    @property
    def finished(self) -> bool:
        return self._next == len(self._tokens)


def unmet(expression: str) -> str | None:
    """The conditions of ``expression`` that keep it from being met, joined by ``&&``; or None.

    An expression that cannot be understood is given back whole: shown rather than hidden.
    """
    parser = _Parser(expression)
    try:
        parser.top()
    except (ValueError, IndexError):
        return expression
    if not parser.finished:
        return expression
    failing = [part for part in parser.conjuncts if part.value == 0]
    if not failing:
        return None
    return " && ".join(expression[part.begin : part.end].strip() for part in failing)


def _compare(left: str, operator: str, right: str) -> bool:
    if operator in ("=", "!="):
        return (left == right) == (operator == "=")
    try:
        first, second = int(left, 0), int(right, 0)
    except ValueError:
        return False
    return {
        "<": first < second,
        ">": first > second,
        "<=": first <= second,
        ">=": first >= second,
    }[operator]
