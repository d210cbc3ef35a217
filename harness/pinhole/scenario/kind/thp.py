# SPDX-License-Identifier: GPL-2.0-only
"""Private anonymous memory in transparent huge pages."""

from pinhole.needs import Needs
from pinhole.scenario.part import MemoryKind

THP = MemoryKind(
    name="thp",
    summary="private anonymous memory in transparent huge pages",
    flags=frozenset({"ANON", "THP"}),
    large=True,
    needs=Needs(options=frozenset({"CONFIG_TRANSPARENT_HUGEPAGE"})),
)
