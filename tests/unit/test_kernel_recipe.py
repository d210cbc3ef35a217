# SPDX-License-Identifier: GPL-2.0-only
"""Kernel recipes: what is understood, and what is suggested for what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from pinhole.errors import UsageError
from pinhole.kernel.recipe import (
    BuildRecipe,
    ConfigRecipe,
    DebianRecipe,
    ImageRecipe,
    parse_recipe,
    patched,
    with_choices,
)
from pinhole.kernel.source import DebianSource, GitSource, TarballSource, TreeSource

DIGEST = "0123456789abcdef" * 4


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
        ("debian:6.21", "known: debian:5.10, debian:6.1, debian:6.12, source:debian:6.12, "),
        ("/boot/vmlinuz", "did you mean 'image:/boot/vmlinuz'?"),
        ("image:", "unknown kernel 'image:'"),
        ("windows", "unknown kernel 'windows' (known:"),
        ({"imge": "x"}, "unknown key 'imge' in a kernel (did you mean 'image'?"),
        ({"modules": "x"}, "unknown key 'modules' in a kernel"),
        ({"name": "x"}, "needs 'image', or a source to build from (source, git, tree, tarball)"),
        ({"image": "k", "patches": "p"}, "unknown key 'patches' in a ready kernel"),
        ("source:debian:6.21", "did you mean 'source:debian:6.12'?"),
        ("git:/linux", "'git:/linux' names no revision: write git:PLACE@REF"),
        ("tarball:linux.tar.xz", "has no checksum: write tarball:PATH@SHA256"),
        ("tarball:linux.tar.xz@12", "'12' is no SHA-256"),
        ("variant:pin-anywya", "unknown variant 'pin-anywya' (did you mean 'pin-anyway'?)"),
        ({"source": "debian:6.21"}, "unknown source 'debian:6.21' (did you mean 'debian:6.12'?"),
        ({"source": "debian:6.12", "tree": "."}, "one source, not source and tree"),
        ({"git": {"path": "x"}}, "'git' needs 'path' or 'url', and 'ref'"),
        ({"git": {"path": "x", "url": "y", "ref": "z"}}, "'git' needs 'path' or 'url'"),
        ({"tarball": {"path": "x"}}, "'tarball' needs 'path' and 'sha256'"),
        ({"tree": ".", "sandbox": "yes"}, "'sandbox' is true or false, not 'yes'"),
        ({"tree": ".", "patches": [3]}, "'patches' must be a list of texts"),
        ({"tree": ".", "config": {"fragmnts": []}}, "did you mean 'fragments'?"),
        ({"tree": ".", "config": {"options": {"KASAN": "y"}}}, "did you mean 'CONFIG_KASAN'?"),
        ({"tree": ".", "config": {"options": {"CONFIG_A": 1.5}}}, "y, n, m, a number or a text"),
        ({"image": 3}, "'image' must be a text that is not empty, not 3"),
        ({"image": " "}, "'image' must be a text that is not empty"),
    ],
)
def test_what_is_not_a_recipe_says_so(value: str | dict[str, object], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_recipe(value)
    assert words in str(caught.value)


def test_sources_as_text(tmp_path: Path) -> None:
    def source(text: str) -> object:
        found = parse_recipe(text, relative_to=tmp_path)
        assert isinstance(found, BuildRecipe)
        return found.source

    assert source("source:debian:6.12") == DebianSource("6.12")
    assert source("tree:linux") == TreeSource(tmp_path / "linux")
    assert source("source:tree:linux") == TreeSource(tmp_path / "linux")
    assert source("git:linux@v6.12") == GitSource(str(tmp_path / "linux"), "v6.12")
    ssh = "git@example.org:linux.git"
    assert source(f"git:{ssh}@main") == GitSource(ssh, "main")
    word = GitSource("https://me:secret@example.org/linux.git", "main")
    assert word.label == "git:https://me:***@example.org/linux.git@main"
    url = "https://git@example.org/linux.git"
    assert source(f"git:{url}@for-next") == GitSource(url, "for-next")
    assert source(f"tarball:a@b.tar@{DIGEST.upper()}") == TarballSource(
        tmp_path / "a@b.tar", DIGEST
    )


def test_a_variant_is_of_its_own_series_where_none_is_named() -> None:
    recipe = parse_recipe("variant:unchecked")
    assert recipe == BuildRecipe(DebianSource("6.12"), variant="unchecked", name="unchecked")
    assert parse_recipe("variant:unchecked@6.1") == BuildRecipe(
        DebianSource("6.1"), variant="unchecked", name="unchecked@6.1"
    )


def test_a_mapping_names_all_of_a_build(tmp_path: Path) -> None:
    recipe = parse_recipe(
        {
            "git": {"path": "linux", "ref": "main"},
            "variant": "stock",
            "patches": ["a.mbox", "/b.diff"],
            "config": {
                "base": "defconfig",
                "fragments": ["base", "./my.config"],
                "options": {"CONFIG_KASAN": True, "CONFIG_NR_CPUS": 8, "CONFIG_SWAP": "n"},
            },
            "compiler": "gcc-12",
            "sandbox": False,
            "name": "mine",
        },
        relative_to=tmp_path,
    )
    assert recipe == BuildRecipe(
        source=GitSource(str(tmp_path / "linux"), "main"),
        variant="stock",
        patches=(tmp_path / "a.mbox", Path("/b.diff")),
        config=ConfigRecipe(
            base="defconfig",
            fragments=("base", tmp_path / "my.config"),
            options=(("CONFIG_KASAN", "y"), ("CONFIG_NR_CPUS", "8"), ("CONFIG_SWAP", "n")),
        ),
        compiler="gcc-12",
        sandbox=False,
        name="mine",
    )
    assert isinstance(recipe, BuildRecipe)
    assert recipe.sandbox is False


def test_a_recipe_in_a_file_has_paths_relative_to_it(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("tree: linux\npatches: [a.mbox]\n")
    recipe = parse_recipe("mine.yaml", relative_to=tmp_path)
    assert recipe == BuildRecipe(TreeSource(tmp_path / "linux"), patches=(tmp_path / "a.mbox",))
    (tmp_path / "bad.yaml").write_text("tree: linux\nptaches: [a.mbox]\n")
    with pytest.raises(UsageError, match=r"bad.yaml:1: unknown key 'ptaches'.*'patches'"):
        parse_recipe("bad.yaml", relative_to=tmp_path)


def test_labels_tell_kernels_apart() -> None:
    plain = BuildRecipe(DebianSource("6.12"))
    assert plain.label == "source:debian:6.12"
    on_top = patched(plain, [Path("/x/v3-series.mbox")])
    assert on_top.label == "source:debian:6.12+v3-series"
    named = patched(BuildRecipe(DebianSource("6.12"), name="mine"), [Path("a.diff")])
    assert named.label == "mine+a"
    other = BuildRecipe(DebianSource("6.12"), config=ConfigRecipe(base="defconfig"))
    assert other.label.startswith("source:debian:6.12#") and other.label != plain.label


def test_a_ready_kernel_takes_no_patches() -> None:
    with pytest.raises(UsageError, match=r"debian:6.12 is a ready kernel.*'source:debian:6.12'"):
        patched(DebianRecipe("6.12"), [Path("a.diff")])
    assert with_choices(DebianRecipe("6.12"), [], True) == DebianRecipe("6.12")


def test_whether_it_is_confined_is_no_other_kernel() -> None:
    plain = BuildRecipe(DebianSource("6.12"))
    open_ = with_choices(plain, [], False)
    assert isinstance(open_, BuildRecipe) and open_.sandbox is False
    assert open_ == plain and hash(open_) == hash(plain)
