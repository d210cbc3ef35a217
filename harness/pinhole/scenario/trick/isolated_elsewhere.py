# SPDX-License-Identifier: GPL-2.0-only
"""Pages that somebody else has isolated: an offliner that sleeps on a folio that FUSE keeps locked.

They could be migrated, but they cannot be isolated for it. The trick ends its own offliner when
the attempt to hold has ended, before the scenario removes anything.
"""

from pinhole.needs import Needs
from pinhole.scenario.part import Trick

ISOLATED_ELSEWHERE = Trick(
    name="isolated-elsewhere",
    summary="a stuck offliner isolates the pages beforehand, so that nobody else can",
    undone_at="after-attempt",
    needs=Needs(
        options=frozenset(
            {
                "CONFIG_FUSE_FS",
                "CONFIG_MEMORY_HOTREMOVE",
                "CONFIG_NUMA",
                "CONFIG_PROC_PAGE_MONITOR",
            }
        ),
        modules=("fuse",),
    ),
)
