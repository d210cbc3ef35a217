# SPDX-License-Identifier: GPL-2.0-only
"""A second pin on the same pages, of another process that maps the same file."""

from pinhole.needs import Needs
from pinhole.scenario.part import Trick

TWO_PROCESSES = Trick(
    name="two-processes",
    summary="pin a file's pages from a second process too",
    extra_pins=1,
    needs=Needs(options=frozenset({"CONFIG_IO_URING"})),
)
