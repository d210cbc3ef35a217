# SPDX-License-Identifier: GPL-2.0-only
"""The pytest plugin: a booted guest, its DIMM and its holders as fixtures.

``dimm`` and ``hold`` are what most tests take; ``guest`` and ``machine`` are below them, and
``run_scenario`` plays a whole scenario of the catalogue. Every test gets a machine of its own,
once for each ``--pinhole-kernel``. Where a test fails, the report shows the evidence and the
run's directory is kept.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    # Imported where they are used: pytest loads this plugin in every project that is installed
    # beside pinhole, and should not pay for it there.
    from pinhole.guest.dimm import PluggedDimm
    from pinhole.guest.guest import Guest, Launch
    from pinhole.guest.holder import Holder
    from pinhole.kernel.bootable import Kernel
    from pinhole.machine.qemu import Machine
    from pinhole.progress import Progress
    from pinhole.scenario.engine import Result

DEFAULT_KERNEL = "debian:6.12"
_KERNEL_FIXTURE = "pinhole_kernel"
_FOLDER = pytest.StashKey[Path]()
_GUEST: pytest.StashKey[Guest] = pytest.StashKey()
_HOLDERS: pytest.StashKey[Sequence[Holder]] = pytest.StashKey()
_FAILED = pytest.StashKey[bool]()

StartHolder = Callable[..., "Holder"]
RunScenario = Callable[[str], "Result"]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("pinhole", "pinhole: kernels whose memory is taken away")
    group.addoption(
        "--pinhole-kernel",
        action="append",
        metavar="K",
        help="a kernel to test: debian:6.12, image:PATH; repeatable, tests run once a kernel "
        f"(default: {DEFAULT_KERNEL})",
    )
    group.addoption("--pinhole-accel", metavar="ACCEL", help="tcg or kvm (default: what boots)")
    group.addoption("--pinhole-qemu", metavar="PATH", type=Path, help="the QEMU to use")
    group.addoption(
        "--pinhole-runs", metavar="DIR", type=Path, help="where the directories of failed tests go"
    )
    group.addoption(
        "--pinhole-offline", action="store_true", help="use cached kernels only; touch no network"
    )
    group.addoption(
        "--pinhole-patience", metavar="F", type=float, default=1.0, help="multiply every budget"
    )


def pytest_configure(config: pytest.Config) -> None:
    for line in (
        "kernel_option(*names): skip on a kernel that lacks one of these options, naming it",
        "kernel_version(range): skip on a kernel outside the range, such as '>=5.13'",
    ):
        config.addinivalue_line("markers", line)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if _KERNEL_FIXTURE in metafunc.fixturenames:
        named = metafunc.config.getoption("--pinhole-kernel") or [DEFAULT_KERNEL]
        metafunc.parametrize(_KERNEL_FIXTURE, named, indirect=True, ids=str, scope="session")


@pytest.fixture(scope="session")
def pinhole_progress() -> Progress:
    """Where pinhole says what it is doing while tests run: nowhere, unless overridden."""
    from pinhole.progress import Quiet

    return Quiet()


@pytest.fixture(scope="session")
def pinhole_kernel(request: pytest.FixtureRequest, pinhole_progress: Progress) -> Kernel:
    """The kernel under test, fetched if it has to be."""
    from pinhole.kernel.kernel import resolve
    from pinhole.kernel.recipe import parse_recipe

    offline = bool(request.config.getoption("--pinhole-offline"))
    return resolve(parse_recipe(request.param), pinhole_progress, offline=offline)


@pytest.fixture(scope="session")
def pinhole_launch(
    request: pytest.FixtureRequest, pinhole_kernel: Kernel, pinhole_progress: Progress
) -> Launch:
    """How machines are started: QEMU, accelerator and budgets."""
    from pinhole.guest.guest import Launch
    from pinhole.machine.probe import choose
    from pinhole.machine.process import find_qemu

    option = request.config.getoption
    qemu = find_qemu(option("--pinhole-qemu"))
    choice = choose(option("--pinhole-accel"), qemu, pinhole_kernel.image, pinhole_progress)
    return Launch(qemu=qemu, accelerator=choice.accelerator, patience=option("--pinhole-patience"))


@pytest.fixture(scope="session")
def _run_folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    from pinhole.results.run import Run, runs_dir

    parent = runs_dir(request.config.getoption("--pinhole-runs"))
    run = Run.create(parent, {"pytest": str(request.config.rootpath)})
    yield run.folder
    if not any(path.is_dir() for path in run.folder.iterdir()):
        shutil.rmtree(run.folder)


@pytest.fixture
def pinhole_folder(request: pytest.FixtureRequest, _run_folder: Path) -> Iterator[Path]:
    """The test's directory: console log and evidence; kept where the test fails."""
    from pinhole.dirs import private_dir

    name = re.sub(r"[^A-Za-z0-9._+-]+", "-", request.node.nodeid).strip("-.")
    folder = private_dir(_run_folder / name[-150:])
    request.node.stash[_FOLDER] = folder
    yield folder
    if not request.node.stash.get(_FAILED, False):
        shutil.rmtree(folder)


@pytest.fixture
def guest(
    request: pytest.FixtureRequest,
    pinhole_kernel: Kernel,
    pinhole_launch: Launch,
    pinhole_folder: Path,
    pinhole_progress: Progress,
) -> Iterator[Guest]:
    """A freshly booted guest: node 0 has 1 GiB and two CPUs, node 1 is empty and movable."""
    from pinhole.guest.guest import booted
    from pinhole.plan import MachinePlan
    from pinhole.scenario.engine import topology_of
    from pinhole.scenario.vocabulary import all_needs

    _skip_if_lacking(request.node, pinhole_kernel)
    with booted(
        pinhole_kernel,
        all_needs(pinhole_kernel),
        topology_of(MachinePlan()),
        pinhole_launch,
        pinhole_folder,
        pinhole_progress,
    ) as found:
        request.node.stash[_GUEST] = found
        request.node.stash[_HOLDERS] = ()
        yield found
        del request.node.stash[_GUEST]


@pytest.fixture
def machine(guest: Guest) -> Machine:
    """The virtual machine of ``guest``: QMP, console, hotplug."""
    return guest.machine


@pytest.fixture
def dimm(guest: Guest) -> PluggedDimm:
    """A DIMM of 512 MiB, plugged into node 1 and online in ZONE_MOVABLE."""
    from pinhole.guest.dimm import PluggedDimm

    return PluggedDimm.plug(guest)


@pytest.fixture
def hold(request: pytest.FixtureRequest, guest: Guest, dimm: PluggedDimm) -> Iterator[StartHolder]:
    """Starts pinholder on the DIMM: ``hold("io_uring", "16M")``; all end with the test."""
    from pinhole.guest.holder import Holder
    from pinhole.size import parse_size

    with ExitStack() as stack:

        def start(
            way: str,
            size: str | int = "16M",
            *,
            kind: str = "anonymous",
            tricks: tuple[str, ...] = (),
        ) -> Holder:
            arguments = ["--hold", way, "--kind", kind, "--size", str(parse_size(size))]
            arguments += ["--node", str(dimm.node)]
            for trick in tricks:
                arguments += ["--trick", trick]
            holder = stack.enter_context(Holder.start(guest.channel, arguments, guest.budgets.hold))
            request.node.stash[_HOLDERS] = (*request.node.stash[_HOLDERS], holder)
            return holder

        yield start


@pytest.fixture
def run_scenario(
    request: pytest.FixtureRequest,
    pinhole_kernel: Kernel,
    pinhole_launch: Launch,
    pinhole_folder: Path,
    pinhole_progress: Progress,
) -> RunScenario:
    """Plays a scenario of the catalogue on a machine of its own; returns the engine's result."""
    from pinhole.plan import MachinePlan
    from pinhole.scenario.engine import Job, run_job
    from pinhole.scenario.expect import Status
    from pinhole.scenario.vocabulary import vocabulary

    _skip_if_lacking(request.node, pinhole_kernel)

    def run(name: str) -> Result:
        job = Job(
            scenario=vocabulary().catalogue[name],
            kernel=pinhole_kernel,
            machine=MachinePlan(),
            launch=pinhole_launch,
            folder=pinhole_folder,
        )
        result = run_job(job, pinhole_progress)
        if result.status is Status.SKIP:
            pytest.skip(result.reason or "")
        return result

    return run


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Adds the evidence to the report of a test that failed, while its guest is still up."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    if report.failed and _FOLDER in item.stash:
        item.stash[_FAILED] = True
        report.sections.append(("pinhole evidence", _evidence(item, call.when)))
    return report  # type: ignore[return-value]


def _evidence(item: pytest.Item, when: str) -> str:
    """What the guest says of itself, and where the rest lies."""
    from pinhole.tools.failure import describe_guest

    lines = [f"directory: {item.stash[_FOLDER]} (kept)"]
    found = item.stash.get(_GUEST, None)
    if found is not None and when == "call":
        lines += describe_guest(found, item.stash[_HOLDERS], item.stash[_FOLDER])
    return "\n".join(lines)


def _skip_if_lacking(item: pytest.Item, kernel: Kernel) -> None:
    from pinhole.boot.base import BASE_NEEDS
    from pinhole.plan import Expectation

    wanted = set(BASE_NEEDS.options)
    for mark in item.iter_markers("kernel_option"):
        wanted.update(mark.args)
    lacking = kernel.lacks(wanted)
    if lacking:
        pytest.skip(f"{kernel.label} lacks {', '.join(lacking)}")
    for mark in item.iter_markers("kernel_version"):
        if not Expectation(kernels=mark.args[0], because="marker").covers(kernel.version):
            pytest.skip(f"{kernel.label} is {kernel.version}, the test is for {mark.args[0]}")
