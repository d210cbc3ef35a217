# SPDX-License-Identifier: GPL-2.0-only
"""One more reference on the last page, before the hold: a page that cannot be migrated."""

from pinhole.scenario.part import Trick

EXTRA_REFERENCE = Trick(
    name="extra-reference",
    summary="vmsplice the last page beforehand, so that it cannot be migrated",
    last_pages_held=1,
)
