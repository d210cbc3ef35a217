# SPDX-License-Identifier: GPL-2.0-only
"""The table of kinds of memory: one row and one file each, here and in ``guest/kind/``."""

from pinhole.scenario.kind.anonymous import ANONYMOUS
from pinhole.scenario.kind.own import OWN

MEMORY_KINDS = {kind.name: kind for kind in (ANONYMOUS, OWN)}
