# SPDX-License-Identifier: GPL-2.0-only
"""Unmapping the memory while it is held: only the kernel's references keep the pages then."""

from pinhole.scenario.part import Trick

MUNMAP = Trick(name="munmap", summary="hold, then munmap the memory", keeps_contents=False)
