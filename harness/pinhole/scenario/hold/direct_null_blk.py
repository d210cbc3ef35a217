# SPDX-License-Identifier: GPL-2.0-only
"""Direct I/O to a block device that answers after 5 s."""

from pinhole.needs import Needs
from pinhole.scenario.part import HoldPath, Reference

DIRECT_NULL_BLK = HoldPath(
    name="direct_null_blk",
    summary="direct I/O to null_blk, which ends after 5 s: short-term pins",
    reference=Reference.SHORT_TERM,
    needs=Needs(
        options=frozenset({"CONFIG_AIO", "CONFIG_BLK_DEV_NULL_BLK", "CONFIG_CONFIGFS_FS"}),
        modules=("configfs", "null_blk nr_devices=0"),
    ),
)
