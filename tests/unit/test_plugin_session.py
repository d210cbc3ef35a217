# SPDX-License-Identifier: GPL-2.0-only
"""The pytest plugin where nothing is booted: what it costs, what it offers, what it refuses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.unit.plugin_project import Project

FIXTURES = (
    "dimm",
    "guest",
    "hold",
    "machine",
    "pinhole_folder",
    "pinhole_kernel",
    "pinhole_launch",
    "pinhole_machine",
    "pinhole_progress",
    "run_scenario",
)
DOCUMENT = Path(__file__).parents[2] / "docs" / "pytest.md"
TAKES_A_KERNEL = "def test_of_a_kernel(pinhole_kernel):\n    assert pinhole_kernel.release\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_plugin_costs_nothing_where_it_is_not_used(project: Project) -> None:
    project.write(
        "test_other.py",
        "import sys\n"
        "def test_nothing_of_pinhole_is_loaded():\n"
        "    loaded = {name for name in sys.modules if name.startswith('pinhole')}\n"
        "    assert loaded == {'pinhole', 'pinhole.pytest_plugin'}\n"
        "    assert not {'pydantic', 'paramiko', 'yaml'} & set(sys.modules)\n",
    )
    session = project.pytest("--strict-markers")
    assert (session.status, session.outcomes) == (0, {"passed": 1}), session.text
    assert not project.runs.exists()


def test_fixtures_and_markers_are_shown_and_documented(project: Project) -> None:
    fixtures, document = project.pytest("--fixtures").text, DOCUMENT.read_text()
    for name in FIXTURES:
        shown = re.search(rf"^{name}\b.* -- .*pytest_plugin\.py:\d+\n    (.+)", fixtures, re.M)
        assert shown is not None, name
        assert "no docstring" not in shown[1]
        assert f"| `{name}` |" in document
    (own,) = re.findall(r"fixtures defined from pinhole[^\n]*\n(.*?)(?=\n-----|\Z)", fixtures, re.S)
    assert set(re.findall(r"^([a-z]\w*)\b.* -- ", own, re.M)) == set(FIXTURES)
    markers = project.pytest("--markers").text
    for name in ("kernel_option", "kernel_version"):
        assert f"@pytest.mark.{name}(" in markers
        assert f"| `{name}(" in document
    options = set(re.findall(r"--pinhole-\w+", project.pytest("--help").text))
    assert options == set(re.findall(r"--pinhole-\w+", document.split("## Options")[1]))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--pinhole-kernel", "debian:6.21"),
            "ERROR: --pinhole-kernel: unknown kernel 'debian:6.21' (did you mean 'debian:6.12'?",
        ),
        (("--pinhole-accel", "xen"), "argument --pinhole-accel: invalid choice: 'xen'"),
        (("--pinhole-patience", "0"), "argument --pinhole-patience: '0' is no number between 0.1"),
        (("--pinhole-patience", "long"), "argument --pinhole-patience: 'long' is no number"),
    ],
)
def test_option_that_cannot_be_is_a_usage_error(
    project: Project, arguments: tuple[str, ...], said: str
) -> None:
    project.write("test_kernel.py", TAKES_A_KERNEL)
    session = project.pytest(*arguments)
    assert session.status == pytest.ExitCode.USAGE_ERROR
    assert said in session.text
    assert "Traceback" not in session.text
    assert len(session.text.splitlines()) < 12


def test_tests_run_once_for_each_kernel(project: Project) -> None:
    project.write(
        "test_kernel.py",
        TAKES_A_KERNEL + "import pytest\n"
        "@pytest.mark.parametrize('pinhole_kernel', ['debian:6.1'], indirect=True)\n"
        "def test_of_its_own_kernel(pinhole_kernel): ...\n"
        "def test_of_none(): ...\n",
    )
    two = ("--pinhole-kernel", "debian:5.10", "--pinhole-kernel", "debian:6.12")
    session = project.pytest("--collect-only", "-q", *two, "--pinhole-kernel", "debian:5.10")
    assert session.text.splitlines()[:4] == [
        "test_kernel.py::test_of_a_kernel[debian:5.10]",
        "test_kernel.py::test_of_a_kernel[debian:6.12]",
        "test_kernel.py::test_of_its_own_kernel[debian:6.1]",
        "test_kernel.py::test_of_none",
    ]
    assert "4 tests collected" in session.text
    assert "test_of_a_kernel[debian:6.12]\n" in project.pytest("--collect-only", "-q").text


def test_kernel_that_cannot_be_had_is_told_in_its_own_words(project: Project) -> None:
    project.write("test_kernel.py", TAKES_A_KERNEL + "def test_other(dimm): ...\n")
    (project.folder / "notes").write_text("no kernel\n")
    session = project.pytest("--pinhole-kernel", f"image:{project.folder / 'notes'}")
    assert session.outcomes == {"errors": 2}
    assert f"{project.folder / 'notes'} is not" in session.text
    assert "pytest_plugin.py" not in session.text
    assert not list(project.runs.glob("*/*"))
