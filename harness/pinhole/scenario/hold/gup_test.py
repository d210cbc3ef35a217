# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own test of pinning: exactly pin_user_pages() with FOLL_LONGTERM."""

from pinhole.needs import Needs
from pinhole.scenario.part import HoldPath, Reference

GUP_TEST = HoldPath(
    name="gup_test",
    summary="the kernel's own test of long-term pins (gup_test)",
    reference=Reference.LONGTERM_PIN,
    needs=Needs(options=frozenset({"CONFIG_GUP_TEST"})),
)
