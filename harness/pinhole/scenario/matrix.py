# SPDX-License-Identifier: GPL-2.0-only
"""Every way to hold × every kind of memory: the cells of the matrix, each a scenario.

What is expected of a cell stands in ``matrix.yaml``, by kernel series, as it was seen in booted
guests. A cell is small (4 MiB of a DIMM of two memory blocks), so that all of them are played in
minutes, in guests that they share.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from pinhole.errors import UsageError
from pinhole.plan import Expectation, MachinePlan, Promise, Scenario
from pinhole.scenario import outcome as words
from pinhole.scenario.hold import HOLD_PATHS
from pinhole.scenario.kind import MEMORY_KINDS
from pinhole.scenario.vocabulary import vocabulary
from pinhole.size import MIB
from pinhole.yamlfile import StrictModel, YamlFile, did_you_mean

CELL_BYTES = 4 * MIB
CELL_MACHINE = MachinePlan(dimm=256 * MIB)
OWN = "own"
_FILE = Path(__file__).parent / "matrix.yaml"
_BECAUSE = "seen in a booted guest of this series"

_STAYS = {words.PINNED_IN_MOVABLE, words.HELD}
"""Holds whose pages stay in the DIMM: one of its two blocks does not go."""
_BROKEN: Mapping[str, tuple[Promise, ...]] = {
    words.PINNED_IN_MOVABLE: (Promise.PLACEMENT, Promise.REMOVAL),
    words.HELD: (Promise.REMOVAL,),
    words.REFUSED_LEAKY: (Promise.CLEAN_REFUSAL, Promise.LEDGER),
}


class CellOutcome(StrictModel):
    """What one cell shows on one kernel series.

    ``pin`` is the outcome of the hold, as expectations name it. ``blocks`` and ``broken`` are told
    where they are not what follows from it: two removed blocks, or one that still loops.
    ``varying`` are the counts of ten runs, by outcome, of a cell that is not deterministic, and
    ``may_break`` the promises that some of these broke.
    """

    pin: str | None = None
    blocks: Mapping[str, int] | None = None
    broken: tuple[Promise, ...] | None = None
    because: str = _BECAUSE
    varying: Mapping[str, int] = Field(default_factory=dict)
    may_break: tuple[Promise, ...] = ()


class MatrixFile(StrictModel):
    """``matrix.yaml``: outcomes by way, kind and kernel series; a bare word is the hold's."""

    version: Literal[1]
    cells: Mapping[str, Mapping[str, Mapping[str, str | CellOutcome]]]


def pairs() -> list[tuple[str, str]]:
    """Every (way, kind) that can be asked for, in the order of the tables."""
    found = []
    for way in HOLD_PATHS.values():
        kinds = [OWN] if way.own_memory else [kind for kind in MEMORY_KINDS if kind != OWN]
        found += [(way.name, kind) for kind in kinds]
    return found


def cell(way: str, kind: str) -> Scenario:
    """The scenario of one cell, with what is expected of it."""
    return Scenario(
        name=f"{way}.{kind}",
        summary=f"{HOLD_PATHS[way].summary}; {MEMORY_KINDS[kind].summary}",
        hold=way,
        kind=kind,
        size=CELL_BYTES,
        expect=tuple(
            _expectation(series, one) for series, one in known().get((way, kind), {}).items()
        ),
    )


def scenario_named(name: str) -> Scenario:
    """The catalogue's scenario of that name, or the cell ``WAY.KIND``; ``UsageError`` if none."""
    catalogue = vocabulary().catalogue
    if name in catalogue:
        return catalogue[name]
    cells = {f"{way}.{kind}": (way, kind) for way, kind in pairs()}
    if name in cells:
        return cell(*cells[name])
    raise UsageError(
        f"unknown scenario {name!r}{did_you_mean(name, (*catalogue, *cells))}; "
        "'pinhole run plans/catalogue.yaml --list' names those of the catalogue"
    )


@cache
def known() -> Mapping[tuple[str, str], Mapping[str, CellOutcome]]:
    """What is known of each cell, by series."""
    if not _FILE.is_file():
        return {}
    file = YamlFile.read(_FILE).model(MatrixFile)
    return {
        (way, kind): {
            series: CellOutcome(pin=one) if isinstance(one, str) else one
            for series, one in by_series.items()
        }
        for way, kinds in file.cells.items()
        for kind, by_series in kinds.items()
    }


def consequences(pin: str) -> tuple[dict[str, int], tuple[Promise, ...]]:
    """The blocks' outcomes and the broken promises that follow from a hold's outcome by itself."""
    word = pin.partition("(")[0]
    blocks = {words.REMOVED: 2}
    if word in _STAYS:
        blocks = {words.REMOVED: 1, words.STILL_LOOPING: 1}
    return blocks, _BROKEN.get(word, ())


def _expectation(series: str, one: CellOutcome) -> Expectation:
    # A cell that varies is expected to be judged, not to come out in one way.
    blocks: Mapping[str, int] = {}
    broken: tuple[Promise, ...] = ()
    if one.pin is not None:
        blocks, broken = consequences(one.pin)
    return Expectation(
        kernels=f"=={series}.*",
        because=one.because,
        pin=one.pin,
        blocks=blocks if one.blocks is None else one.blocks,
        broken=broken if one.broken is None else one.broken,
        may_break=one.may_break,
    )
