# SPDX-License-Identifier: GPL-2.0-only
"""Private anonymous memory in folios of 16 pages (mTHP).

Since 6.8.
"""

from pinhole.needs import Needs
from pinhole.scenario.part import MemoryKind

MTHP = MemoryKind(
    name="mthp",
    summary="private anonymous memory in folios of 16 pages (mTHP)",
    flags=frozenset({"ANON", "THP"}),
    large=True,
    needs=Needs(options=frozenset({"CONFIG_TRANSPARENT_HUGEPAGE"})),
)
