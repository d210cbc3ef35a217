# SPDX-License-Identifier: GPL-2.0-only
"""Private memory in hugetlb pages of the default size.

The pool of the node is grown for it and shrunk again.
"""

from pinhole.needs import Needs
from pinhole.scenario.part import MemoryKind

HUGETLB = MemoryKind(
    name="hugetlb",
    summary="private memory in hugetlb pages of the default size",
    flags=frozenset({"HUGE"}),
    large=True,
    needs=Needs(options=frozenset({"CONFIG_HUGETLBFS"})),
)
