# SPDX-License-Identifier: GPL-2.0-only
"""``pinhole compare`` on runs that were made (from captured evidence), and its mistakes: no VM."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.faults.buildable_kernel import buildable_tree
from tests.unit.test_command_line import run as pinhole

from pinhole.errors import UsageError
from pinhole.kernel.recipe import DebianRecipe, ImageRecipe, parse_recipe
from pinhole.kernel.recipe import patched as patched_recipe
from pinhole.plan import Scenario
from pinhole.results.record import KernelName, Record
from pinhole.results.run import Run
from pinhole.scenario.evidence import FILE_NAME
from pinhole.scenario.expect import Status
from pinhole.scenario.verdict import judge
from pinhole.tools.compare import _told_apart, candidate_of

CAPTURED = Path(__file__).parent / "captured" / "evidence"


def saved(parent: Path, *names: str) -> Run:
    """A run whose records say that everything is well, with evidence that says what was."""
    run = Run.create(parent, {"arguments": ["run", "my plan.yaml", "--runs", "/somewhere"]})
    for name in names:
        evidence: dict[str, Any] = json.loads((CAPTURED / f"{name}.json").read_text())
        scenario = Scenario.model_validate(evidence["scenario"])
        kernel = KernelName.model_validate(evidence["kernel"])
        folder = run.job_folder(kernel.label, scenario.name, 0)
        shutil.copy(CAPTURED / f"{name}.json", folder / FILE_NAME)
        run.save(
            Record(
                scenario=scenario,
                kernel=kernel,
                status=Status.PASS,
                verdict=judge(scenario, {}),
                accelerator="tcg",
                started=f"2026-01-01T00:00:{len(list(run.records())):02}+00:00",
                seconds=1.0,
                folder=str(folder.relative_to(run.folder)),
            )
        )
    return run


@pytest.fixture
def both(tmp_path: Path) -> Run:
    """A run of two kernels and two scenarios."""
    return saved(
        tmp_path,
        "debian-5.10-io_uring-anonymous",
        "debian-5.10-vmsplice-anonymous",
        "debian-6.12-io_uring-anonymous",
        "debian-6.12-vmsplice-anonymous",
    )


def words(run: Run, *, reverse: bool = False) -> list[str]:
    names = [f"{run.name}@debian:5.10", f"{run.name}@debian:6.12"]
    return [*(reversed(names) if reverse else names), "--runs", str(run.folder.parent)]


def test_a_run_is_judged_by_its_evidence_and_compared(both: Run) -> None:
    done = pinhole("compare", *words(both), "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    rows = {row["scenario"]: row["word"] for row in document["rows"]}
    assert rows == {"io_uring-anonymous": "fix", "vmsplice-anonymous": "same"}
    assert document["exit_status"] == 0
    back = pinhole("compare", *words(both, reverse=True), "--json")
    assert back.returncode == 1
    assert [row["word"] for row in json.loads(back.stdout)["rows"]] == ["regression", "same"]


def test_the_table_and_the_markdown_are_on_standard_output(both: Run) -> None:
    table = pinhole("compare", *words(both))
    assert "1 fix, 1 same of 2 scenarios." in table.stdout
    mail = pinhole("compare", *words(both), "--markdown", "-k", "io_uring")
    assert mail.stdout.startswith("**1 fix of 1 scenario**")
    assert mail.stdout.endswith(
        "    pinhole run 'my plan.yaml'\n"
        f"    pinhole compare {both.name}@debian:5.10 {both.name}@debian:6.12 -k io_uring\n"
    )


def test_a_run_of_one_kernel_needs_no_label_and_newest_is_a_run(tmp_path: Path) -> None:
    old = saved(tmp_path, "debian-5.10-io_uring-anonymous")
    renamed = old.folder.rename(tmp_path / "20000101-000000-000000")
    saved(tmp_path, "debian-6.12-io_uring-anonymous", "debian-6.12-vmsplice-anonymous")
    done = pinhole("compare", str(renamed), "newest", "--runs", str(tmp_path), "--json")
    assert done.returncode == 0, done.stderr
    assert [row["word"] for row in json.loads(done.stdout)["rows"]] == ["fix", "new"]


def test_evidence_that_is_gone_is_unclear_and_status_3(both: Run) -> None:
    (both.folder / "debian-6.12" / "vmsplice-anonymous" / FILE_NAME).write_text("{")
    done = pinhole("compare", *words(both), "--json", "-k", "vmsplice")
    assert done.returncode == 3
    assert json.loads(done.stdout)["rows"][0]["word"] == "unclear"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("RUN", "RUN"), "the run has several kernels (debian:5.10, debian:6.12); say which: RUN@"),
        (("RUN@6.1", "RUN@6.1"), "no kernel '6.1'; it has debian:5.10, debian:6.12"),
        (("RUN@debian:5.10",), "Give a CANDIDATE, or --patch FILE"),
        (("RUN@debian:5.10", "debian:6.12"), "'debian:6.12' is no run, and what it is"),
        (("RUN@debian:5.10", "RUN@debian:6.12", "--repeat", "2"), "--repeat: for kernels"),
        (("RUN@debian:5.10", "RUN@debian:6.12", "-k", "none"), "-k 'none' chooses nothing of"),
        (("RUN@debian:5.10", "RUN@debian:6.12", "--json", "--markdown"), "--json or --markdown"),
        (("debian:6.21", "debian:6.12"), "'debian:6.21' is no run, and: unknown kernel"),
        (("debian:6.12", "debian:6.12"), "BASE and CANDIDATE are both debian:6.12"),
        (("debian:5.10", "debian:6.12", "-k", "none"), "-k 'none' chooses none of"),
        (("debian:6.12", "--patch", "/nothing"), "--patch /nothing: there is no such file"),
        (("debian:6.12", "debian:5.10", "--patch", "/nothing"), "a CANDIDATE or --patch"),
    ],
)
def test_a_mistake_is_told_before_anything_boots(
    both: Run, arguments: tuple[str, ...], said: str
) -> None:
    given = [one.replace("RUN", both.name) for one in arguments]
    done = pinhole("compare", *given, "--runs", str(both.folder.parent))
    assert (done.returncode, done.stdout) == (2, "")
    assert said.replace("RUN", both.name) in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_two_builds_of_one_file_name_are_told_apart() -> None:
    images = [ImageRecipe(Path("/old/bzImage")), ImageRecipe(Path("/new/bzImage"))]
    labels = [one.label for one in _told_apart(*images)]
    assert labels == ["image:/old/bzImage", "image:/new/bzImage"]


def test_two_working_trees_of_one_name_are_told_apart() -> None:
    words = ["tree:/old/linux", "tree:/new/linux"]
    assert [one.label for one in _told_apart(*map(parse_recipe, words))] == words
    patched = [patched_recipe(parse_recipe(one), [Path("a.patch")]) for one in words]
    assert [one.label for one in _told_apart(*patched)] == [f"{one}+a" for one in words]


def test_a_sandbox_can_be_insisted_on(both: Run, tmp_path: Path) -> None:
    """Where a mailed patch is built, bubblewrap is wanted most."""
    buildable_tree(tmp_path / "linux")
    tree = f"tree:{tmp_path / 'linux'}"
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("tree: linux\nname: mine\nconfig: {fragments: [], options: {CONFIG_ONE: y}}")
    (tmp_path / "bwrap").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    done = pinhole(
        *("compare", str(recipe), tree, "--sandbox"),
        PATH=f"{tmp_path}:{os.environ['PATH']}",
        PINHOLE_CACHE=str(tmp_path / "cache"),
    )
    assert done.returncode == 3
    assert "--sandbox: bubblewrap does not work here" in done.stderr
    done = pinhole("compare", *words(both), "--no-sandbox")
    assert "--no-sandbox: for kernels that are run now" in done.stderr


def test_a_kernel_without_source_takes_no_patch() -> None:
    with pytest.raises(
        UsageError, match=r"debian:6\.12 is a ready kernel: patches need one that is built"
    ):
        candidate_of(DebianRecipe("6.12"), (Path("a.patch"),))
