# SPDX-License-Identifier: GPL-2.0-only
"""Page cache of a FUSE file that is written back to a server that does not answer.

Upstream 6.16 did away with the copies that FUSE wrote from: since then the pages themselves stay
under writeback, and before nothing is held. pinholder counts what the page flags show.
"""

from pinhole.needs import Needs
from pinhole.scenario.part import HoldPath, Reference

FUSE_WRITEBACK = HoldPath(
    name="fuse_writeback",
    summary="page cache of a FUSE file whose WRITE gets no answer",
    reference=Reference.SHORT_TERM,
    own_memory=True,
    partial=True,
    needs=Needs(
        options=frozenset({"CONFIG_FUSE_FS", "CONFIG_NUMA", "CONFIG_PROC_PAGE_MONITOR"}),
        modules=("fuse",),
    ),
)
