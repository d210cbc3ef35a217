# SPDX-License-Identifier: GPL-2.0-only
"""The table of ways to take memory away: one row and one file each."""

from pinhole.scenario.remove.offline import OFFLINE

REMOVALS = {removal.name: removal for removal in (OFFLINE,)}
