# SPDX-License-Identifier: GPL-2.0-only
"""Machines that cannot start, guests that never come up, and a QEMU killed at each phase.

Every test ends by looking that no QEMU process, thread or open file is left.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from tests.vm.machine_guest import PVPANIC, debian, initrd, machine_spec

from pinhole.budget import Budgets
from pinhole.errors import (
    BudgetError,
    GuestPanickedError,
    GuestSilentError,
    HostError,
    KernelError,
    MachineError,
    QemuDiedError,
    QemuStartError,
    UsageError,
)
from pinhole.kernel.kernel import Kernel
from pinhole.machine.drain import Drain
from pinhole.machine.process import QemuProcess, find_qemu
from pinhole.machine.qemu import Machine
from pinhole.machine.qmp import Qmp
from pinhole.machine.spec import MachineSpec
from pinhole.machine.topology import Topology
from pinhole.size import GIB, MIB

SOON = 1.5
"""Seconds within which a wait must have noticed a death: its own budget is far longer."""


@pytest.fixture(scope="module")
def kernel() -> Kernel:
    return debian("6.12")


@pytest.fixture(scope="module")
def image(kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return initrd(tmp_path_factory.mktemp("image"), kernel)


@pytest.fixture
def spec(kernel: Kernel, image: Path, tmp_path: Path) -> MachineSpec:
    return machine_spec(kernel, image, tmp_path)


def children() -> list[str]:
    """This process's children, zombies among them: of whichever thread, for one that ends gives
    its children to another."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            parent = path.read_text().rpartition(")")[2].split()[1]
            if int(parent) == os.getpid():
                found.append(path.parent.name)
    return found


def open_files() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def alive(pid: int) -> bool:
    """Whether the process runs; one that waits to be reaped by whoever inherited it does not."""
    with suppress(FileNotFoundError, ProcessLookupError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state not in {"Z", "X"}
    return False


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path) -> Iterator[None]:
    files, threads = open_files(), threading.active_count()
    yield
    assert children() == []
    assert threading.active_count() == threads
    assert open_files() == files
    assert {path.name for path in tmp_path.iterdir()} <= {
        *("console.log", "status.log", "qemu.log", "qmp.log"),
        *("other", "bin", "script.py", "not-a-kernel"),
    }


def in_a_moment(act: Callable[[], object], seconds: float = 0.3) -> threading.Timer:
    timer = threading.Timer(seconds, act)
    timer.start()
    return timer


# -- it cannot start


def script(folder: Path, text: str) -> Path:
    (folder / "bin").mkdir()
    path = folder / "bin" / "qemu-system-x86_64"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_no_qemu_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(HostError, match="apt-get install qemu-system-x86"):
        find_qemu()
    with pytest.raises(HostError, match="/nowhere/qemu is no program that can be run"):
        find_qemu(Path("/nowhere/qemu"))


def test_old_qemu_is_refused_with_its_version(spec: MachineSpec, tmp_path: Path) -> None:
    old = script(tmp_path, 'echo "QEMU emulator version 5.2.0 (Debian 1:5.2+dfsg-11)"')
    with pytest.raises(HostError, match=r"is QEMU 5\.2\.0; pinhole needs 7\.2 or newer"):
        Machine(replace(spec, qemu=old)).start()


def test_program_that_is_no_qemu(spec: MachineSpec, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="is no QEMU: --version said 'hello'"):
        Machine(replace(spec, qemu=script(tmp_path, "echo hello"))).start()


def test_image_that_is_no_kernel(spec: MachineSpec, tmp_path: Path) -> None:
    path = tmp_path / "not-a-kernel"
    path.write_text("#!/bin/sh\n" * 100)
    with pytest.raises(KernelError, match="is not a Linux kernel image"):
        Machine(replace(spec, kernel_image=path)).start()
    path.write_bytes(spec.kernel_image.read_bytes()[:MIB])
    with pytest.raises(KernelError, match="is cut short"):
        Machine(replace(spec, kernel_image=path)).start()


def test_more_memory_than_the_host_has_free(spec: MachineSpec) -> None:
    topology = Topology(memory_bytes=100_000 * GIB, maxmem_bytes=200_000 * GIB)
    with pytest.raises(HostError, match=r"and this host has \d+M available; end something"):
        Machine(replace(spec, topology=topology)).start()


def test_refused_command_line_quotes_qemu(spec: MachineSpec) -> None:
    with pytest.raises(QemuStartError, match="'no-such-device' is not a valid device model name"):
        Machine(replace(spec, extra_arguments=("-device", "no-such-device"))).start()


def test_machine_outside_the_main_thread_is_refused(spec: MachineSpec) -> None:
    raised: list[BaseException] = []

    def start() -> None:
        try:
            Machine(spec).start()
        except UsageError as error:
            raised.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "outside the main thread" in str(raised[0])


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (Qmp, "__init__"),
        (QemuProcess, "__init__"),
        (QemuProcess, "spawn"),
        (Drain, "start"),
        (Qmp, "connect"),
        (Qmp, "execute"),
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_interrupt_during_start(
    spec: MachineSpec,
    monkeypatch: pytest.MonkeyPatch,
    where: type,
    name: str,
    when: str,
) -> None:
    real = getattr(where, name)

    def interrupted(*args: object, **kwargs: object) -> None:
        if when == "after":
            real(*args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(where, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        Machine(spec).start()


# -- QEMU dies


def test_qemu_killed_before_the_guest_runs(
    spec: MachineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(spec)
    connect = Qmp.connect

    def kill_first(self: Qmp, budget: float) -> None:
        os.kill(machine.pid, signal.SIGKILL)
        connect(self, budget)

    monkeypatch.setattr(Qmp, "connect", kill_first)
    began = time.monotonic()
    with pytest.raises(QemuDiedError, match="was ended by SIGKILL and said nothing"):
        machine.start()
    assert time.monotonic() - began < SOON


def test_qemu_killed_before_ready(spec: MachineSpec) -> None:
    with Machine(spec) as machine:
        timer = in_a_moment(lambda: os.kill(machine.pid, signal.SIGSEGV))
        began = time.monotonic()
        with pytest.raises(QemuDiedError, match="was ended by SIGSEGV"):
            machine.wait_ready()
        assert time.monotonic() - began < SOON
        timer.join()


def execute_while_stopped(machine: Machine) -> None:
    """Stopped, QEMU takes the command and answers nothing."""
    os.kill(machine.pid, signal.SIGSTOP)
    machine.qmp.execute("query-name")


def test_qemu_killed_during_each_kind_of_wait(spec: MachineSpec) -> None:
    waits: list[Callable[[Machine], object]] = [
        lambda machine: machine.qmp.wait_event("NEVER", 60),
        lambda machine: machine.console.expect("never", 60),
        execute_while_stopped,
    ]
    for wait in waits:
        with Machine(spec) as machine:
            pid = machine.pid
            timer = in_a_moment(lambda pid=pid: os.kill(pid, signal.SIGKILL))  # type: ignore[misc]
            began = time.monotonic()
            with pytest.raises(QemuDiedError, match="was ended by SIGKILL"):
                wait(machine)
            assert time.monotonic() - began < SOON
            with pytest.raises(QemuDiedError):
                machine.check()
            with pytest.raises(QemuDiedError):
                machine.qmp.execute("query-name")
            timer.join()


def test_qemu_that_hangs_runs_out_of_its_budget_and_stops_all_the_same(spec: MachineSpec) -> None:
    with Machine(spec) as machine:
        os.kill(machine.pid, signal.SIGSTOP)
        with pytest.raises(BudgetError, match=r"QMP query-name did not come within 0\.2 s"):
            machine.qmp.execute("query-name", budget=0.2)
        began = time.monotonic()
        machine.stop()
        assert time.monotonic() - began < 5
        machine.stop()  # a second time is nothing


HARNESS = """
import sys, time
from pathlib import Path
from tests.vm.machine_guest import debian, machine_spec
from pinhole.machine.qemu import Machine
import signal
def leave(*_): raise SystemExit(1)
signal.signal(signal.SIGTERM, leave)
with Machine(machine_spec(debian("6.12"), None, Path(sys.argv[1]))) as machine:
    print(machine.pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_harness_that_is_killed_takes_qemu_with_it(tmp_path: Path, number: int) -> None:
    (tmp_path / "script.py").write_text(HARNESS)
    harness = subprocess.Popen(
        [sys.executable, tmp_path / "script.py", tmp_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert harness.stdout is not None
    with harness.stdout:
        qemu = int(harness.stdout.readline())
    assert alive(qemu)
    harness.send_signal(number)
    harness.wait(10)
    deadline = time.monotonic() + SOON
    while alive(qemu) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(qemu)


def test_two_machines_at_once(spec: MachineSpec, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with Machine(spec) as one, Machine(replace(spec, workdir=tmp_path / "other")) as other:
        assert one.ssh_address != other.ssh_address
        other.stop()
        one.check()
        assert one.qmp.execute("query-status") == {
            "running": True,
            "singlestep": False,
            "status": "running",
        }


# -- the guest does not come up


def booted(spec: MachineSpec, act: str, *cmdline: str) -> MachineSpec:
    return replace(spec, cmdline=(*spec.cmdline[:-1], f"act={act}", *cmdline))


def test_crash_is_named_when_the_guest_resets(spec: MachineSpec) -> None:
    with Machine(booted(spec, "crash")) as machine:
        with pytest.raises(GuestPanickedError) as raised:
            machine.wait_ready()
        assert "(QEMU said SHUTDOWN (guest-reset)): Kernel panic - not syncing: sysrq" in str(
            raised.value
        )
        with pytest.raises(GuestPanickedError):
            machine.console.expect("never", 60)


@pytest.mark.parametrize("series", ["6.12", "5.10"])
def test_end_of_init_is_named_by_pvpanic(series: str, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    kernel = debian(series)
    image = initrd(tmp_path / "other", kernel, PVPANIC)
    with (
        Machine(machine_spec(kernel, image, tmp_path, "leave")) as machine,
        pytest.raises(
            GuestPanickedError,
            match=r"QEMU said GUEST_PANICKED\): Kernel panic - not syncing: Attempted to kill init!"
            r" exitcode=0x00000300",
        ),
    ):
        machine.wait_ready()


def test_printed_oops_is_no_panic(spec: MachineSpec) -> None:
    with Machine(booted(spec, "oops")) as machine:
        machine.wait_ready()
        machine.check()
        log = (spec.workdir / "console.log").read_text(errors="replace")
        assert "Kernel panic - not syncing: Fatal exception" in log


def test_silent_guest_names_its_last_stage_and_line(spec: MachineSpec) -> None:
    quick = replace(booted(spec, "silent"), budgets=Budgets(0.25))
    with Machine(quick) as machine:
        machine.console.expect("nobody hears me", 60)
        with pytest.raises(GuestSilentError) as raised:
            machine.wait_ready()
    assert "within 7.5 s; the last stage it named: 'silent'" in str(raised.value)
    assert "last console line: nobody hears me" in str(raised.value)


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        ("fail", "the guest's init failed: network: eth0 has no address"),
        ("nonsense", "the guest's init failed: its word that it is ready is not JSON"),
        ("off", "the guest shut itself down"),
    ],
)
def test_guest_that_gives_up_says_why(spec: MachineSpec, act: str, reason: str) -> None:
    with Machine(booted(spec, act)) as machine, pytest.raises(MachineError, match=reason):
        machine.wait_ready()


@pytest.mark.parametrize(
    "size_bytes", [pytest.param(MIB), pytest.param(24 * MIB, marks=pytest.mark.full)]
)
def test_flood_of_the_console_neither_blocks_nor_loses(spec: MachineSpec, size_bytes: int) -> None:
    patient = replace(booted(spec, "flood", f"bytes={size_bytes}"), budgets=Budgets(20.0))
    with Machine(patient) as machine:
        machine.wait_ready()
        machine.console.expect("flooded", 5)
        log = (spec.workdir / "console.log").read_bytes()
        # The kernel's own lines may stand in between.
        assert log[log.index(b"bad") :].count(b"x") >= size_bytes
        assert b"\xff\xfe\xc0\x80 bad" in log
        assert len(machine.console.tail(10_000)) < MIB
