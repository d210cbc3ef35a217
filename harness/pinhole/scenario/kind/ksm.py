# SPDX-License-Identifier: GPL-2.0-only
"""Private memory whose equal pages KSM has merged.

Many pages in few frames; a pin for writing takes them apart again.
"""

from pinhole.needs import Needs
from pinhole.scenario.part import MemoryKind, Start

KSM = MemoryKind(
    name="ksm",
    summary="private memory whose equal pages KSM has merged",
    flags=frozenset({"KSM"}),
    starts=Start.MERGED,
    needs=Needs(options=frozenset({"CONFIG_KSM"})),
)
