# SPDX-License-Identifier: GPL-2.0-only
"""vmsplice into a pipe that nobody reads: plain references that any user can take."""

from pinhole.needs import Needs
from pinhole.scenario.part import HoldPath, Reference

VMSPLICE = HoldPath(
    name="vmsplice",
    summary="vmsplice into a pipe that nobody reads: references, no long-term pin",
    reference=Reference.SHORT_TERM,
    needs=Needs(options=frozenset({"CONFIG_MMU"})),
)
