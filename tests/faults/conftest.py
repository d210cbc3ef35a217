# SPDX-License-Identifier: GPL-2.0-only
"""A place of its own for each test of ``pinhole run``, looked through for leftovers at the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.run_command import Place
from tests.vm.machine_guest import debian

from pinhole.dirs import cache_dir
from pinhole.kernel.kernel import Kernel


@pytest.fixture(scope="session")
def kernel_6_12() -> Kernel:
    """Debian's 6.12, in the user's cache from now on."""
    return debian("6.12")


@pytest.fixture(scope="session")
def cache_of_tests(kernel_6_12: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that only these tests use, with the user's kernels in it."""
    assert kernel_6_12.image.is_file()
    return with_kernels(tmp_path_factory.mktemp("cache"))


def with_kernels(cache: Path) -> Path:
    """Gives an empty cache the user's kernels, which take minutes to fetch."""
    for name in ("kernel", "debian"):
        (cache / name).symlink_to(cache_dir() / name)
    return cache


@pytest.fixture
def place(cache_of_tests: Path, tmp_path: Path) -> Iterator[Place]:
    found = Place(tmp_path, cache_of_tests)
    yield found
    found.assert_nothing_is_left()
