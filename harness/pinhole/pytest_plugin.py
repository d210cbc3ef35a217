# SPDX-License-Identifier: GPL-2.0-only
"""The pytest plugin: a booted guest, its DIMM and its holders as fixtures.

``dimm`` and ``hold`` are what most tests take; ``guest`` and ``machine`` are below them, and
``run_scenario`` plays a whole scenario of the catalogue. Every test gets a machine of its own,
once for each ``--pinhole-kernel``. Where a test fails, the report shows the evidence and the
run's directory is kept.
"""

from __future__ import annotations

import argparse
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    # Imported where they are used: pytest loads this plugin in every project that is installed
    # beside pinhole, and should not pay for it there.
    from pinhole.guest.dimm import PluggedDimm
    from pinhole.guest.guest import Guest, Launch
    from pinhole.guest.holder import Holder
    from pinhole.kernel.bootable import Kernel
    from pinhole.machine.qemu import Machine
    from pinhole.plan import MachinePlan
    from pinhole.progress import Progress
    from pinhole.scenario.engine import Result
    from pinhole.tools.pytest_session import Watched

DEFAULT_KERNEL = "debian:6.12"
_KERNEL_FIXTURE = "pinhole_kernel"
_MARKERS = {
    "kernel_option": "(*names): skip on a kernel that lacks one of these options, naming it",
    "kernel_version": "(range): skip on a kernel outside the range, such as '>=5.13, <6.14'",
}
_WATCHED: pytest.StashKey[Watched] = pytest.StashKey()


class StartHolder(Protocol):
    """What the fixture ``hold`` is, for annotations."""

    def __call__(
        self,
        way: str,
        size: str | int = "16M",
        *,
        kind: str = "anonymous",
        tricks: Sequence[str] = (),
    ) -> Holder:
        """Starts pinholder on the DIMM, and returns once it holds or was refused."""


class RunScenario(Protocol):
    """What the fixture ``run_scenario`` is, for annotations."""

    def __call__(self, name: str) -> Result:
        """Plays the scenario ``name`` of the catalogue on a machine of its own."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("pinhole", "pinhole: kernels whose memory is taken away")
    group.addoption(
        "--pinhole-kernel",
        action="append",
        metavar="K",
        help="a kernel to test: debian:6.12, image:PATH; repeatable, tests run once a kernel "
        f"(default: {DEFAULT_KERNEL})",
    )
    group.addoption(
        "--pinhole-accel", choices=("tcg", "kvm"), help="the accelerator (default: what boots)"
    )
    group.addoption("--pinhole-qemu", metavar="PATH", type=Path, help="the QEMU to use")
    group.addoption(
        "--pinhole-runs", metavar="DIR", type=Path, help="where the directories of failed tests go"
    )
    group.addoption(
        "--pinhole-offline", action="store_true", help="use cached kernels only; touch no network"
    )
    group.addoption(
        "--pinhole-patience",
        metavar="F",
        type=_patience,
        default=1.0,
        help="multiply every budget, for a host that is busy or slow",
    )


def _patience(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number between 0.1 and 1000")
    return value


def pytest_configure(config: pytest.Config) -> None:
    for name, rest in _MARKERS.items():
        config.addinivalue_line("markers", f"{name}{rest}")
    for text in config.getoption("--pinhole-kernel") or ():
        from pinhole.errors import UsageError
        from pinhole.kernel.recipe import parse_recipe

        try:
            parse_recipe(text)
        except UsageError as error:
            raise pytest.UsageError(f"--pinhole-kernel: {error}") from error


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if _KERNEL_FIXTURE not in metafunc.fixturenames:
        return
    for mark in metafunc.definition.iter_markers("parametrize"):
        if mark.args and _KERNEL_FIXTURE in mark.args[0]:
            return  # the test names its kernels itself
    named = metafunc.config.getoption("--pinhole-kernel") or [DEFAULT_KERNEL]
    once = list(dict.fromkeys(named))
    metafunc.parametrize(_KERNEL_FIXTURE, once, indirect=True, ids=str, scope="session")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips by the markers, before anything is booted for the test."""
    text = item.callspec.params.get(_KERNEL_FIXTURE) if hasattr(item, "callspec") else None
    if text is None or not any(item.get_closest_marker(name) for name in _MARKERS):
        return
    from pinhole.tools.pytest_session import resolved, said_plainly, skip_by_markers

    with said_plainly():
        skip_by_markers(item, resolved(item.config, text))


@pytest.fixture(scope="session")
def pinhole_progress() -> Progress:
    """Where pinhole says what it does for each test: nowhere, unless overridden."""
    from pinhole.progress import Quiet

    return Quiet()


@pytest.fixture(scope="session")
def pinhole_kernel(request: pytest.FixtureRequest) -> Kernel:
    """The kernel under test, fetched if it has to be: label, release, version, config."""
    from pinhole.tools.pytest_session import resolved, said_plainly

    with said_plainly():
        return resolved(request.config, request.param)


@pytest.fixture(scope="session")
def pinhole_launch(request: pytest.FixtureRequest, pinhole_kernel: Kernel) -> Launch:
    """How machines are started: QEMU, accelerator and budgets."""
    from pinhole.guest.guest import Launch
    from pinhole.machine.probe import choose
    from pinhole.machine.process import find_qemu
    from pinhole.tools.pytest_session import TerminalLines, said_plainly

    option = request.config.getoption
    with said_plainly():
        qemu = find_qemu(option("--pinhole-qemu"))
        progress = TerminalLines(request.config)
        choice = choose(option("--pinhole-accel"), qemu, pinhole_kernel.image, progress)
    return Launch(qemu=qemu, accelerator=choice.accelerator, patience=option("--pinhole-patience"))


@pytest.fixture
def pinhole_machine() -> MachinePlan:
    """Sizes of the machine: 1 GiB and two CPUs in node 0, a DIMM of 512 MiB for node 1.

    Override it in a conftest.py for others: ``return MachinePlan(memory="2G", dimm="1G")``.
    """
    from pinhole.plan import MachinePlan

    return MachinePlan()


@pytest.fixture(scope="session")
def _run_folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    from pinhole.results.run import Run, runs_dir
    from pinhole.tools.pytest_session import said_plainly

    with said_plainly():
        parent = runs_dir(request.config.getoption("--pinhole-runs")).absolute()
        run = Run.create(parent, {"pytest": str(request.config.rootpath)})
    yield run.folder
    if not any(path.is_dir() for path in run.folder.iterdir()):
        shutil.rmtree(run.folder)


@pytest.fixture
def pinhole_folder(request: pytest.FixtureRequest, _run_folder: Path) -> Iterator[Path]:
    """The test's directory: console log and evidence; kept where the test fails."""
    from pinhole.dirs import private_dir
    from pinhole.tools.pytest_session import Watched, said_plainly

    name = re.sub(r"[^A-Za-z0-9._+-]+", "-", request.node.nodeid).strip("-.")[-150:]
    taken = len(list(_run_folder.glob(f"{name}*")))  # a rerun, or ids that differ in odd letters
    with said_plainly():
        folder = private_dir(_run_folder / (f"{name}.{taken + 1}" if taken else name))
    watched = request.node.stash[_WATCHED] = Watched(folder)
    yield folder
    if not watched.failed:
        shutil.rmtree(folder)


@pytest.fixture
def guest(
    request: pytest.FixtureRequest,
    pinhole_kernel: Kernel,
    pinhole_launch: Launch,
    pinhole_machine: MachinePlan,
    pinhole_folder: Path,
    pinhole_progress: Progress,
) -> Iterator[Guest]:
    """A freshly booted guest: ``guest.channel.run(["uname", "-r"], budget=5)``; node 1 is empty."""
    from pinhole.boot.base import BASE_NEEDS
    from pinhole.guest.guest import booted
    from pinhole.scenario.engine import topology_of
    from pinhole.scenario.vocabulary import all_needs
    from pinhole.tools.pytest_session import (
        quiet_after_failure,
        said_plainly,
        skip_where_lacking,
    )

    watched = request.node.stash[_WATCHED]
    skip_where_lacking(pinhole_kernel, BASE_NEEDS.options)
    with (
        said_plainly(),
        quiet_after_failure(watched),
        booted(
            pinhole_kernel,
            all_needs(pinhole_kernel),
            topology_of(pinhole_machine),
            pinhole_launch,
            pinhole_folder,
            pinhole_progress,
        ) as found,
    ):
        watched.guest = found
        yield found
        watched.guest = None


@pytest.fixture
def machine(guest: Guest) -> Machine:
    """The virtual machine of ``guest``: ``qmp``, ``console``, ``hotplug``."""
    return guest.machine


@pytest.fixture
def dimm(guest: Guest, pinhole_machine: MachinePlan) -> PluggedDimm:
    """A DIMM, plugged into node 1 and online in ZONE_MOVABLE: ``blocks``, ``offline_all()``."""
    from pinhole.guest.dimm import PluggedDimm
    from pinhole.tools.pytest_session import said_plainly

    with said_plainly():
        return PluggedDimm.plug(guest, pinhole_machine.dimm)


@pytest.fixture
def hold(request: pytest.FixtureRequest, guest: Guest, dimm: PluggedDimm) -> Iterator[StartHolder]:
    """Starts pinholder on the DIMM: ``hold("io_uring", "16M")``; all end with the test.

    Skips the test where the guest says that it has not what the way or the kind takes.
    """
    from pinhole.errors import UnsupportedError
    from pinhole.guest.holder import Holder
    from pinhole.size import parse_size
    from pinhole.tools.pytest_session import quiet_after_failure, said_plainly

    watched = request.node.stash[_WATCHED]
    with said_plainly(), quiet_after_failure(watched), ExitStack() as stack:

        def start(
            way: str,
            size: str | int = "16M",
            *,
            kind: str = "anonymous",
            tricks: Sequence[str] = (),
        ) -> Holder:
            arguments = ["--hold", way, "--kind", kind, "--size", str(parse_size(size))]
            budgets = guest.budgets
            arguments += ["--node", str(dimm.node)]
            arguments += [f"--hold-budget={budgets.pin:.3f}", f"--hold-grace={budgets.grace:.3f}"]
            for trick in tricks:
                arguments += ["--trick", trick]
            budget = budgets.hold + budgets.pin + budgets.grace
            try:
                started = Holder.start(guest.channel, arguments, budget)
            except UnsupportedError as error:
                pytest.skip(str(error))
            holder = stack.enter_context(started)
            watched.holders.append(holder)
            return holder

        yield start


@pytest.fixture
def run_scenario(
    request: pytest.FixtureRequest,
    pinhole_kernel: Kernel,
    pinhole_launch: Launch,
    pinhole_machine: MachinePlan,
    pinhole_folder: Path,
    pinhole_progress: Progress,
) -> RunScenario:
    """Plays a scenario of the catalogue on a machine of its own; returns the engine's result."""
    from pinhole.errors import UsageError
    from pinhole.scenario.engine import Job, run_job
    from pinhole.scenario.expect import Status
    from pinhole.scenario.vocabulary import vocabulary
    from pinhole.yamlfile import did_you_mean

    def run(name: str) -> Result:
        catalogue, results = vocabulary().catalogue, request.node.stash[_WATCHED].results
        if name not in catalogue:
            raise UsageError(f"unknown scenario {name!r}{did_you_mean(name, catalogue)}")
        folder = pinhole_folder / f"{len(results) + 1}-{name}"
        folder.mkdir()
        job = Job(catalogue[name], pinhole_kernel, pinhole_machine, pinhole_launch, folder)
        result = run_job(job, pinhole_progress)
        if result.status is Status.SKIP:
            pytest.skip(result.reason or f"{pinhole_kernel.label} cannot run {name}")
        results.append((folder, result))
        return result

    return run


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Adds the evidence to the report of a test that failed, while its guest is still up."""
    watched = item.stash.get(_WATCHED, None)
    if watched and call.excinfo and not item.config.getoption("fulltrace"):
        from pinhole.tools.pytest_session import end_at_the_test

        end_at_the_test(call.excinfo.value)
    report: pytest.TestReport = yield  # type: ignore[assignment]
    if watched is not None and report.failed:
        if not watched.failed:
            item.user_properties.append(("pinhole_directory", str(watched.folder)))
        watched.failed = True
        report.sections.append(("pinhole evidence", watched.evidence()))
    return report  # type: ignore[return-value]
