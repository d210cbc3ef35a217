# SPDX-License-Identifier: GPL-2.0-only
"""Kconfig's dependency expressions: which condition is not met."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinhole.kernel.expression import unmet


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("A [=y]", None),
        ("A [=m]", None),
        ("A [=n]", "A [=n]"),
        ("A", "A"),
        ("A [=y] && B [=n] && C", "B [=n] && C"),
        ("A [=y] && (B [=n] || C [=y])", None),
        ("A [=y] && (B [=n] || !C [=y])", "(B [=n] || !C [=y])"),
        # As 6.12's KASAN has it: the conjunction binds closer.
        ("A [=y] && B [=n] || C [=y]", None),
        ("A [=y] && B [=n] || C [=n]", "A [=y] && B [=n] || C [=n]"),
        ("!A [=y]", "!A [=y]"),
        ("!A [=n]", None),
        ("N [=6]>=7", "N [=6]>=7"),
        ("N [=12]>7", None),
        ('S [=x]="x"', None),
        ("A [=y]!=n", None),
        ("A [=m]=y", "A [=m]=y"),
        # What cannot be understood is shown, not hidden.
        ("A [=y] && (B [=y]", "A [=y] && (B [=y]"),
        ("", ""),
    ],
)
def test_the_conditions_that_are_not_met_are_named(expression: str, expected: str | None) -> None:
    assert unmet(expression) == expected


SYMBOLS = {"A": "y", "B": "n", "C": "m", "D": "n"}
EXPRESSIONS = st.recursive(
    st.sampled_from(sorted(SYMBOLS)),
    lambda inner: st.one_of(
        st.tuples(st.just("!"), inner),
        st.tuples(inner, st.sampled_from(["&&", "||"]), inner),
    ),
    max_leaves=12,
)


def shown(expression: object) -> str:
    if isinstance(expression, str):
        return f"{expression} [={SYMBOLS[expression]}]"
    assert isinstance(expression, tuple)
    if len(expression) == 2:
        return f"!({shown(expression[1])})"
    left, operator, right = expression
    return f"({shown(left)}) {operator} ({shown(right)})"


def value(expression: object) -> int:
    if isinstance(expression, str):
        return "nmy".index(SYMBOLS[expression])
    assert isinstance(expression, tuple)
    if len(expression) == 2:
        return 2 - value(expression[1])
    left, operator, right = expression
    return (min if operator == "&&" else max)(value(left), value(right))


@given(EXPRESSIONS)
def test_something_is_not_met_exactly_where_the_whole_is_n(expression: object) -> None:
    assert (unmet(shown(expression)) is None) == (value(expression) > 0)
