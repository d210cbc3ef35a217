# SPDX-License-Identifier: GPL-2.0-only
"""Pages that were thrown away while they are held: a pin outlives its mapping."""

from pinhole.scenario.part import Trick

MADV_DONTNEED = Trick(
    name="madv-dontneed",
    summary="hold, then throw the pages away with MADV_DONTNEED",
    keeps_contents=False,
)
