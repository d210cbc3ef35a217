# SPDX-License-Identifier: GPL-2.0-only
"""A program that executes another one: its memory is gone, its open descriptors are not."""

from pinhole.scenario.part import Trick

EXEC = Trick(
    name="exec",
    summary="hold, then execute another program with the same descriptors",
    keeps_contents=False,
)
