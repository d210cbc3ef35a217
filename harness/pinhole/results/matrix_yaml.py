# SPDX-License-Identifier: GPL-2.0-only
"""``matrix.yaml`` from the records of runs: what each cell showed, by kernel series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import yaml

from pinhole.results.cells import by_kernel
from pinhole.results.record import Record
from pinhole.scenario.matrix import consequences
from pinhole.scenario.ruling import State

_HEAD = """\
# SPDX-License-Identifier: GPL-2.0-only
# What each cell of the matrix (way x kind) shows, by kernel series, as seen in booted guests.
# Written by: pinhole catalogue --from RUN --expectations
# A bare word is the outcome of the hold; blocks and broken promises are told where they are not
# what follows from it by itself (scenario/matrix.py). A cell is missing where it was skipped.
"""

Shown = tuple[str, tuple[tuple[str, int], ...], tuple[str, ...]]
"""A hold's outcome, the blocks' outcomes with their counts, and the broken promises."""


def matrix_yaml(records: Iterable[Record]) -> str:
    """The text of the file. What was not judged, or has a promise unknown, is left out."""
    found: dict[str, dict[str, dict[str, list[Shown]]]] = {}
    for cells in by_kernel(records).values():
        for (way, kind), several in cells.items():
            for record in several:
                shown = _shown(record)
                if shown is not None:
                    series = ".".join(record.kernel.version.split(".")[:2])
                    by_series = found.setdefault(way, {}).setdefault(kind, {})
                    by_series.setdefault(series, []).append(shown)
    cells_by_way = {
        way: {
            kind: {series: _outcome(several) for series, several in sorted(by_series.items())}
            for kind, by_series in kinds.items()
        }
        for way, kinds in found.items()
    }
    document = {"version": 1, "cells": cells_by_way}
    text = yaml.safe_dump(document, sort_keys=False, width=100, default_flow_style=None)
    return _HEAD + text


def _shown(record: Record) -> Shown | None:
    verdict = record.verdict
    if verdict is None or verdict.pin is None or verdict.blocks is None:
        return None
    if verdict.promises(State.UNKNOWN):
        return None
    blocks = Counter(one.outcome.name for one in verdict.blocks)
    broken = tuple(promise.value for promise in verdict.promises(State.BROKEN))
    return verdict.pin.name, tuple(sorted(blocks.items())), broken


def _outcome(several: Sequence[Shown]) -> str | Mapping[str, object]:
    counts = Counter(several)
    if len(counts) > 1:
        return {
            "varying": dict(Counter(_words(one) for one in several).most_common()),
            "may_break": sorted({promise for _, _, broken in several for promise in broken}),
        }
    pin, blocks, broken = several[0]
    usual_blocks, usual_broken = consequences(pin)
    found: dict[str, object] = {"pin": pin}
    if dict(blocks) != usual_blocks:
        found["blocks"] = dict(blocks)
    if broken != tuple(promise.value for promise in usual_broken):
        found["broken"] = list(broken)
    return pin if len(found) == 1 else found


def _words(shown: Shown) -> str:
    pin, blocks, _ = shown
    return f"{pin}: {', '.join(f'{count} {name}' for name, count in blocks)}"
