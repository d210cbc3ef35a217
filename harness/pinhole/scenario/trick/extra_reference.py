# SPDX-License-Identifier: GPL-2.0-only
"""One more reference on the first page, before the hold: a page that cannot be migrated."""

from pinhole.scenario.part import Trick

EXTRA_REFERENCE = Trick(
    name="extra-reference",
    summary="vmsplice one page first, so that it cannot be migrated while it is being held",
)
