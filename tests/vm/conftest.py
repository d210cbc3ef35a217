# SPDX-License-Identifier: GPL-2.0-only
"""A guest that the tests of a file share, where they do not change it for one another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pinhole.guest.guest import Guest, Launch, booted
from pinhole.kernel.bootable import Kernel
from pinhole.plan import MachinePlan
from pinhole.progress import Progress
from pinhole.scenario.engine import topology_of
from pinhole.scenario.vocabulary import all_needs

pytest.register_assert_rewrite("tests.vm.channel_contract")


@pytest.fixture(scope="module")
def shared_guest(
    pinhole_kernel: Kernel,
    pinhole_launch: Launch,
    pinhole_progress: Progress,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Guest]:
    """One booted guest for a whole file of tests, once for each ``--pinhole-kernel``."""
    with booted(
        pinhole_kernel,
        all_needs(pinhole_kernel),
        topology_of(MachinePlan()),
        pinhole_launch,
        tmp_path_factory.mktemp("guest"),
        pinhole_progress,
    ) as guest:
        yield guest
