# SPDX-License-Identifier: GPL-2.0-only
"""splice() and tee() of a file's page cache into pipes that nobody reads."""

from pinhole.needs import Needs
from pinhole.scenario.part import HoldPath, Reference

SPLICE = HoldPath(
    name="splice",
    summary="page cache spliced into pipes that nobody reads: references",
    reference=Reference.SHORT_TERM,
    needs=Needs(options=frozenset({"CONFIG_MMU"})),
)
