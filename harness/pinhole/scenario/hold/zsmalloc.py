# SPDX-License-Identifier: GPL-2.0-only
"""Pages of zsmalloc behind a zram device: in ZONE_MOVABLE, for zsmalloc can move them.

Nobody holds them: they must not keep a block from going away. pinholder tells where they are, by
the page flags, once the node's nr_zspages agrees.
"""

from pinhole.needs import Needs
from pinhole.scenario.part import HoldPath, Reference

ZSMALLOC = HoldPath(
    name="zsmalloc",
    summary="pages of zsmalloc behind a zram device, which it can move",
    reference=Reference.SHORT_TERM,
    own_memory=True,
    partial=True,
    needs=Needs(
        options=frozenset({"CONFIG_NUMA", "CONFIG_PROC_PAGE_MONITOR", "CONFIG_ZRAM"}),
        modules=("zram",),
        # zram asks for its compressor when its size is set; before 6.12 through the crypto layer.
        runtime_modules=("lzo-rle",),
    ),
)
