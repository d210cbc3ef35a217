# SPDX-License-Identifier: GPL-2.0-only
"""Kernel recipes: what is understood, and what is suggested for what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from pinhole.errors import UsageError
from pinhole.kernel.recipe import DebianRecipe, ImageRecipe, parse_recipe


@pytest.mark.parametrize("series", ["5.10", "6.1", "6.12"])
def test_debian_series_is_a_recipe(series: str) -> None:
    recipe = parse_recipe(f"debian:{series}")
    assert recipe == DebianRecipe(series)
    assert recipe.label == f"debian:{series}"


def test_paths_are_relative_to_the_plan(tmp_path: Path) -> None:
    recipe = parse_recipe("image: boot/bzImage", relative_to=tmp_path)
    assert recipe == ImageRecipe(tmp_path / "boot/bzImage")
    assert parse_recipe("image:/boot/vmlinuz", relative_to=tmp_path) == ImageRecipe(
        Path("/boot/vmlinuz")
    )


def test_mapping_names_all_parts(tmp_path: Path) -> None:
    recipe = parse_recipe(
        {"image": "k", "modules": "m", "config": "c", "name": "mine"}, relative_to=tmp_path
    )
    assert recipe == ImageRecipe(tmp_path / "k", tmp_path / "m", tmp_path / "c", "mine")
    assert recipe.label == "mine"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("debian:6.21", "unknown kernel 'debian:6.21' (did you mean 'debian:6.12'?"),
        ("debain:5.10", "did you mean 'debian:5.10'?"),
        ("debian:6.21", "known: debian:5.10, debian:6.1, debian:6.12, image:PATH)"),
        ("/boot/vmlinuz", "did you mean 'image:/boot/vmlinuz'?"),
        ("image:", "unknown kernel 'image:'"),
        ("windows", "unknown kernel 'windows' (known:"),
        ({"imge": "x"}, "unknown key 'imge' in a kernel (did you mean 'image'?"),
        ({"modules": "x"}, "needs the key 'image'"),
        ({"image": 3}, "'image' must be a text that is not empty, not 3"),
        ({"image": " "}, "'image' must be a text that is not empty"),
    ],
)
def test_what_is_not_a_recipe_says_so(value: str | dict[str, object], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_recipe(value)
    assert words in str(caught.value)
