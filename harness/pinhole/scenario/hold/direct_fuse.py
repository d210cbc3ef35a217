# SPDX-License-Identifier: GPL-2.0-only
"""Direct reads of a FUSE file whose server withholds every READ."""

from pinhole.needs import Needs
from pinhole.scenario.part import HoldPath, Reference

DIRECT_FUSE = HoldPath(
    name="direct_fuse",
    summary="direct reads of a FUSE file whose READ gets no answer",
    reference=Reference.SHORT_TERM,
    needs=Needs(options=frozenset({"CONFIG_AIO", "CONFIG_FUSE_FS"}), modules=("fuse",)),
)
