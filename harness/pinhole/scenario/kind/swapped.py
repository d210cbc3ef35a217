# SPDX-License-Identifier: GPL-2.0-only
"""Private memory that is swapped out when it is held.

To a zram device of its own.
"""

from pinhole.needs import Needs
from pinhole.scenario.part import MemoryKind, Start

SWAPPED = MemoryKind(
    name="swapped",
    summary="private memory that is swapped out when it is held",
    starts=Start.SWAPPED,
    needs=Needs(
        options=frozenset({"CONFIG_SWAP", "CONFIG_ZRAM"}),
        modules=("zram",),
        # zram asks for its compressor when its size is set; before 6.12 through the crypto layer.
        runtime_modules=("lzo-rle",),
    ),
)
