# SPDX-License-Identifier: GPL-2.0-only
"""The matrix of ways x kinds in booted guests: outcomes as expected, blocks as foretold.

By default a selection in which every way and every kind meets every kernel, and every kind meets a
way of each mechanism; with --full every cell.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.vm.test_run_vm import pinhole

from pinhole.scenario.hold import HOLD_PATHS
from pinhole.scenario.matrix import OWN, known, pairs

KERNELS = ("debian:5.10", "debian:6.12", "source:debian:6.12")
NOT_JUDGED = {"SKIP"}


def covered_by(way: str, kind: str) -> set[tuple[str, ...]]:
    """What a cell is a test of: its way, its kind, and its kind with a way's mechanism."""
    return {("way", way), ("kind", kind), (HOLD_PATHS[way].reference.value, kind)}


def selection(turn: int) -> list[tuple[str, str]]:
    """Cells that cover all of it, few of them; ``turn`` changes which."""
    cells = pairs()
    cells = cells[turn:] + cells[:turn]
    left = set().union(*(covered_by(*one) for one in cells))
    chosen: list[tuple[str, str]] = []
    while left:
        best = max(cells, key=lambda one: len(covered_by(*one) & left))
        chosen.append(best)
        left -= covered_by(*best)
    return [one for one in pairs() if one in chosen]


def play(kernel: str, cells: list[tuple[str, str]], folder: Path) -> list[dict[str, Any]]:
    """The cells' records, played in guests that they share."""
    words = " or ".join(f"{way}.{kind}[" for way, kind in cells)
    done = pinhole("catalogue", "--kernel", kernel, "-k", words, "--json", "--runs", folder)
    assert done.stdout, done.stderr
    records = json.loads(done.stdout)
    played = {(one["scenario"]["hold"], one["scenario"]["kind"]): one for one in records}
    # A word chooses more than one cell where a way's name ends as another's: vmsplice, splice.
    return [played[one] for one in cells]


def differences(records: list[dict[str, Any]]) -> Iterator[str]:
    """A line for each cell that is not as expected, or whose blocks did as nobody foretold."""
    for record in records:
        name = f"{record['scenario']['name']}[{record['kernel']['label']}]"
        if record["status"] in NOT_JUDGED:
            # Only the guest itself knows what it lacks: the call, and what it said.
            if "this guest cannot do it" not in record["reason"]:
                yield f"{name}: skipped, but not by the guest: {record['reason']}"
        elif record["status"] != "PASS":
            yield f"{name}: {record['status']}: {record['reason'] or record['comparison']}"
        elif record["comparison"]["because"] is None:
            yield f"{name}: nothing is known of it: it belongs into matrix.yaml"


@pytest.mark.parametrize("turn", range(len(KERNELS)), ids=KERNELS)
def test_a_selection_of_the_matrix_is_as_expected(turn: int, tmp_path: Path) -> None:
    chosen = selection(turn * 7)
    assert {way for way, _ in chosen} == set(HOLD_PATHS)
    records = play(KERNELS[turn], chosen, tmp_path)
    assert list(differences(records)) == []
    assert any(record["status"] == "PASS" for record in records)


@pytest.mark.full
@pytest.mark.parametrize("kernel", KERNELS)
def test_the_whole_matrix_is_as_expected(kernel: str, tmp_path: Path) -> None:
    records = play(kernel, pairs(), tmp_path)
    assert list(differences(records)) == []


def test_every_kind_is_known_of_some_way() -> None:
    assert {kind for _, kind in known()} >= {kind for _, kind in pairs() if kind != OWN}
