# SPDX-License-Identifier: GPL-2.0-only
"""A pin and an offliner at once, on the same memory block: whoever comes first.

By nature a race. The trick ends its offliner when the attempt to hold has ended, and brings the
block online again, before the scenario removes anything.
"""

from pinhole.needs import Needs
from pinhole.scenario.part import Trick

OFFLINE_MEANWHILE = Trick(
    name="offline-meanwhile",
    summary="take the pages' block offline while they are being held",
    undone_at="after-attempt",
    needs=Needs(options=frozenset({"CONFIG_MEMORY_HOTREMOVE", "CONFIG_PROC_PAGE_MONITOR"})),
)
