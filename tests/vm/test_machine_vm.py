# SPDX-License-Identifier: GPL-2.0-only
"""A machine on a real QEMU: boot to ready, console, SSH forward, DIMMs, virtio-mem, devices."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.vm.machine_guest import NETWORK, debian, initrd, machine_spec

from pinhole.errors import QmpError, UsageError
from pinhole.machine.qemu import GuestReady, Machine
from pinhole.machine.spec import command_line
from pinhole.machine.topology import Topology, VirtioMem
from pinhole.machine.unplug import UnplugOutcome
from pinhole.needs import Device
from pinhole.size import GIB, MIB

BUDGET = 20.0


@pytest.fixture(scope="module", params=["6.12", "5.10"])
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Machine, GuestReady]]:
    """One machine a kernel for all tests of this file; each leaves it as it was."""
    folder = tmp_path_factory.mktemp("machine")
    kernel = debian(request.param)
    image = initrd(folder, kernel, (*NETWORK, "virtio_mem"))
    topology = Topology(
        slots=2, maxmem_bytes=4 * GIB, root_ports=1, iommu=True, virtio_serial=("agent",)
    )
    with Machine(machine_spec(kernel, image, folder, topology=topology)) as machine:
        yield machine, machine.wait_ready()


@pytest.fixture
def machine(running: tuple[Machine, GuestReady]) -> Machine:
    return running[0]


def guest(machine: Machine, command: str) -> str:
    """What ``command`` prints in the guest's shell on the console."""
    machine.console.send_line(f"echo BE''GIN; {command}; echo DO''NE")
    return machine.console.expect(r"BEGIN\r\n(.*?)DONE", BUDGET)[1]


def await_blocks(machine: Machine, count: int) -> None:
    """The guest takes note of new memory a little after QEMU has plugged it."""
    blocks = "ls -d /sys/devices/system/node/node1/memory[0-9]* 2>/dev/null | wc -l"
    guest(machine, f"until [ $({blocks}) = {count} ]; do sleep 0.05; done")


def test_guest_says_that_it_is_ready(running: tuple[Machine, GuestReady]) -> None:
    machine, ready = running
    kernel_image = machine.spec.kernel_image
    assert str(ready.facts["release"]) in {kernel_image.name.removeprefix("vmlinuz-")} | {
        folder.name for folder in (kernel_image.parent / "lib/modules").iterdir()
    }
    assert [stage.name for stage in ready.stages] == ["modules", "ready"]
    assert machine.seconds_to_cont < ready.seconds < machine.spec.budgets.ready
    log = (machine.spec.workdir / "console.log").read_text(errors="replace")
    assert log.index("Linux version") < log.index("Run /init")


def test_console_answers(machine: Machine) -> None:
    assert guest(machine, "echo $((6 * 7))") == "42\r\n"


def test_guest_listens_behind_the_forwarded_port(machine: Machine) -> None:
    guest(machine, "(echo hello from the guest | nc -l -p 22) & true")
    guest(machine, "until grep -q ':0016 .* 0A ' /proc/net/tcp /proc/net/tcp6; do sleep 0.05; done")
    assert machine.ssh_address[0] == "127.0.0.1"
    with socket.create_connection(machine.ssh_address, BUDGET) as connection:
        assert connection.recv(100) == b"hello from the guest\n"


def test_dimm_comes_to_its_node_and_goes(machine: Machine) -> None:
    machine.hotplug.plug_dimm("dimm0", 512 * MIB, 1)
    (dimm,) = machine.hotplug.query_memory_devices()
    assert (dimm.name, dimm.kind, dimm.node, dimm.size_bytes) == ("dimm0", "dimm", 1, 512 * MIB)
    await_blocks(machine, 4)
    result = machine.hotplug.unplug_dimm("dimm0", BUDGET)
    assert (str(result), result.ost) == ("removed", 132)
    # 6.12's _OST for the plug itself (source 1) may come as late as this.
    assert [event.name for event in result.events][-2:] == ["ACPI_DEVICE_OST", "DEVICE_DELETED"]
    assert machine.hotplug.query_memory_devices() == ()
    machine.hotplug.plug_dimm("dimm0", 128 * MIB, 1)  # its backend's name is free again
    await_blocks(machine, 1)
    assert str(machine.hotplug.unplug_dimm("dimm0", BUDGET)) == "removed"


def test_dimm_that_does_not_fit_is_refused_before_qemu_is_asked(machine: Machine) -> None:
    plug = machine.hotplug.plug_dimm
    for name in ("dimm0", "dimm1"):
        plug(name, 128 * MIB, 1)
    await_blocks(machine, 2)
    for name, size, node, reason in (
        ("dimm0", 128 * MIB, 1, "'dimm0' is plugged already"),
        ("dimm2", 128 * MIB, 1, "all 2 DIMM slots are taken"),
        ("dimm2", 128 * MIB, 2, "node: 2 of 'dimm2' does not exist"),
        ("dimm2", 100 * MIB, 1, "100M of 'dimm2' is not a multiple of 128M"),
    ):
        with pytest.raises(UsageError, match=reason):
            plug(name, size, node)
    for name in ("dimm0", "dimm1"):
        assert str(machine.hotplug.unplug_dimm(name, BUDGET)) == "removed"
    with pytest.raises(UsageError, match=r"'dimm2' of 4G does not fit: 1G of maxmem_bytes, 4G"):
        plug("dimm2", 4 * GIB, 1)
    assert machine.hotplug.query_memory_devices() == ()


def test_guest_that_does_not_answer_is_silent_and_its_late_answer_counts(machine: Machine) -> None:
    machine.hotplug.plug_dimm("dimm0", 128 * MIB, 1)
    await_blocks(machine, 1)
    machine.qmp.execute("stop")
    silent = machine.hotplug.unplug_dimm("dimm0", 0.3)
    assert (silent.outcome, silent.ost, silent.events) == (UnplugOutcome.SILENT, None, ())
    assert silent.seconds == pytest.approx(0.3, abs=0.2)
    machine.qmp.execute("cont")
    assert str(machine.hotplug.wait_unplugged("dimm0", BUDGET)) == "removed"


def test_virtio_mem_grows_and_shrinks_as_requested(machine: Machine) -> None:
    device = VirtioMem(name="vm0", size_bytes=GIB, node=1, requested_bytes=256 * MIB)
    machine.hotplug.plug_virtio_mem(device)
    assert machine.hotplug.wait_virtio_mem("vm0", 256 * MIB, BUDGET) == 256 * MIB
    machine.hotplug.set_requested_size("vm0", 128 * MIB)
    assert machine.hotplug.wait_virtio_mem("vm0", 128 * MIB, BUDGET) == 128 * MIB
    with pytest.raises(UsageError, match="multiple of 2M"):
        machine.hotplug.set_requested_size("vm0", MIB)
    with pytest.raises(UsageError, match="no PCIe root port is free for 'edu'"):
        machine.hotplug.plug_device(Device("edu"))
    machine.hotplug.set_requested_size("vm0", 0)
    assert machine.hotplug.wait_virtio_mem("vm0", 0, BUDGET) == 0


def test_refusal_of_qemu_names_the_command(machine: Machine) -> None:
    with pytest.raises(QmpError, match=r"QMP device_del: DeviceNotFound: .*nothing"):
        machine.qmp.execute("device_del", {"id": "nothing"})


def test_device_comes_and_goes_on_a_root_port(tmp_path: Path) -> None:
    kernel = debian("6.12")
    topology = Topology(root_ports=1)
    spec = machine_spec(kernel, initrd(tmp_path, kernel), tmp_path, topology=topology)
    with Machine(spec) as machine:
        machine.wait_ready()
        assert machine.hotplug.plug_device(Device("edu", (("id", "edu0"),))) == "edu0"
        machine.console.expect(r"\[1234:11e8\]", BUDGET)
        assert str(machine.hotplug.unplug_device("edu0", BUDGET)) == "removed"
        with pytest.raises(QmpError, match="not a valid device model"):
            machine.hotplug.plug_device(Device("no-such-device"))
        assert machine.hotplug.plug_device(Device("edu")) == "edu"  # the port is free again


def test_shown_command_line_boots_by_hand(tmp_path: Path) -> None:
    kernel = debian("6.12")
    spec = machine_spec(kernel, initrd(tmp_path, kernel), tmp_path, "off")
    done = subprocess.run(
        command_line(spec),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert b"Linux version" in done.stdout
    assert "pinhole stage off" in (tmp_path / "status.log").read_text()
