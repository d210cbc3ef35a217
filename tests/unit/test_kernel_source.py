# SPDX-License-Identifier: GPL-2.0-only
"""Kernel sources as values: labels, the version a Makefile names, rules for a tree's top."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinhole.errors import KernelError
from pinhole.kernel.makefile import version
from pinhole.kernel.source import DebianSource, GitSource, KernelSource, TarballSource, TreeSource
from pinhole.kernel.tree_listing import top_rules

LINES = "# SPDX-License-Identifier: GPL-2.0\nVERSION = {}\nPATCHLEVEL = {}\nSUBLEVEL = {}\n"


@pytest.mark.parametrize(
    ("source", "label"),
    [
        (DebianSource("6.12"), "source:debian:6.12"),
        (GitSource("/src/linux", "v6.12"), "git:/src/linux@v6.12"),
        (TreeSource(Path("/src/linux")), "tree:linux"),
        (TarballSource(Path("/src/linux-6.12.tar.xz"), "0" * 64), "tarball:linux-6.12.tar.xz"),
    ],
)
def test_labels_say_kind_and_place(source: KernelSource, label: str) -> None:
    assert source.label == label


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ("", "6.13.0"),
        ("EXTRAVERSION =\n", "6.13.0"),
        ("EXTRAVERSION = -rc4\n", "6.13.0-rc4"),
        ("EXTRAVERSION = -rc4-next\n", "6.13.0-rc4"),
        ("EXTRAVERSION = -mine\n", "6.13.0"),
        ("EXTRAVERSION = -rc1\nEXTRAVERSION = -rc9\n", "6.13.0-rc1"),
    ],
)
def test_version_has_the_candidate_and_nobodys_suffix(extra: str, said: str) -> None:
    assert version((LINES.format(6, 13, 0) + extra).encode(), "source") == said


@given(st.tuples(*[st.integers(0, 99999)] * 3))
def test_version_is_read_back(numbers: tuple[int, int, int]) -> None:
    assert version(LINES.format(*numbers).encode(), "source") == ".".join(map(str, numbers))


@given(st.binary())
def test_no_bytes_are_taken_for_a_makefile(content: bytes) -> None:
    with pytest.raises(KernelError, match="my tree is no kernel source"):
        version(content, "my tree")


@pytest.mark.parametrize("lines", [("", 1, 2), (6, "x", 2), (6, 1, "$(shell id)")])
def test_version_must_be_numbers(lines: tuple[object, ...]) -> None:
    with pytest.raises(KernelError, match="VERSION, PATCHLEVEL and SUBLEVEL"):
        version(LINES.format(*lines).encode(), "source")


def test_top_rules_are_for_the_top_and_leave_out_what_ignores_all_of_it() -> None:
    ignored = (
        "# comment\n\n.*\n!.gitignore\n*.o\n/vmlinux\n/snap/\n/include/config/\n/*\n*\n!/debian/\n"
    )
    assert top_rules(ignored) == (
        "!/*", "/.*", "!/.gitignore", "/*.o", "/vmlinux", "/snap/", "!/debian/"
    )  # fmt: skip
