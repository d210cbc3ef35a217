# SPDX-License-Identifier: GPL-2.0-only
"""Two real kernels compared: run once, and then from the run that was saved."""

from __future__ import annotations

import json
from pathlib import Path

from tests.vm.test_run_vm import pinhole


def test_6_12_fixes_what_5_10_breaks_and_back_is_a_regression(tmp_path: Path) -> None:
    plan = Path(__file__).parents[2] / "plans" / "default.yaml"
    kernels = ("debian:5.10", "debian:6.12")
    options = ("--plan", plan, "-k", "io_uring", "--patience", "3", "--budget", "8")
    done = pinhole("compare", *kernels, *options, "--runs", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    (row,) = document["rows"]
    assert (row["scenario"], row["word"]) == ("io_uring-anonymous", "fix")
    assert row["base"]["pin"] == {"pinned-in-movable": 1}
    assert row["candidate"]["pin"] == {"migrated": 1}
    assert {one["what"]: one["change"] for one in row["reasons"]} == {
        "the hold": "better",
        "placement": "better",
        "removal": "better",
        "blocks while pages are held": "better",
    }

    (run,) = tmp_path.iterdir()
    names = [f"{run}@{kernel}" for kernel in kernels]
    again = pinhole("compare", *names, "--runs", tmp_path, "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["rows"] == document["rows"]
    back = pinhole("compare", *reversed(names), "--runs", tmp_path, "--markdown")
    assert back.returncode == 1, back.stderr
    assert back.stdout.startswith("**1 regression of 1 scenario**")
    assert "booting" not in again.stderr + back.stderr
    assert list(tmp_path.iterdir()) == [run]
