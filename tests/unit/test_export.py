# SPDX-License-Identifier: GPL-2.0-only
"""Exported scenarios: each compiles alone, and its script is POSIX. That they run: tests/vm."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pinhole.errors import HostError, UsageError
from pinhole.scenario.vocabulary import vocabulary
from pinhole.tools.export import export

SCENARIOS = sorted(vocabulary().catalogue)
WARNINGS = ["-Wall", "-Wextra", "-Werror"]


@pytest.fixture(scope="module", params=SCENARIOS)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with one scenario's two files."""
    folder = tmp_path_factory.mktemp("export")
    export(request.param, folder)
    return folder


def test_the_program_compiles_with_nothing_but_the_c_library(exported: Path) -> None:
    (source,) = exported.glob("*.c")
    subprocess.run(
        ["gcc", "-O1", *WARNINGS, "-static", "-pthread", "-o", exported / "out", source],
        check=True,
        timeout=60,
    )
    text = source.read_text()
    assert text.startswith("// SPDX-License-Identifier: GPL-2.0-only\n")
    assert '#include "' not in text
    assert "THE_" not in text


def test_the_script_is_posix(exported: Path) -> None:
    (script,) = exported.glob("*.sh")
    for shell in (["dash"], ["busybox", "sh"]):
        if shutil.which(shell[0]):
            subprocess.run([*shell, "-n", script], check=True, timeout=10)
    assert script.stat().st_mode & 0o111
    assert "@" not in script.read_text().replace("$@", "")


def test_a_cell_of_the_matrix_is_exported_too(tmp_path: Path) -> None:
    found = export("vmsplice.memfd", tmp_path)
    text = found.program.read_text()
    assert "&kind_memfd" in text
    assert "((size_t)4096 << 10)" in text


def test_the_exported_program_holds_pages_on_this_host(tmp_path: Path) -> None:
    found = export("vmsplice-anonymous", tmp_path)
    program = tmp_path / "held"
    subprocess.run(["gcc", "-static", "-pthread", "-o", program, found.program], check=True)
    done = subprocess.run(
        [program], input="\n", capture_output=True, text=True, timeout=30, check=True
    )
    assert "held 256 pages" in done.stdout
    assert done.stdout.endswith("released\n")


def test_an_unknown_scenario_is_named_with_what_was_meant(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'vmsplice-anonymous'"):
        export("vmsplice-anonymus", tmp_path)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="cannot write"):
        export("vmsplice-anonymous", tmp_path / "file")
