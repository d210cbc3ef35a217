# SPDX-License-Identifier: GPL-2.0-only
"""Choosing scenarios by an expression, as pytest's ``-k``: ``io_uring and not 5.10``.

A word matches where it stands in ``scenario[kernel]``, whatever its case; ``and``, ``or``,
``not`` and parentheses combine.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pinhole.errors import UsageError

Matcher = Callable[[str], bool]
_TOKEN = re.compile(r"\s*([()]|[^\s()]+)")


def matcher(expression: str) -> Matcher:
    """A function that says whether a name is chosen; raises ``UsageError`` for a bad expression."""
    tokens = _TOKEN.findall(expression)
    parser = _Parser(expression, tokens)
    chosen = parser.either()
    parser.end()
    return chosen


class _Parser:
    """Recursive descent: either = both ("or" both)*, both = one ("and" one)*."""

    def __init__(self, expression: str, tokens: list[str]) -> None:
        self._expression = expression
        self._tokens = tokens

    def either(self) -> Matcher:
        left = self.both()
        while self._take("or"):
            left = _or(left, self.both())
        return left

    def both(self) -> Matcher:
        left = self.one()
        while self._take("and"):
            left = _and(left, self.one())
        return left

    def one(self) -> Matcher:
        if self._take("not"):
            inner = self.one()
            return lambda name: not inner(name)
        if self._take("("):
            inside = self.either()
            if not self._take(")"):
                raise self._mistake("a ')' is missing")
            return inside
        if not self._tokens or self._tokens[0] in ("and", "or", ")"):
            found = repr(self._tokens[0]) if self._tokens else "the end"
            raise self._mistake(f"a word was expected, found {found}")
        word = self._tokens.pop(0).lower()
        return lambda name: word in name.lower()

    def end(self) -> None:
        if self._tokens:
            raise self._mistake(f"'and' or 'or' was expected before {self._tokens[0]!r}")

    def _take(self, token: str) -> bool:
        if self._tokens and self._tokens[0] == token:
            self._tokens.pop(0)
            return True
        return False

    def _mistake(self, what: str) -> UsageError:
        return UsageError(f"-k {self._expression!r}: {what} (write 'io_uring and not 5.10')")


def _or(left: Matcher, right: Matcher) -> Matcher:
    return lambda name: left(name) or right(name)


def _and(left: Matcher, right: Matcher) -> Matcher:
    return lambda name: left(name) and right(name)
