# SPDX-License-Identifier: GPL-2.0-only
"""Configuration fragments: what they ask for, of which kernels, and what is no line of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from pinhole.boot.base import BASE_NEEDS
from pinhole.errors import UsageError
from pinhole.kernel.fragments import Request, fragment_names, parse, requests
from pinhole.kernel.recipe import DEFAULT_FRAGMENTS
from pinhole.scenario.vocabulary import needs_of, vocabulary


def test_a_line_asks_for_an_option_and_may_name_its_kernels() -> None:
    text = '# why\nCONFIG_A=y\nCONFIG_B=m # >=6.2, <6.9\n\n# CONFIG_C is not set\nCONFIG_D="x y"\n'
    assert parse(text, "f") == (
        Request("CONFIG_A", "y", "f:2"),
        Request("CONFIG_B", "m", "f:3", ">=6.2, <6.9"),
        Request("CONFIG_C", "n", "f:5"),
        Request("CONFIG_D", '"x y"', "f:6"),
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("CONFIG_A = y", "f:1: 'CONFIG_A = y' is no line of a configuration"),
        ("A=y", "f:1: 'A=y' is no line of a configuration"),
        ("CONFIG_A=y # for fun", "f:1: 'for fun' is not a range of kernel versions"),
    ],
)
def test_what_is_no_line_is_named(line: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(line, "f")
    assert words in str(caught.value)


def test_what_comes_later_replaces_what_came_before(tmp_path: Path) -> None:
    first, second = tmp_path / "1.config", tmp_path / "2.config"
    first.write_text("CONFIG_A=y\nCONFIG_B=y # >=6.2\nCONFIG_B=m # <6.2\n")
    second.write_text("CONFIG_A=m\n")
    found = requests([first, second], [("CONFIG_B", "n")])
    assert [(one.option, one.value, one.kernels) for one in found] == [
        ("CONFIG_A", "m", ""),
        ("CONFIG_B", "n", ""),
    ]
    both = [one for one in requests([first], []) if one.option == "CONFIG_B"]
    assert [one.value for one in both if one.holds_for("6.12.117")] == ["y"]
    assert [one.value for one in both if one.holds_for("5.10.262")] == ["m"]


def test_an_unknown_fragment_gets_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown configuration fragment 'kasn'.*'kasan'"):
        requests(["kasn"], [])
    with pytest.raises(UsageError, match="cannot read the configuration fragment"):
        requests([tmp_path / "none.config"], [])


@pytest.mark.parametrize(
    ("value", "final", "granted"),
    [
        ("y", "y", True),
        ("y", "m", False),
        ("y", None, False),
        ("n", None, True),
        ("n", "y", False),
        ("64", "64", True),
        ("64", "32", False),
        ('"a b"', "a b", True),
    ],
)
def test_what_was_asked_for_is_compared_with_what_came(
    value: str, final: str | None, granted: bool
) -> None:
    assert Request("CONFIG_A", value, "f:1").granted(final) is granted


def test_the_shipped_fragments_hold_all_that_the_catalogue_takes() -> None:
    asked = {one.option for one in requests(DEFAULT_FRAGMENTS, []) if one.holds_for("6.12.117")}
    # What has no prompt, or is on wherever the architecture has it, is checked by a build.
    implied = {"CONFIG_MMU"}
    for scenario in vocabulary().catalogue.values():
        lacking = (BASE_NEEDS | needs_of(scenario)).options - asked - implied
        assert not lacking, (scenario.name, lacking)


def test_every_shipped_fragment_can_be_read() -> None:
    assert set(DEFAULT_FRAGMENTS) < set(fragment_names())
    for name in fragment_names():
        assert requests([name], []), name
