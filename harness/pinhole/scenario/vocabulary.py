# SPDX-License-Identifier: GPL-2.0-only
"""The parts and the catalogue by name, for plans; and what a scenario takes as a whole."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pinhole.kernel.bootable import Kernel
from pinhole.needs import Needs, unite
from pinhole.plan import Scenario, Vocabulary, load_catalogue
from pinhole.scenario.hold import HOLD_PATHS
from pinhole.scenario.kind import MEMORY_KINDS
from pinhole.scenario.remove import REMOVALS
from pinhole.scenario.trick import TRICKS


@cache
def vocabulary() -> Vocabulary:
    """Everything a plan may name, from the tables and ``catalogue/``."""
    names = Vocabulary(
        holds=frozenset(HOLD_PATHS),
        kinds=frozenset(MEMORY_KINDS),
        tricks=frozenset(TRICKS),
        removes=frozenset(REMOVALS),
        catalogue={},
    )
    files = (Path(__file__).parent / "catalogue").glob("*.yaml")
    return Vocabulary(
        names.holds, names.kinds, names.tricks, names.removes, load_catalogue(files, names)
    )


def needs_of(scenario: Scenario) -> Needs:
    """What the parts of ``scenario`` take together."""
    return unite(
        [
            HOLD_PATHS[scenario.hold].needs,
            MEMORY_KINDS[scenario.kind].needs,
            *(TRICKS[trick].needs for trick in scenario.tricks),
            REMOVALS[scenario.remove].needs,
        ]
    )


def all_needs(kernel: Kernel) -> Needs:
    """What every part takes that ``kernel`` is able to do: for a guest that is used by hand."""
    parts = [
        *(part.needs for part in HOLD_PATHS.values()),
        *(part.needs for part in MEMORY_KINDS.values()),
        *(part.needs for part in TRICKS.values()),
        *(part.needs for part in REMOVALS.values()),
    ]
    return unite(needs for needs in parts if not kernel.lacks(needs.options))
