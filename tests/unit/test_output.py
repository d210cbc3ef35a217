# SPDX-License-Identifier: GPL-2.0-only
"""Output that cannot be written, names that a locale cannot show, mistakes found before a boot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PINHOLE = (sys.executable, "-c", "from pinhole.cli import main; main()")
PLAN = """\
version: 1
kernels:
  - {image: vmlinuz, name: "%s"}
  - {image: vmlinuz, name: "%s"}
scenarios: [io_uring-anonymous]
"""


def pinhole(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PINHOLE, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
    )


def test_full_output_is_told_in_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*PINHOLE, "plan", "schema"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 3
    assert done.stderr == "pinhole: cannot write the output: No space left on device\n"


def test_reader_that_goes_away_ends_it_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*PINHOLE, "plan", "schema"],
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writing)
    assert done.returncode != 0
    assert done.stderr == ""


def test_name_that_the_locale_cannot_show_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "pl\u00e4ne.yaml"
    path.write_text("version: 2\n")
    done = pinhole("plan", "check", path, PYTHONIOENCODING="ascii", LC_ALL="C")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "pl\\xe4ne.yaml:1: " in done.stderr


@pytest.mark.parametrize("names", [("my kernel", "my-kernel"), ("a/b", "a-b"), ("..", "//")])
def test_kernels_that_would_share_a_folder_are_refused(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN % names)
    done = pinhole("plan", "check", path)
    assert done.returncode == 2
    assert "would share the run's folder" in done.stderr
    path.write_text(PLAN % ("one", "two"))
    assert pinhole("plan", "check", path).returncode == 0


def test_junit_that_cannot_be_written_is_told_before_anything_boots(tmp_path: Path) -> None:
    target = tmp_path / "none" / "junit.xml"
    done = pinhole("run", "--junit", target, "--runs", tmp_path / "runs")
    assert done.returncode == 2
    assert f"--junit {target}: its folder is not there" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_expression_that_chooses_nothing_is_told_by_list_too() -> None:
    for options in ((), ("--list",)):
        done = pinhole("run", "-k", "nosuch", *options)
        assert done.returncode == 2
        assert "'nosuch' chooses nothing" in done.stderr
