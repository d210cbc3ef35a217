# SPDX-License-Identifier: GPL-2.0-only
"""Page cache of a FUSE file that is being read for good: its folios stay locked.

Who is to move one sleeps on the lock, and no signal ends that.
"""

from pinhole.needs import Needs
from pinhole.scenario.part import HoldPath, Reference

FUSE_LOCKED = HoldPath(
    name="fuse_locked",
    summary="page cache of a FUSE file whose READ gets no answer: locked folios",
    reference=Reference.SHORT_TERM,
    own_memory=True,
    needs=Needs(
        options=frozenset({"CONFIG_FUSE_FS", "CONFIG_NUMA", "CONFIG_PROC_PAGE_MONITOR"}),
        modules=("fuse",),
    ),
)
