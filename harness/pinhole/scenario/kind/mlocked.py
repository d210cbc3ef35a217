# SPDX-License-Identifier: GPL-2.0-only
"""Private memory under mlock()."""

from pinhole.scenario.part import MemoryKind

MLOCKED = MemoryKind(
    name="mlocked",
    summary="private memory under mlock()",
    flags=frozenset({"ANON", "MLOCKED"}),
)
