# SPDX-License-Identifier: GPL-2.0-only
"""A second pin of the same process on the same pages."""

from pinhole.needs import Needs
from pinhole.scenario.part import Trick

DOUBLE_PIN = Trick(
    name="double-pin",
    summary="hold, then pin all of it once more as an io_uring fixed buffer",
    extra_pins=1,
    needs=Needs(options=frozenset({"CONFIG_IO_URING"})),
)
