# SPDX-License-Identifier: GPL-2.0-only
"""``baseline:`` in a plan: where the other kernels of a run differ from it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from tests.unit.compare_records import record

from pinhole.errors import UsageError
from pinhole.plan import Promise, load_plan
from pinhole.results.against import against, render
from pinhole.results.compare import Word
from pinhole.results.record import Record
from pinhole.results.run import Run
from pinhole.scenario.ruling import State
from pinhole.scenario.vocabulary import vocabulary
from pinhole.tools.run import recipes_of

PLAN = """\
version: 1
kernels:
  - variant: stock
  - variant: unchecked
baseline: {baseline}
scenarios: [io_uring-anonymous]
"""


def records() -> list[Record]:
    return [
        record("one", label="stock"),
        record("two", label="stock"),
        record("one", label="leaky", states={Promise.PLACEMENT: State.BROKEN}),
        record("two", label="leaky"),
        record("one", label="as-it-is"),
    ]


def test_each_other_kernel_is_compared_with_the_baseline() -> None:
    leaky, same = against(records(), "stock")
    assert leaky.candidate.kernel.label == "leaky"
    assert {row.scenario: row.word for row in leaky.rows} == {
        "one": Word.REGRESSION,
        "two": Word.SAME,
    }
    assert {row.scenario: row.word for row in same.rows} == {"one": Word.SAME, "two": Word.GONE}
    assert against(records(), "nobody") == ()


def test_what_differs_stands_in_the_table() -> None:
    out = io.StringIO()
    render(against(records(), "stock"), "stock", Console(file=out, width=100))
    text = out.getvalue()
    assert "Against stock" in text
    assert "placement: kept → broken" in text
    assert "gone" in text and "same" in text
    out = io.StringIO()
    render((), "stock", Console(file=out))
    assert out.getvalue() == ""


def test_a_baseline_is_one_of_the_plan_s_kernels(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN.format(baseline="stock"))
    assert len(recipes_of(load_plan(path, vocabulary()), (), path)) == 2
    path.write_text(PLAN.format(baseline="stokc"))
    with pytest.raises(
        UsageError, match=r"plan.yaml:5: no kernel .* 'stokc' \(did you mean 'stock"
    ):
        recipes_of(load_plan(path, vocabulary()), (), path)
    # The kernels of the command line are others: then nothing is compared.
    assert len(recipes_of(load_plan(path, vocabulary()), ("debian:6.12",), path)) == 1


def test_a_run_knows_its_baseline(tmp_path: Path) -> None:
    assert Run.create(tmp_path, {"baseline": "stock"}).baseline() == "stock"
    assert Run.create(tmp_path, {}).baseline() is None
