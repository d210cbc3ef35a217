# SPDX-License-Identifier: GPL-2.0-only
"""The typed topology: QEMU's arguments for KVM and TCG, and each mistake named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pinhole.budget import Budgets
from pinhole.errors import HostError, UsageError
from pinhole.machine.accel import Accelerator
from pinhole.machine.spec import MachineSpec, Ports, command_line, socket_port
from pinhole.machine.topology import Dimm, Topology, VirtioMem
from pinhole.needs import Device, Needs
from pinhole.size import GIB, KIB, MIB


def test_command_line_under_tcg() -> None:
    assert Topology().arguments(Accelerator.TCG) == [
        *("-machine", "q35", "-accel", "tcg,thread=single", "-cpu", "max"),
        *("-smp", "2", "-m", "1G,slots=8,maxmem=8G"),
        *("-object", "memory-backend-ram,id=m0,size=1G"),
        *("-numa", "node,nodeid=0,cpus=0-1,memdev=m0", "-numa", "node,nodeid=1"),
        *("-netdev", "user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:0-:22"),
        *("-device", "pvpanic", "-device", "virtio-net-pci,netdev=net0,romfile="),
    ]


def test_command_line_under_kvm_with_everything() -> None:
    topology = Topology(
        memory_bytes=768 * MIB,
        cpus=1,
        empty_nodes=2,
        slots=0,
        iommu=True,
        root_ports=1,
        virtio_mem=(VirtioMem(name="vm0", size_bytes=GIB, node=2, requested_bytes=4 * MIB),),
        virtio_serial=("agent",),
        devices=(Device("edu", (("id", "edu0"),)),),
        pvpanic=False,
        network=False,
    )
    assert topology.arguments(Accelerator.KVM) == [
        *("-machine", "q35,kernel-irqchip=split", "-accel", "kvm", "-cpu", "host"),
        *("-smp", "1", "-m", "768M,maxmem=8G"),
        *("-object", "memory-backend-ram,id=m0,size=768M"),
        *("-numa", "node,nodeid=0,cpus=0,memdev=m0"),
        *("-numa", "node,nodeid=1", "-numa", "node,nodeid=2"),
        *("-object", "memory-backend-ram,id=vm0-mem,size=1G"),
        *("-device", "intel-iommu,caching-mode=on,intremap=on"),
        *("-device", "pcie-root-port,id=rp0,bus=pcie.0,chassis=1,slot=1"),
        *("-device", "virtio-mem-pci,id=vm0,memdev=vm0-mem,node=2,block-size=2M,requested-size=4M"),
        *("-device", "virtio-serial-pci,id=vserial0"),
        *("-device", "virtserialport,bus=vserial0.0,nr=1,chardev=agent,name=agent"),
        *("-device", "edu,id=edu0"),
    ]


def test_whole_command_line_is_paused_with_its_ports_on_sockets() -> None:
    spec = MachineSpec(
        kernel_image=Path("/k/vmlinuz"),
        initrd=Path("/k/a,b.cpio"),
        cmdline=("console=ttyS0", "panic=-1"),
        topology=Topology(memory_bytes=GIB, maxmem_bytes=GIB, slots=0, network=False),
        accelerator=Accelerator.TCG,
        budgets=Budgets(),
        qemu=Path("/q/qemu"),
        workdir=Path("/w,x"),
        extra_arguments=("-d", "guest_errors"),
        gdb=1234,
    )
    ports = Ports(console=socket_port(5), status=socket_port(6), qmp=socket_port(7))
    assert command_line(spec, ports) == [
        *("/q/qemu", "-nodefaults", "-no-user-config", "-display", "none", "-S"),
        *("-action", "reboot=shutdown,shutdown=pause,panic=pause"),
        *spec.topology.arguments(Accelerator.TCG),
        *("-chardev", "socket,id=console,fd=5", "-serial", "chardev:console"),
        *("-chardev", "socket,id=status,fd=6", "-serial", "chardev:status"),
        *("-chardev", "socket,id=qmp,fd=7", "-mon", "chardev=qmp,mode=control"),
        *("-gdb", "tcp:127.0.0.1:1234"),
        *("-kernel", "/k/vmlinuz", "-initrd", "/k/a,b.cpio"),
        *("-append", "console=ttyS0 panic=-1", "-d", "guest_errors"),
    ]
    shown = command_line(spec)
    assert "-S" not in shown
    assert "file,id=status,path=/w,,x/status.log" in shown


def test_needs_add_devices_iommu_and_a_root_port_each() -> None:
    edu = Device("edu", (("id", "edu0"),))
    needs = Needs(iommu=True, boot_devices=(edu,), plugged_devices=(Device("edu"),))
    topology = Topology(root_ports=1).with_needs(needs)
    assert (topology.iommu, topology.devices, topology.root_ports) == (True, (edu,), 2)


MISTAKES: list[tuple[Callable[[], Any], str]] = [
    (lambda: Topology(cpus=0), "cpus: 0 must be from 1 to 255"),
    (lambda: Topology(empty_nodes=-1), "empty_nodes: -1 must be from 0 to 127"),
    (
        lambda: Topology(memory_bytes=1000 * KIB),
        "1000K of 'node 0' is not a multiple",
    ),
    (
        lambda: Topology.model_validate({"memory_bytes": "lots"}),
        "memory_bytes: 'lots': 'lots' is no",
    ),
    (lambda: Topology.model_validate({"memroy": 1}), "memroy: 1: Extra inputs"),
    (lambda: Topology(memory_bytes=GIB, maxmem_bytes=GIB), "leaves nothing for 8 slots"),
    (
        lambda: Topology(memory_bytes=9 * GIB),
        "maxmem_bytes: 8G is less than the 9G of boot memory, DIMMs and virtio-mem together",
    ),
    (
        lambda: Dimm(name="d0", size_bytes=500 * MIB, node=1),
        r"dimms.size_bytes: 500M of 'd0' is not a multiple of 128M \(the nearest is 512M\)",
    ),
    (lambda: Dimm(name="0d", size_bytes=GIB, node=1), "dimms.name: '0d' is no id for QEMU"),
    (
        lambda: Topology(dimms=(Dimm(name="d0", size_bytes=GIB, node=2),)),
        r"node: 2 of 'd0' does not exist; the machine has nodes 0 to 1 \(raise empty_nodes\)",
    ),
    (
        lambda: Topology(
            slots=1, dimms=tuple(Dimm(name=n, size_bytes=GIB, node=1) for n in ("a", "b"))
        ),
        "dimms: 2 DIMMs do not fit into 1 slots",
    ),
    (
        lambda: Topology(
            dimms=(Dimm(name="a", size_bytes=GIB, node=1),),
            devices=(Device("edu", (("id", "a"),)),),
        ),
        "id 'a' is used 2 times",
    ),
    (lambda: Topology(virtio_serial=("qmp",)), "id 'qmp' is one of the machine's own"),
    (
        lambda: VirtioMem(name="v", size_bytes=GIB, node=1, requested_bytes=2 * GIB),
        "virtio_mem.requested_bytes: 2G of 'v' must be a multiple of 2M and at most its size, 1G",
    ),
    (
        lambda: VirtioMem(name="v", size_bytes=GIB, node=1, block_bytes=3 * MIB),
        "virtio_mem.block_bytes: 3M of 'v' must be a power of two",
    ),
]


@pytest.mark.parametrize(("make", "message"), MISTAKES)
def test_mistake_names_field_value_and_remedy(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def test_host_without_the_memory_is_named() -> None:
    topology = Topology(dimms=(Dimm(name="d0", size_bytes=512 * MIB, node=1),))
    topology.require_host_memory(1536 * MIB)
    with pytest.raises(HostError, match="takes up to 1536M of memory and this host has 1535M"):
        topology.require_host_memory(1536 * MIB - 1)


def test_budgets_are_scaled_for_tcg() -> None:
    assert (Accelerator.KVM.budget_scale, Accelerator.TCG.budget_scale) == (1.0, 4.0)
