# SPDX-License-Identifier: GPL-2.0-only
"""The -k expression."""

import pytest

from pinhole.errors import UsageError
from pinhole.scenario.select import matcher

NAME = "io_uring-anonymous[debian:5.10]"


@pytest.mark.parametrize(
    ("expression", "chosen"),
    [
        ("io_uring", True),
        ("IO_URING", True),
        ("vmsplice", False),
        ("io_uring and 5.10", True),
        ("io_uring and not 5.10", False),
        ("vmsplice or 5.10", True),
        ("not (vmsplice or 6.12)", True),
        ("not vmsplice and 6.12", False),
        ("vmsplice and x or 5.10", True),
        ("not not io_uring", True),
    ],
)
def test_a_name_is_chosen(expression: str, chosen: bool) -> None:
    assert matcher(expression)(NAME) is chosen


@pytest.mark.parametrize("expression", ["", "and", "a and", "(a", "a b", "a)", "not", "or a", "()"])
def test_a_bad_expression_is_a_usage_error(expression: str) -> None:
    with pytest.raises(UsageError, match="-k"):
        matcher(expression)
