# SPDX-License-Identifier: GPL-2.0-only
"""A pin that never gets its last page: all pages before it are pinned meanwhile, where they are.

It asks for a long-term pin, and gets one only when it ends: until then it is a short one.
"""

from pinhole.needs import Needs
from pinhole.scenario.part import HoldPath, Reference

GUP_USERFAULTFD = HoldPath(
    name="gup_userfaultfd",
    summary="a pin that waits for its last page (userfaultfd): short-term, for as long as it likes",
    reference=Reference.SHORT_TERM,
    needs=Needs(options=frozenset({"CONFIG_IO_URING", "CONFIG_USERFAULTFD"})),
)
