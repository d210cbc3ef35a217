# SPDX-License-Identifier: GPL-2.0-only
"""No memory of the holder's own: for ways that make the pages which they hold."""

from pinhole.scenario.part import MemoryKind

OWN = MemoryKind(name="own", summary="what the way makes itself: page cache, a driver's pages")
