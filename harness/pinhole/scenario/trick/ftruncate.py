# SPDX-License-Identifier: GPL-2.0-only
"""Pages of a file that is truncated while they are held: they belong to no file any more."""

from pinhole.scenario.part import Trick

FTRUNCATE = Trick(
    name="ftruncate",
    summary="hold, then truncate the memory's file to nothing",
    keeps_contents=False,
)
