# SPDX-License-Identifier: GPL-2.0-only
"""Private memory that a forked child shares, copy on write, before it is held."""

from pinhole.scenario.part import MemoryKind

COW_CHILD = MemoryKind(
    name="cow_child",
    summary="private memory that a forked child shares, copy on write, before it is held",
    flags=frozenset({"ANON"}),
)
