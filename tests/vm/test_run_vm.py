# SPDX-License-Identifier: GPL-2.0-only
"""The main job on real kernels: what the default plan shows, and that it can be judged again."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.unit.fact_by_fact import leaves, rests_on, without

from pinhole.plan import Scenario
from pinhole.resources import shipped
from pinhole.scenario.evidence import load
from pinhole.scenario.ruling import State
from pinhole.scenario.verdict import judge

PINHOLE = [sys.executable, "-c", "from pinhole.cli import main; main()"]


@dataclass(frozen=True)
class Finished:
    """A run that ended: its exit status, its records by ``scenario[kernel]``, its folder."""

    status: int
    document: dict[str, Any]
    folder: Path
    stderr: str
    junit: Path

    def verdict(self, scenario: str, kernel: str) -> dict[str, Any]:
        return self.record(scenario, kernel)["verdict"]  # type: ignore[no-any-return]

    def record(self, scenario: str, kernel: str) -> dict[str, Any]:
        return next(
            record
            for record in self.document["records"]
            if record["scenario"]["name"] == scenario and record["kernel"]["label"] == kernel
        )

    def states(self, scenario: str, kernel: str) -> dict[str, str]:
        found = self.verdict(scenario, kernel)["judgements"]
        return {one["promise"]: one["state"] for one in found}


def pinhole(*arguments: str | Path, within: float = 1800) -> subprocess.CompletedProcess[str]:
    command = [*PINHOLE, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=within)


@pytest.fixture(scope="module")
def default_plan(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The default plan, run once for all tests of this file."""
    folder = tmp_path_factory.mktemp("default")
    junit = folder / "junit.xml"
    done = pinhole("run", "--json", "--junit", junit, "--runs", folder / "runs")
    assert done.stdout, done.stderr
    document = json.loads(done.stdout)
    return Finished(done.returncode, document, Path(document["folder"]), done.stderr, junit)


PINNED = [("io_uring-anonymous", "debian:5.10")]
MIGRATED = [("io_uring-anonymous", "debian:6.12")]
REFERENCED = [("vmsplice-anonymous", "debian:5.10"), ("vmsplice-anonymous", "debian:6.12")]


def test_everything_is_as_expected(default_plan: Finished) -> None:
    statuses = [record["status"] for record in default_plan.document["records"]]
    assert (statuses, default_plan.status) == (["PASS"] * 4, 0)


@pytest.mark.parametrize(("scenario", "kernel"), PINNED)
def test_a_pin_stays_in_zone_movable_before_5_13(
    default_plan: Finished, scenario: str, kernel: str
) -> None:
    verdict = default_plan.verdict(scenario, kernel)
    assert verdict["pin"]["word"] == "pinned-in-movable"
    placement = verdict["judgements"][0]
    assert (placement["state"], placement["pages"]) == ("broken", 4096)
    assert len(placement["blocks"]) == 1
    _one_block_stays(verdict, placement["blocks"][0], pages=4096)


@pytest.mark.parametrize(("scenario", "kernel"), MIGRATED)
def test_a_pin_migrates_its_pages_since_5_13(
    default_plan: Finished, scenario: str, kernel: str
) -> None:
    verdict = default_plan.verdict(scenario, kernel)
    assert verdict["pin"]["word"] == "migrated"
    assert [one["outcome"]["word"] for one in verdict["blocks"]] == ["removed"] * 4
    assert default_plan.states(scenario, kernel) == {
        "placement": "kept",
        "clean refusal": "not-applicable",
        "removal": "kept",
        "recovery": "kept",
        "ledger": "kept",
        "health": "kept",
    }


@pytest.mark.parametrize(("scenario", "kernel"), REFERENCED)
def test_vmsplice_keeps_one_block(default_plan: Finished, scenario: str, kernel: str) -> None:
    verdict = default_plan.verdict(scenario, kernel)
    states = default_plan.states(scenario, kernel)
    assert verdict["pin"]["word"] == "held"
    assert (states["placement"], states["recovery"]) == ("not-applicable", "kept")
    (block,) = [one["block"] for one in verdict["blocks"] if one["held_pages"]]
    _one_block_stays(verdict, block, pages=256)


def _one_block_stays(verdict: dict[str, Any], block: str, pages: int) -> None:
    words = Counter(one["outcome"]["word"] for one in verdict["blocks"])
    assert words == {"removed": 3, "still-looping": 1}
    (stays,) = [one for one in verdict["blocks"] if one["outcome"]["word"] == "still-looping"]
    assert (stays["block"], stays["held_pages"]) == (block, pages)
    assert stays["outcome"]["budget_seconds"] > 0
    removal = next(one for one in verdict["judgements"] if one["promise"] == "removal")
    assert removal["state"] == "broken"
    assert any("migrating pfn" in line for line in removal["lines"])


def test_the_same_verdicts_come_from_the_evidence_alone(default_plan: Finished) -> None:
    again = pinhole("judge", "--json", default_plan.folder)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["records"] == default_plan.document["records"]


def test_strict_fails_on_the_holes_that_were_expected(default_plan: Finished) -> None:
    done = pinhole("judge", "--strict", default_plan.folder)
    assert done.returncode == 1
    assert "4 scenario runs: 4 as expected. Promises: 14 kept, 4 broken, 0 unknown." in done.stdout


def test_no_fact_of_fresh_evidence_can_be_lost_unnoticed(default_plan: Finished) -> None:
    record = default_plan.record("io_uring-anonymous", "debian:6.12")
    scenario = Scenario.model_validate(record["scenario"])
    evidence = load(default_plan.folder / record["folder"])
    whole = judge(scenario, evidence)
    for path in leaves(evidence):
        resting = [one.promise for one in whole.judgements if rests_on(one, path)]
        if resting:
            verdict = judge(scenario, without(evidence, path))
            assert all(verdict.of(promise).state is not State.KEPT for promise in resting), path


def test_the_runs_folder_holds_evidence_and_no_key(default_plan: Finished) -> None:
    names = Counter(path.name for path in default_plan.folder.rglob("*") if path.is_file())
    assert names["evidence.json"] == names["record.json"] == names["console.log"] == 4
    assert not any("initrd" in name or "key" in name for name in names)
    assert oct(default_plan.folder.stat().st_mode)[-3:] == "700"


def test_progress_is_told_line_by_line(default_plan: Finished) -> None:
    assert "booting 5.10.0-" in default_plan.stderr
    assert "4/4 vmsplice-anonymous[debian:6.12]: PASS in " in default_plan.stderr


def test_junit_has_the_four_cases(default_plan: Finished) -> None:
    root = ET.parse(default_plan.junit).getroot()
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("4", "0", "0")


def test_a_refused_pin_leaves_nothing_pinned_and_works_offline(tmp_path: Path) -> None:
    done = pinhole(
        *("run", shipped("plans") / "catalogue.yaml", "--offline", "--json", "--runs", tmp_path),
        *("-k", "io_uring-refused and 6.12"),
    )
    assert done.returncode == 0, done.stderr
    (record,) = json.loads(done.stdout)["records"]
    assert record["verdict"]["pin"] == {
        "word": "refused",
        "errno": "ENOMEM",
        "budget_seconds": None,
        "passes": None,
    }
    states = {one["promise"]: one["state"] for one in record["verdict"]["judgements"]}
    assert (states["clean refusal"], states["placement"]) == ("kept", "not-applicable")
    (stays,) = [one for one in record["verdict"]["blocks"] if one["outcome"]["word"] != "removed"]
    assert stays["held_pages"] == 1


def test_a_pin_of_pages_that_are_isolated_elsewhere_spins_until_it_is_killed(
    tmp_path: Path,
) -> None:
    plan = shipped("plans") / "catalogue.yaml"
    done = pinhole("run", plan, "--json", "--runs", tmp_path, "-k", "isolated")
    assert done.returncode == 0, done.stderr
    records = json.loads(done.stdout)["records"]
    verdicts = {record["kernel"]["version"][:4]: record["verdict"] for record in records}
    assert {version: one["pin"]["word"] for version, one in verdicts.items()} == {
        "5.10": "pinned-in-movable",
        "6.12": "spinning-killable",
    }
    assert verdicts["6.12"]["pin"]["budget_seconds"] > 0
    states = {one["promise"]: one["state"] for one in verdicts["6.12"]["judgements"]}
    assert states.pop("placement") == "not-applicable"
    assert set(states.values()) == {"kept"}


@pytest.mark.full
def test_the_whole_catalogue_is_as_expected(tmp_path: Path) -> None:
    plan = shipped("plans") / "catalogue.yaml"
    done = pinhole("run", plan, "--repeat", "2", "--json", "--runs", tmp_path, within=7200)
    assert done.returncode == 0, done.stderr
    # What neither of Debian's kernels has is skipped by name.
    assert {record["status"] for record in json.loads(done.stdout)["records"]} == {"PASS", "SKIP"}
