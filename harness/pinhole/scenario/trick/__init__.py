# SPDX-License-Identifier: GPL-2.0-only
"""The table of tricks: one row and one file each, here and in ``guest/trick/``."""

from pinhole.scenario.trick.extra_reference import EXTRA_REFERENCE
from pinhole.scenario.trick.isolated_elsewhere import ISOLATED_ELSEWHERE
from pinhole.scenario.trick.munmap import MUNMAP

TRICKS = {trick.name: trick for trick in (MUNMAP, EXTRA_REFERENCE, ISOLATED_ELSEWHERE)}
