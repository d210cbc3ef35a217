# SPDX-License-Identifier: GPL-2.0-only
"""Private memory that is held first and then shared with a forked child."""

from pinhole.scenario.part import MemoryKind

COW_PARENT = MemoryKind(
    name="cow_parent",
    summary="private memory that is held first and then shared with a forked child",
    flags=frozenset({"ANON"}),
)
