# SPDX-License-Identifier: GPL-2.0-only
"""A memfd, mapped shared (shmem), in base pages.

What udmabuf takes, and splice.
"""

from pinhole.needs import Needs
from pinhole.scenario.part import MemoryKind

MEMFD = MemoryKind(
    name="memfd",
    summary="a memfd, mapped shared (shmem), in base pages",
    flags=frozenset({"SWAPBACKED"}),
    lacks=frozenset({"ANON"}),
    needs=Needs(options=frozenset({"CONFIG_MEMFD_CREATE", "CONFIG_SHMEM"})),
)
