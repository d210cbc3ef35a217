# SPDX-License-Identifier: GPL-2.0-only
"""The pytest plugin on booted kernels: a user's own tests, as the documents show them and worse."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.unit.plugin_project import Project, Session

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "docs/pytest.md")
OLD, NEW = "debian:5.10", "debian:6.12"

FAILING = """
def test_blocked(dimm, hold):
    assert hold("vmsplice", "1M").refused is None
    assert dimm.offline_all(2)[dimm.blocks[0]].succeeded

def test_panic(dimm, hold, machine, guest):
    hold("io_uring", "1M")
    guest.channel.run(["sh", "-c", "echo c > /proc/sysrq-trigger"], budget=30)

def test_unknown_way(hold):
    hold("vmspice")

def test_passing(guest, pinhole_kernel):
    assert guest.channel.run(["uname", "-r"], budget=30).text.strip() == pinhole_kernel.release
"""
MARKED = """
import pytest

@pytest.mark.kernel_option("CONFIG_SMP", "CONFIG_PIN_NOTHING", "CONFIG_AT_ALL")
def test_option(dimm): ...

@pytest.mark.kernel_version(">=5.13", "<6.12")
def test_version(dimm): ...

@pytest.mark.kernel_version("5.13 and later")
def test_no_range(dimm): ...

@pytest.mark.kernel_version(">=6")
@pytest.mark.kernel_option("CONFIG_SMP")
def test_fitting(pinhole_kernel): ...
"""
SCENARIOS = """
import pytest
from pinhole.errors import UsageError

def test_scenarios(run_scenario):
    with pytest.raises(UsageError, match="did you mean 'io_uring-anonymous'"):
        run_scenario("io_uring-anonymus")
    result = run_scenario("io_uring-anonymous")
    assert result.status == "PASS"
    assert result.verdict.pin.name == "migrated"
"""
WAITING = """
from pathlib import Path
import time

def test_waiting(machine, pinhole_folder):
    Path("machine").write_text(f"{machine.pid} {pinhole_folder}")
    time.sleep(300)
"""


def examples() -> list[str]:
    """Each different ```python block of the documents that has a test in it."""
    blocks = [
        block
        for name in DOCUMENTS
        for block in re.findall(r"^```python\n(.*?)^```$", (ROOT / name).read_text(), re.M | re.S)
    ]
    return list(dict.fromkeys(block for block in blocks if "def test_" in block))


@dataclass(frozen=True)
class Failures:
    """What pytest said of ``FAILING``, with two workers."""

    project: Project
    session: Session
    junit: ElementTree.Element

    def report(self, name: str) -> str:
        """The part of the text that tells of the test ``name``."""
        found = re.search(rf"^_+ {name}\[debian:6\.12\] _+\n(.*?)(?=^_{{3,}} |^=+ )",
                          self.session.text, re.M | re.S)  # fmt: skip
        assert found is not None, self.session.text
        return found[1]

    def folder(self, name: str) -> Path:
        """The directory that was kept of the test ``name``."""
        (found,) = (path for path in self.project.kept if name in path.name)
        return found


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> Failures:
    project = Project(tmp_path_factory.mktemp("failing"))
    project.write("test_failing.py", FAILING)
    session = project.pytest("-n", "2", "--junit-xml", "junit.xml")
    assert session.outcomes == {"failed": 3, "passed": 1}, session.text
    return Failures(project, session, ElementTree.parse(project.folder / "junit.xml").getroot())


def test_documents_show_an_example() -> None:
    for name in DOCUMENTS:
        assert any(block in (ROOT / name).read_text() for block in examples()), name


@pytest.mark.parametrize("example", examples(), ids=lambda block: str(len(block)))
def test_example_runs_as_the_documents_show_it(example: str, tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("test_example.py", example)
    session = project.pytest("--pinhole-kernel", OLD, "--pinhole-kernel", NEW)
    assert (session.status, session.outcomes) == (0, {"passed": 1, "skipped": 1}), session.text
    assert re.search(
        r"SKIPPED .*: debian:5\.10 is 5\.10\.\d+, the test is for >=5\.13", session.text
    )
    assert list(project.runs.iterdir()) == []


def test_failure_shows_holders_blocks_and_kernel_lines(failures: Failures) -> None:
    report = failures.report("test_blocked")
    assert f"directory: {failures.folder('test_blocked')} (kept)" in report
    assert re.search(
        r'^pinholder: \{"event": "hold", .*"way": "vmsplice", .*"errno": 0', report, re.M
    )
    (held,) = re.findall(r"^held: 256 pages in (memory\d+)$", report, re.M)
    (offline,) = re.findall(r"^offline: (.*)$", report, re.M)
    assert len(offline.split(", ")) == 3
    assert held not in offline
    assert re.search(r"^dmesg: migrating pfn [0-9a-f]+ failed ret:\d+$", report, re.M)


def test_failure_keeps_its_directory(failures: Failures) -> None:
    folder = failures.folder("test_blocked")
    assert {path.name for path in folder.iterdir()} == {
        "console.log", "holder-0.json", "kmsg.txt", "qemu.log", "qmp.log", "snapshot.json",
        "status.log",
    }  # fmt: skip
    events = json.loads((folder / "holder-0.json").read_text())
    assert events[-1]["event"] == "holding"
    assert "migrating pfn" in (folder / "kmsg.txt").read_text()
    named = {one.get("value") for one in failures.junit.iter("property")}
    assert named == {str(path) for path in failures.project.kept}
    assert len(named) == 3


def test_panic_is_told_at_the_test_s_line(failures: Failures) -> None:
    report = failures.report("test_panic")
    assert re.search(r'^>       guest\.channel\.run\(\["sh", ', report, re.M)
    assert re.search(
        r"^E +pinhole\.errors\.GuestPanickedError: .*sysrq triggered crash", report, re.M
    )
    assert "harness/pinhole" not in report.split("pinhole evidence")[0]
    assert re.search(r"^no more can be told: .*sysrq triggered crash", report, re.M)
    assert "sysrq triggered crash" in (failures.folder("test_panic") / "console.log").read_text()
    assert not re.search(r"ERROR at teardown", failures.session.text)


def test_holder_s_refusal_to_begin_is_told_in_its_words(failures: Failures) -> None:
    report = failures.report("test_unknown_way")
    assert re.search(r"^E +pinhole\.errors\.HolderError: pinholder .*'?vmspice", report, re.M)


def test_passing_test_leaves_no_directory(failures: Failures) -> None:
    assert not [path for path in failures.project.kept if "test_passing" in path.name]


def test_markers_skip_with_the_reason_before_anything_boots(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("test_marked.py", MARKED)
    session = project.pytest()
    assert session.outcomes == {"passed": 1, "skipped": 2, "error": 1}, session.text
    assert f"{NEW} lacks CONFIG_AT_ALL, CONFIG_PIN_NOTHING\n" in session.text
    assert re.search(rf"{NEW} is 6\.12\.\d+, the test is for >=5\.13, <6\.12\n", session.text)
    assert "kernel_version: Value error, '5.13 and later' is not a range" in session.text
    assert "def skip_by_markers" not in session.text
    assert not project.runs.exists()


def test_scenario_is_played_and_leaves_nothing(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("test_scenarios.py", SCENARIOS)
    session = project.pytest("--pinhole-kernel", NEW)
    assert session.outcomes == {"passed": 1}, session.text
    assert list(project.runs.iterdir()) == []


def test_interrupt_ends_the_machine(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("test_waiting.py", WAITING)
    with subprocess.Popen(
        project.command(),
        cwd=tmp_path,
        env=project.environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as pytest_process:
        try:
            place = tmp_path / "machine"
            deadline = time.monotonic() + 120
            while not (place.exists() and place.read_text()) and time.monotonic() < deadline:
                time.sleep(0.1)
            pid, _, folder = place.read_text().partition(" ")
            assert Path(f"/proc/{pid}").exists()
            assert Path(folder).is_dir()
            pytest_process.send_signal(signal.SIGINT)
            text, _ = pytest_process.communicate(timeout=60)
        finally:
            pytest_process.kill()
    assert pytest_process.returncode == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in text
    assert not Path(f"/proc/{pid}").exists()
    assert list(project.runs.iterdir()) == []
