# SPDX-License-Identifier: GPL-2.0-only
"""A core dump into a pipe that nobody reads: the page that is to be written next is held.

A fork of the holder dumps, which has the same pages; which page it is, the core's own headers and
the bytes in the pipe tell.
"""

from pinhole.needs import Needs
from pinhole.scenario.part import HoldPath, Reference

COREDUMP = HoldPath(
    name="coredump",
    summary="a core dump into a pipe that nobody reads: one page at a time",
    reference=Reference.SHORT_TERM,
    partial=True,
    # ELF_CORE is on wherever COREDUMP is, but for CONFIG_EXPERT.
    needs=Needs(options=frozenset({"CONFIG_COREDUMP"})),
)
