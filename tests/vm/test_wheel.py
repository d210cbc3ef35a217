# SPDX-License-Identifier: GPL-2.0-only
"""The wheel, installed outside the checkout beside what it declares to depend on, and no more."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.vm.machine_guest import debian

from pinhole.dirs import cache_dir

ROOT = Path(__file__).parents[2]
PLAN = """\
version: 1
kernels: [debian:6.12]
scenarios:
  - io_uring-anonymous
  - name: my-own
    summary: a scenario of the user's own
    hold: vmsplice
"""
TYPED = """\
from pinhole.guest.dimm import PluggedDimm
from pinhole.guest.guest import Guest
from pinhole.kernel.kernel import Kernel
from pinhole.machine.qemu import Machine
from pinhole.pytest_plugin import RunScenario, StartHolder


def test_typed(
    dimm: PluggedDimm,
    hold: StartHolder,
    guest: Guest,
    machine: Machine,
    pinhole_kernel: Kernel,
    run_scenario: RunScenario,
) -> None:
    assert hold("io_uring", "16M", tricks=("munmap",)).refused is None
    assert all(attempt.succeeded for attempt in dimm.offline_all().values())
    assert guest.channel.run(["uname", "-r"], budget=5).text.strip() == pinhole_kernel.release
    assert machine.qmp.execute("query-status")
    assert run_scenario("io_uring-anonymous").status == "PASS"
    reveal_type(hold("vmsplice").refused)
"""


@dataclass(frozen=True)
class Installation:
    """A virtual environment with the wheel in it, and a user's folder beside it."""

    wheel: Path
    environment: Path
    folder: Path

    @property
    def python(self) -> Path:
        return self.environment / "bin" / "python"

    @property
    def cache(self) -> Path:
        return self.folder.parent / "cache"

    def run(self, *argv: str | Path, within: float = 120) -> subprocess.CompletedProcess[str]:
        """``argv`` with the environment's commands first, in the user's folder."""
        inherited = {name: value for name, value in os.environ.items() if name[:6] != "PYTHON"}
        return subprocess.run(
            argv,
            cwd=self.folder,
            env={
                **inherited,
                "COLUMNS": "200",
                "PATH": f"{self.environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
                "PINHOLE_CACHE": str(self.cache),
                "PINHOLE_RUNS": str(self.folder.parent / "runs"),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )

    def pinhole(self, *arguments: str | Path) -> str:
        """What ``pinhole`` prints; it must end with status 0."""
        done = self.run(self.environment / "bin" / "pinhole", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    base = tmp_path_factory.mktemp("wheel")
    environment, folder = base / "environment", base / "project"
    folder.mkdir()
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    # The builder is in the test extra: nothing is downloaded, and the build takes 2 s.
    call([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", base, ROOT])
    (wheel,) = base.glob("pinhole-*.whl")
    call([sys.executable, "-m", "venv", "--without-pip", environment])
    (site,) = environment.glob("lib/python3.*/site-packages")
    # What the wheel itself says: what is installed in editable form may be of an older pyproject.
    requires = metadata(wheel).get_all("Requires-Dist") or []
    for needed in closure(["pytest", *requires]):
        link(needed, site)
    python = str(environment / "bin" / "python")
    call([*pip, "--python", python, "install", "--no-deps", "--no-index", wheel])
    here = Installation(wheel, environment, folder)
    share_kernels(here.cache)
    return here


def metadata(wheel: Path) -> Message:
    """What the wheel says of itself."""
    with zipfile.ZipFile(wheel) as opened:
        (name,) = (one for one in opened.namelist() if one.endswith(".dist-info/METADATA"))
        return message_from_bytes(opened.read(name))


def call(argv: Sequence[str | Path]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def closure(requirements: Sequence[str]) -> Iterator[Distribution]:
    """The installed distributions that ``requirements`` ask for, and what those ask for."""
    seen, wanted = set(), [Requirement(text) for text in requirements]
    while wanted:
        one = wanted.pop()
        extras = [{"extra": extra} for extra in one.extras] or [{"extra": ""}]
        if one.marker is not None and not any(map(one.marker.evaluate, extras)):
            continue
        key = (canonicalize_name(one.name), frozenset(one.extras))
        if key in seen:
            continue
        seen.add(key)
        found = distribution(one.name)
        yield found
        for text in found.requires or ():
            further = Requirement(text)
            if further.marker is None or any(map(further.marker.evaluate, extras)):
                further.marker = None
                wanted.append(further)


def link(needed: Distribution, site: Path) -> None:
    """Puts what ``needed`` installed into ``site``, by links."""
    for name in {path.parts[0] for path in needed.files or ()} - {"..", "__pycache__"}:
        place = site / name
        if not place.exists():
            place.symlink_to(Path(str(needed.locate_file(name))))


def share_kernels(cache: Path) -> None:
    """A cache with this user's kernels and nothing else: programs and image are made anew."""
    debian("6.12")  # fetched if it has to be
    cache.mkdir(mode=0o700)
    for name in ("kernel", "debian", "accelerator"):
        (cache_dir() / name).mkdir(exist_ok=True)
        (cache / name).symlink_to(cache_dir() / name)


def test_wheel_holds_sources_plans_and_catalogue(installed: Installation) -> None:
    with zipfile.ZipFile(installed.wheel) as wheel:
        names = set(wheel.namelist())
    shipped = [
        *(path for path in (ROOT / "guest").rglob("*") if path.suffix in {".c", ".h"}),
        ROOT / "guest" / "Makefile",
        *(ROOT / "plans").glob("*.yaml"),
        *(ROOT / "kernel-configs").rglob("*.config"),
        *(ROOT / "kernel-configs" / "variants").rglob("*.*"),
        ROOT / "kernel-configs" / "explain.c",
    ]
    assert len(shipped) > 20
    for path in shipped:
        assert f"pinhole/_shipped/{path.relative_to(ROOT)}" in names
    for path in (ROOT / "harness" / "pinhole").rglob("*"):
        if path.suffix in {".py", ".yaml", ".typed"}:
            assert str(path.relative_to(ROOT / "harness")) in names
    tops = {name.split("/")[0] for name in names}
    assert len(tops) == 2
    assert "pinhole" in tops
    assert not [name for name in names if name.endswith((".o", ".pyc"))]
    described = metadata(installed.wheel)
    assert described["License-Expression"] == "GPL-2.0-only"
    assert "can userspace hold memory" in described.get_payload()  # the README


def test_commands_work_outside_the_checkout(installed: Installation) -> None:
    where = installed.run(installed.python, "-c", "import pinhole; print(pinhole.__file__)")
    assert Path(where.stdout.strip()).is_relative_to(installed.environment)
    version = metadata(installed.wheel)["Version"]
    assert installed.pinhole("--version") == f"pinhole {version}\n"
    (installed.folder / "plan.yaml").write_text(PLAN)
    assert installed.pinhole("plan", "check", "plan.yaml") == (
        "plan.yaml: good: 2 scenarios on 1 kernels\n"
    )
    assert '"io_uring-anonymous"' in installed.pinhole("plan", "schema")
    listed = installed.pinhole("run", "--list").splitlines()
    assert [line.split("  ")[0] for line in listed] == [
        "io_uring-anonymous[debian:5.10]",
        "io_uring-anonymous[debian:6.12]",
        "vmsplice-anonymous[debian:5.10]",
        "vmsplice-anonymous[debian:6.12]",
    ]
    dry = installed.pinhole("run", "plan.yaml", "--dry-run", "-k", "my-own", "--offline")
    assert dry.startswith("# my-own[debian:6.12]: ")
    assert "/qemu-system-x86_64 " in dry.splitlines()[1]


def test_wheel_brings_the_pytest_plugin(installed: Installation) -> None:
    (installed.folder / "test_nothing.py").write_text("def test_nothing(): ...\n")
    done = installed.run(installed.python, "-m", "pytest", "--markers", "-p", "no:cacheprovider")
    assert "@pytest.mark.kernel_option(*names): " in done.stdout, done.stderr
    done = installed.run(installed.python, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error")
    assert done.returncode == 0, done.stdout
    assert f"pinhole-{metadata(installed.wheel)['Version']}" in done.stdout


def test_scenario_runs_from_the_wheel(installed: Installation) -> None:
    (installed.folder / "plan.yaml").write_text(PLAN)
    table = installed.pinhole(
        "run", "plan.yaml", "-k", "io_uring-anonymous", "--offline", "--patience", "3"
    )
    assert "migrated" in table
    assert "kept" in table
    assert "migrated" in installed.pinhole("judge")
    (programs,) = (path for path in (installed.cache / "programs").iterdir() if path.name[0] != ".")
    assert {"init", "pinguest", "pinholder"} <= {path.name for path in programs.iterdir()}


def test_user_s_annotations_are_checked(installed: Installation) -> None:
    (installed.folder / "test_typed.py").write_text(TYPED)
    done = installed.run(
        sys.executable, "-m", "mypy", "--strict", "--python-executable", installed.python,
        "--cache-dir", installed.folder.parent / "mypy", "test_typed.py", within=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert 'Revealed type is "str | None"' in done.stdout
