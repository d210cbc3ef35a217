# SPDX-License-Identifier: GPL-2.0-only
"""Whatever stands in evidence.json, judging it ends in a verdict: a guest can write much of it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.fact_by_fact import having, leaves

from pinhole.plan import Promise, Scenario
from pinhole.scenario.facts import Path as FactPath
from pinhole.scenario.ruling import State
from pinhole.scenario.verdict import judge

CAPTURED = Path(__file__).parent / "captured" / "evidence"
EVIDENCE: dict[str, Any] = json.loads(
    (CAPTURED / "debian-6.12-io_uring-anonymous.json").read_text()
)
SCENARIO = Scenario.model_validate(EVIDENCE["scenario"])


def _places() -> list[FactPath]:
    """All facts, and everything that holds facts."""
    found: dict[FactPath, None] = {}
    for path in leaves(EVIDENCE):
        for length in range(1, len(path) + 1):
            found[path[:length]] = None
    return list(found)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(_places()), JSON)
def test_anything_anywhere_ends_in_a_verdict(place: FactPath, value: Any) -> None:
    verdict = judge(SCENARIO, having(EVIDENCE, place, value))
    assert [one.promise for one in verdict.judgements] == list(Promise)
    assert all(one.reason for one in verdict.judgements)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(EVIDENCE)), JSON))
def test_arbitrary_evidence_keeps_nothing(evidence: dict[str, Any]) -> None:
    verdict = judge(SCENARIO, evidence)
    assert verdict.promises(State.KEPT) == ()


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 1e9])
def test_a_time_that_is_none_keeps_no_removal(value: float) -> None:
    place: FactPath = ("removals", "held", "attempts", 0, "seconds")
    verdict = judge(SCENARIO, having(EVIDENCE, place, value))
    assert verdict.of(Promise.REMOVAL).state is State.UNKNOWN
