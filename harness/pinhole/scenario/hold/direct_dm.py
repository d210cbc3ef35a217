# SPDX-License-Identifier: GPL-2.0-only
"""Direct I/O to a device-mapper device that is suspended: it waits until somebody resumes it."""

from pinhole.needs import Needs
from pinhole.scenario.part import HoldPath, Reference

DIRECT_DM = HoldPath(
    name="direct_dm",
    summary="direct I/O to a suspended device-mapper device: short-term pins",
    reference=Reference.SHORT_TERM,
    needs=Needs(options=frozenset({"CONFIG_AIO", "CONFIG_BLK_DEV_DM"}), modules=("dm_mod",)),
)
