# SPDX-License-Identifier: GPL-2.0-only
"""``pinhole kernel``: what is told where a command cannot do what it was asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.faults.buildable_kernel import buildable_tree
from tests.unit.test_kernel_image import image_bytes

from pinhole.errors import KernelError, UsageError
from pinhole.kernel import cache
from pinhole.kernel.configure import Explanation
from pinhole.kernel.tool import ToolError
from pinhole.tools import kernel_config
from pinhole.tools.kernels import (
    KernelRequest,
    build_kernels,
    fetch_kernels,
    print_kernels,
    show_kernel,
)


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PINHOLE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    """A recipe's file, of a tree that builds in a second."""
    buildable_tree(tmp_path / "linux")
    path = tmp_path / "mine.yaml"
    path.write_text("tree: linux\nconfig: {fragments: [], options: {CONFIG_ONE: y}}\nname: mine\n")
    return str(path)


def test_a_file_of_the_users_is_not_shown_as_a_cached_kernel(tmp_path: Path) -> None:
    image = tmp_path / "bzImage"
    image.write_bytes(image_bytes("6.12.117-mine #1"))
    with pytest.raises(UsageError, match=r"image:bzImage is a file of yours and not in the cache"):
        show_kernel(KernelRequest((f"image:{image}",), offline=True), as_json=True)


def test_a_ready_kernel_is_told_before_others_are_built(recipe: str, root: Path) -> None:
    with pytest.raises(UsageError, match=r"debian:6\.12 is a ready kernel"):
        build_kernels(KernelRequest((recipe, "debian:6.12")), verify=False, as_json=False)
    assert not (root / "kernel").exists()


def test_an_entry_that_lacks_its_parts_is_named_and_the_others_listed(
    recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    build_kernels(KernelRequest((recipe,)), verify=False, as_json=True)

    def make(folder: Path) -> None:
        (folder / "kernel.json").write_text("{}")
        (folder / "lib" / "modules").mkdir(parents=True)

    cache.entry("kernel", "debian1-damaged", make)
    capsys.readouterr()
    print_kernels(as_json=True)
    said = capsys.readouterr()
    (found,) = json.loads(said.out)
    assert found["key"].startswith("build1-")
    assert "debian1-damaged: cannot be read" in said.err


def test_a_source_is_fetched_to_where_its_build_looks_for_it(recipe: str, root: Path) -> None:
    fetch_kernels(KernelRequest((recipe,)))
    (source,) = (one for one in (root / "trees").iterdir() if one.is_dir())
    assert (source / "Makefile").is_file()
    before = source.stat()
    build_kernels(KernelRequest((recipe,)), verify=False, as_json=True)
    assert source.stat() == before


# -- pinhole kernel config --explain


def test_a_pattern_is_no_option(recipe: str) -> None:
    with pytest.raises(UsageError, match=r"--explain 'A|B': an option's name is CONFIG_"):
        kernel_config.print_config(KernelRequest((recipe,)), ("A|B",))


def test_words_of_a_source_cannot_move_the_cursor(
    recipe: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"CONFIG_ONE": Explanation("CONFIG_ONE", "Prompt: \x1b[2Jnice", ())}
    monkeypatch.setattr(kernel_config, "explain", lambda *_: told)
    kernel_config.print_config(KernelRequest((recipe,)), ("ONE",))
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert r"Prompt: \x1b[2Jnice" in said


def test_a_parser_that_crashes_is_told(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def explain(*_: object) -> None:
        raise ToolError(["env"], "failed with status 139")

    monkeypatch.setattr(kernel_config, "explain", explain)
    with pytest.raises(KernelError, match=r"own Kconfig parser could not be asked: .*139"):
        kernel_config.print_config(KernelRequest((recipe,)), ("ONE",))
