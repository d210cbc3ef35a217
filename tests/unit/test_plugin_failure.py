# SPDX-License-Identifier: GPL-2.0-only
"""What a failed test's report says of a scenario that it played, from captured evidence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from pinhole.scenario.engine import Result
from pinhole.scenario.expect import Status, compare
from pinhole.scenario.verdict import judge
from pinhole.scenario.vocabulary import vocabulary
from pinhole.tools.failure import describe_result

CAPTURED = Path(__file__).parent / "captured" / "evidence" / "debian-5.10-io_uring-anonymous.json"
FOLDER = Path("/runs/1-io_uring-anonymous")


def played(kernel_version: str) -> Result:
    """The evidence of 5.10, compared with what is expected of ``kernel_version``."""
    scenario = vocabulary().catalogue["io_uring-anonymous"]
    verdict = judge(scenario, json.loads(CAPTURED.read_text()))
    comparison = compare(scenario, kernel_version, verdict)
    return Result(comparison.status, None, verdict, comparison, "", 1.0, {})


def test_scenario_as_expected_shows_its_holes() -> None:
    lines = describe_result(played("5.10.262"), FOLDER)
    assert lines[0] == "1-io_uring-anonymous: PASS"
    assert any(line.startswith("  placement is broken: ") for line in lines)
    assert any(line.startswith("    dmesg: migrating pfn ") for line in lines)
    assert not any("recovery" in line for line in lines)
    assert lines[-1] == "  evidence: /runs/1-io_uring-anonymous/evidence.json"


def test_scenario_otherwise_than_expected_shows_the_differences() -> None:
    lines = describe_result(played("6.12.117"), FOLDER)
    assert lines[0] == "1-io_uring-anonymous: FAIL"
    assert "  placement is broken, which was not expected" in lines
    assert "  the pin was expected migrated, it is pinned-in-movable" in lines


def test_scenario_that_could_not_be_played_shows_why() -> None:
    broken_off = replace(played("6.12.117"), status=Status.MISS, reason="boot: the guest panicked",
                         verdict=None, comparison=None)  # fmt: skip
    assert describe_result(broken_off, FOLDER) == [
        "1-io_uring-anonymous: MISS: boot: the guest panicked",
        "  evidence: /runs/1-io_uring-anonymous/evidence.json",
    ]
