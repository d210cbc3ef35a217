# SPDX-License-Identifier: GPL-2.0-only
"""MSG_ZEROCOPY over TCP to a peer that does not read: pages in the send queue."""

from pinhole.needs import Needs
from pinhole.scenario.part import HoldPath, Reference

MSG_ZEROCOPY = HoldPath(
    name="msg_zerocopy",
    summary="MSG_ZEROCOPY to a peer that does not read: references",
    reference=Reference.SHORT_TERM,
    partial=True,
    needs=Needs(
        options=frozenset({"CONFIG_INET"}),
        # Each call has a notification to come, for which the default leaves room for a few dozen.
        sysctls=(("net.core.optmem_max", "16777216"),),
    ),
)
