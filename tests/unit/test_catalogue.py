# SPDX-License-Identifier: GPL-2.0-only
"""The matrix of ways x kinds: its cells, what is expected of them, its tables and its YAML."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from rich.console import Console
from tests.unit.compare_records import GOOD, record

from pinhole.plan import Expectation, Promise
from pinhole.results.catalogue_table import markdown, render
from pinhole.results.matrix_yaml import matrix_yaml
from pinhole.results.record import Record
from pinhole.scenario import matrix
from pinhole.scenario.account import Prediction
from pinhole.scenario.expect import Status, compare
from pinhole.scenario.hold import HOLD_PATHS
from pinhole.scenario.kind import MEMORY_KINDS
from pinhole.scenario.ruling import State


def cell_record(
    pin: str | None,
    *,
    way: str = "io_uring",
    kind: str = "anonymous",
    blocks: tuple[str, ...] = ("removed", "removed"),
    states: Mapping[Promise, State] | None = None,
) -> Record:
    made = record(pin=pin, blocks=blocks, states=states, label="debian:6.12")
    scenario = made.scenario.model_copy(update={"name": f"{way}.{kind}", "hold": way, "kind": kind})
    return made.model_copy(update={"scenario": scenario})


def test_every_way_meets_every_kind_and_those_with_pages_of_their_own_meet_none() -> None:
    found = matrix.pairs()
    assert len(found) == len(set(found))
    for way in HOLD_PATHS.values():
        kinds = {kind for name, kind in found if name == way.name}
        assert kinds == ({"own"} if way.own_memory else set(MEMORY_KINDS) - {"own"})


def test_what_is_known_of_cells_is_known_of_cells_that_there_are() -> None:
    assert set(matrix.known()) <= set(matrix.pairs())


def test_at_most_one_cell_in_twenty_varies_and_says_how_in_ten_runs() -> None:
    cells = [one for by_series in matrix.known().values() for one in by_series.values()]
    varying = [one for one in cells if one.varying]
    assert len(varying) <= len(cells) / 20
    assert all(sum(one.varying.values()) == 10 for one in varying)


def test_the_outcome_of_a_cell_is_expected_of_its_series_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outcomes = {
        "5.10": matrix.CellOutcome(pin="pinned-in-movable"),
        "6.12": matrix.CellOutcome(pin="refused(EFAULT)"),
    }
    monkeypatch.setattr(matrix, "known", lambda: {("io_uring", "anonymous"): outcomes})
    scenario = matrix.cell("io_uring", "anonymous")
    old, new = scenario.expectation("5.10.262"), scenario.expectation("6.12.117")
    assert old is not None
    assert new is not None
    assert (old.pin, dict(old.blocks)) == ("pinned-in-movable", {"removed": 1, "still-looping": 1})
    assert old.broken == (Promise.PLACEMENT, Promise.REMOVAL)
    assert (new.pin, dict(new.blocks), new.broken) == ("refused(EFAULT)", {"removed": 2}, ())
    assert scenario.expectation("6.1.0") is None


def test_the_yaml_of_records_expects_what_they_show() -> None:
    held = {**GOOD, Promise.PLACEMENT: State.NOT_APPLICABLE, Promise.REMOVAL: State.BROKEN}
    stays = ("removed", "still-looping")
    records = [
        cell_record("migrated"),
        cell_record("held", way="vmsplice", blocks=stays, states=held),
        cell_record("held", way="vmsplice", kind="own", blocks=("unkillable",) * 2, states=held),
    ]
    cells = yaml.safe_load(matrix_yaml(records))["cells"]
    assert cells["io_uring"]["anonymous"] == {"6.12": "migrated"}
    assert cells["vmsplice"]["anonymous"] == {"6.12": "held"}
    assert cells["vmsplice"]["own"]["6.12"] == {"pin": "held", "blocks": {"unkillable": 2}}
    matrix.MatrixFile.model_validate(yaml.safe_load(matrix_yaml(records)))


def test_the_yaml_counts_what_varies_and_leaves_out_what_is_unknown() -> None:
    held = {**GOOD, Promise.PLACEMENT: State.BROKEN, Promise.REMOVAL: State.BROKEN}
    stays = ("removed", "still-looping")
    records = [cell_record("migrated")] * 7
    records += [cell_record("pinned-in-movable", blocks=stays, states=held)] * 3
    records.append(cell_record("migrated", states={**GOOD, Promise.LEDGER: State.UNKNOWN}))
    records.append(
        cell_record("migrated", kind="own", states={**GOOD, Promise.HEALTH: State.UNKNOWN})
    )
    cells = yaml.safe_load(matrix_yaml(records))["cells"]["io_uring"]
    assert cells == {
        "anonymous": {
            "6.12": {
                "varying": {
                    "migrated: 2 removed": 7,
                    "pinned-in-movable: 1 removed, 1 still-looping": 3,
                },
                "may_break": ["placement", "removal"],
            }
        }
    }


def test_what_may_break_is_expected_both_broken_and_kept() -> None:
    both = record(states={**GOOD, Promise.REMOVAL: State.BROKEN}), record()
    may = Expectation(because="it varies", may_break=(Promise.REMOVAL,))
    for one in both:
        assert one.verdict is not None
        scenario = one.scenario.model_copy(update={"expect": (may,)})
        assert compare(scenario, "6.12.0", one.verdict).status is Status.PASS


def shown(records: list[Record]) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    render(records, console)
    return console.export_text()


def skipped(kind: str) -> Record:
    reason = "hold: this guest cannot do it: setup: open(/dev/iommu): No such file or directory"
    return cell_record(None, kind=kind).model_copy(
        update={"status": Status.SKIP, "verdict": None, "reason": reason}
    )


def test_tables_say_why_there_is_no_outcome_once_for_all_kinds() -> None:
    records = [skipped("anonymous"), skipped("own")]
    for text in (shown(records), markdown(records)):
        assert "SKIP" in text
        assert text.count("open(/dev/iommu)") == 1
        assert "io_uring (2 kinds)" in text


def test_tables_show_every_disagreement() -> None:
    one = cell_record("migrated")
    assert one.verdict is not None
    odd = Prediction(predicted=(), stayed=("memory33",))
    verdict = one.verdict.model_copy(update={"prediction": odd})
    records = [one.model_copy(update={"verdict": verdict})]
    for text in (shown(records), markdown(records)):
        assert "DISAGREES: memory33 stayed" in text


def test_tables_count_repetitions_that_differ() -> None:
    records = [cell_record("migrated")] * 2 + [cell_record("refused(ENOMEM)")]
    assert "2x migrated, 1x refused(ENOMEM)" in markdown(records)


def test_the_document_of_the_catalogue_is_made_by_this_code() -> None:
    """docs/catalogue.md is long: its head and its words must be those that are generated now."""
    text = (Path(__file__).parents[2] / "docs" / "catalogue.md").read_text()
    made = markdown([cell_record("migrated")])
    for part in (made.split("\n## ")[0], made[made.index("## How to read it") :].split("\n## ")[0]):
        assert part in text
