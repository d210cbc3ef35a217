# SPDX-License-Identifier: GPL-2.0-only
"""The shape of a machine: nodes, removable memory and devices, checked before QEMU starts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)

from pinhole.errors import HostError, UsageError
from pinhole.machine.accel import Accelerator
from pinhole.needs import Device, Needs
from pinhole.size import MIB, SizeBytes, format_size

DIMM_STEP_BYTES = 128 * MIB
"""x86-64 adds and removes memory in blocks of at least 128 MiB (SECTION_SIZE_BITS 27)."""
VIRTIO_MEM_BLOCK_BYTES = 2 * MIB
"""virtio-mem's smallest block, and its default on x86-64 hosts with 4 KiB pages."""
NETDEV_ID = "net0"
SERIAL_BUS_ID = "vserial0"

_ID = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,62}")
"""What QEMU takes for an id (``id_wellformed()`` in util/id.c), bounded."""
_RESERVED = re.compile(r"m\d+|rp\d+|net0|vserial0|console|status|qmp")


class _Checked(BaseModel):
    """A frozen model whose mistakes are ``UsageError``, naming field, value and remedy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="wrap")
    @classmethod
    def _name_field_and_value(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(data)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or cls.__name__
            reason = first["msg"].removeprefix("Value error, ")
            raise UsageError(f"topology: {field}: {first['input']!r}: {reason}") from error


class Dimm(_Checked):
    """A DIMM that is plugged into the running machine."""

    name: str
    size_bytes: SizeBytes
    node: int

    @model_validator(mode="after")
    def _check(self) -> Self:
        _require_id("dimms.name", self.name)
        _require_step("dimms.size_bytes", self.name, self.size_bytes, DIMM_STEP_BYTES)
        return self


class VirtioMem(_Checked):
    """A virtio-mem device: ``requested_bytes`` of its ``size_bytes`` are offered to the guest."""

    name: str
    size_bytes: SizeBytes
    node: int
    requested_bytes: SizeBytes = 0
    block_bytes: SizeBytes = VIRTIO_MEM_BLOCK_BYTES

    @model_validator(mode="after")
    def _check(self) -> Self:
        _require_id("virtio_mem.name", self.name)
        block = self.block_bytes
        if block < VIRTIO_MEM_BLOCK_BYTES or block & (block - 1):
            raise UsageError(
                f"topology: virtio_mem.block_bytes: {format_size(block)} of {self.name!r} must be "
                f"a power of two, {format_size(VIRTIO_MEM_BLOCK_BYTES)} or more"
            )
        _require_step("virtio_mem.size_bytes", self.name, self.size_bytes, block)
        self.check_request(self.requested_bytes)
        return self

    def check_request(self, requested_bytes: int) -> None:
        """Raises ``UsageError`` unless the device can be asked for ``requested_bytes``."""
        if requested_bytes % self.block_bytes or not 0 <= requested_bytes <= self.size_bytes:
            raise UsageError(
                f"topology: virtio_mem.requested_bytes: {format_size(requested_bytes)} of "
                f"{self.name!r} must be a multiple of {format_size(self.block_bytes)} and at most "
                f"its size, {format_size(self.size_bytes)}"
            )

    @property
    def backend(self) -> str:
        return f"{self.name}-mem"

    @property
    def device(self) -> Device:
        """The device as QEMU's ``-device`` takes it."""
        return Device(
            "virtio-mem-pci",
            (
                ("id", self.name),
                ("memdev", self.backend),
                ("node", str(self.node)),
                ("block-size", qemu_size(self.block_bytes)),
                ("requested-size", qemu_size(self.requested_bytes)),
            ),
        )


class Topology(_Checked):
    """Node 0 has the boot memory and all CPUs; nodes 1 to ``empty_nodes`` begin empty.

    ``dimms`` are those that will be plugged: they are checked here, not put on the command line.
    ``root_ports`` are PCIe root ports kept free for devices plugged later. ``virtio_serial`` are
    names of ports that the guest finds as ``/dev/virtio-ports/NAME``.
    """

    memory_bytes: SizeBytes = 1024 * MIB
    cpus: int = 2
    empty_nodes: int = 1
    slots: int = 8
    maxmem_bytes: SizeBytes = 8192 * MIB
    dimms: tuple[Dimm, ...] = ()
    virtio_mem: tuple[VirtioMem, ...] = ()
    iommu: bool = False
    devices: tuple[Device, ...] = ()
    root_ports: int = 0
    virtio_serial: tuple[str, ...] = ()
    pvpanic: bool = True
    network: bool = True

    @model_validator(mode="after")
    def _check(self) -> Self:
        _require_step("memory_bytes", "node 0", self.memory_bytes, VIRTIO_MEM_BLOCK_BYTES)
        for field, value, low, high in (
            ("cpus", self.cpus, 1, 255),
            ("empty_nodes", self.empty_nodes, 0, 127),  # MAX_NODES is 128 in QEMU
            ("slots", self.slots, 0, 256),  # ACPI_MAX_RAM_SLOTS
            ("root_ports", self.root_ports, 0, 24),  # q35's pcie.0 has 32 slots in all
        ):
            if not low <= value <= high:
                raise UsageError(f"topology: {field}: {value} must be from {low} to {high}")
        for one in self._removable:
            self.require_node(one.name, one.node)
        for name in self.virtio_serial:
            _require_id("virtio_serial", name)
        self._require_unique_ids()
        self._require_room()
        return self

    def require_node(self, name: str, node: int) -> None:
        """Raises ``UsageError`` unless ``node``, where ``name`` is to be plugged, exists."""
        if not 0 <= node <= self.empty_nodes:
            raise UsageError(
                f"topology: node: {node} of {name!r} does not exist; the machine has nodes 0 to "
                f"{self.empty_nodes} (raise empty_nodes)"
            )

    def _require_unique_ids(self) -> None:
        ids = [
            *(dimm.name for dimm in self.dimms),
            *(one.name for one in self.virtio_mem),
            *self.virtio_serial,
            *(value for one in self.devices for key, value in one.properties if key == "id"),
        ]
        for name, times in Counter(ids).items():
            if times > 1:
                raise UsageError(f"topology: id {name!r} is used {times} times; give each its own")
            if _RESERVED.fullmatch(name):
                raise UsageError(f"topology: id {name!r} is one of the machine's own; use another")

    def _require_room(self) -> None:
        if len(self.dimms) > self.slots:
            raise UsageError(
                f"topology: dimms: {len(self.dimms)} DIMMs do not fit into {self.slots} slots "
                "(raise slots)"
            )
        if self.total_bytes > self.maxmem_bytes:
            raise UsageError(
                f"topology: maxmem_bytes: {format_size(self.maxmem_bytes)} is less than the "
                f"{format_size(self.total_bytes)} of boot memory, DIMMs and virtio-mem together"
            )
        # QEMU: "maxmem … must be at least the initial memory size"; slots need memory beyond it.
        _require_step("maxmem_bytes", "the machine", self.maxmem_bytes, VIRTIO_MEM_BLOCK_BYTES)
        if self.slots and self.maxmem_bytes == self.memory_bytes:
            raise UsageError(
                f"topology: maxmem_bytes: {format_size(self.maxmem_bytes)} leaves nothing for "
                f"{self.slots} slots (raise maxmem_bytes, or set slots to 0)"
            )

    @property
    def total_bytes(self) -> int:
        """All the memory the guest may come to have."""
        return self.memory_bytes + sum(one.size_bytes for one in self._removable)

    @property
    def _removable(self) -> tuple[Dimm | VirtioMem, ...]:
        return (*self.dimms, *self.virtio_mem)

    def with_needs(self, needs: Needs) -> Topology:
        """This topology with the devices that ``needs`` takes, and a root port for each of those
        that are plugged later."""
        return Topology.model_validate(
            {
                **{name: getattr(self, name) for name in Topology.model_fields},
                "iommu": self.iommu or needs.iommu,
                "devices": tuple(dict.fromkeys((*self.devices, *needs.boot_devices))),
                "root_ports": self.root_ports + len(needs.plugged_devices),
            }
        )

    def require_host_memory(self, available_bytes: int) -> None:
        """Raises ``HostError`` if the guest could come to take more than the host has free."""
        require_host_memory("the machine", self.total_bytes, available_bytes)

    def arguments(self, accel: Accelerator) -> list[str]:
        """QEMU's arguments for this machine, without its character devices."""
        memory = qemu_size(self.memory_bytes)
        arguments = ["-machine", accel.machine(iommu=self.iommu), *accel.arguments]
        arguments += ["-smp", str(self.cpus), "-m", self._memory_option()]
        arguments += ["-object", f"memory-backend-ram,id=m0,size={memory}"]
        cpus = "0" if self.cpus == 1 else f"0-{self.cpus - 1}"
        arguments += ["-numa", f"node,nodeid=0,cpus={cpus},memdev=m0"]
        for node in range(1, self.empty_nodes + 1):
            arguments += ["-numa", f"node,nodeid={node}"]
        for one in self.virtio_mem:
            size = qemu_size(one.size_bytes)
            arguments += ["-object", f"memory-backend-ram,id={one.backend},size={size}"]
        if self.network:
            # restrict=on: the guest needs nobody, and nothing but the forwarded port reaches it.
            arguments += [
                "-netdev",
                f"user,id={NETDEV_ID},restrict=on,hostfwd=tcp:127.0.0.1:0-:22",
            ]
        for device in self._devices():
            arguments += ["-device", device.argument]
        return arguments

    def _memory_option(self) -> str:
        memory = qemu_size(self.memory_bytes)
        if self.maxmem_bytes == self.memory_bytes:
            return memory
        slots = f",slots={self.slots}" if self.slots else ""
        return f"{memory}{slots},maxmem={qemu_size(self.maxmem_bytes)}"

    def _devices(self) -> Iterable[Device]:
        """In QEMU's order: the IOMMU first, since later devices ask whether there is one."""
        if self.iommu:
            yield Device("intel-iommu", (("caching-mode", "on"), ("intremap", "on")))
        for number in range(self.root_ports):
            yield Device(
                "pcie-root-port",
                (
                    ("id", root_port_id(number)),
                    ("bus", "pcie.0"),
                    ("chassis", str(number + 1)),
                    ("slot", str(number + 1)),
                ),
            )
        for one in self.virtio_mem:
            yield one.device
        if self.virtio_serial:
            yield Device("virtio-serial-pci", (("id", SERIAL_BUS_ID),))
        for number, name in enumerate(self.virtio_serial, start=1):
            yield Device(
                "virtserialport",
                (
                    ("bus", f"{SERIAL_BUS_ID}.0"),
                    ("nr", str(number)),  # port 0 belongs to consoles
                    ("chardev", name),
                    ("name", name),
                ),
            )
        if self.pvpanic:
            # The ISA device: Linux has no driver for pvpanic-pci before 5.13.
            yield Device("pvpanic")
        if self.network:
            # romfile=: nobody boots from the network, and loading the ROM costs boot time.
            yield Device("virtio-net-pci", (("netdev", NETDEV_ID), ("romfile", "")))
        yield from self.devices


def require_host_memory(name: str, size_bytes: int, available_bytes: int) -> None:
    """Raises ``HostError`` if ``name`` takes more than the host has available."""
    if size_bytes > available_bytes:
        raise HostError(
            f"{name} takes up to {format_size(size_bytes)} of memory and this host has "
            f"{available_bytes // MIB}M available; end something, or ask for less memory in the "
            "topology (memory_bytes, dimms, virtio_mem)"
        )


def root_port_id(number: int) -> str:
    return f"rp{number}"


def qemu_size(size_bytes: int) -> str:
    """``size_bytes`` with a unit always: QEMU's ``-m`` takes a bare number for MiB."""
    text = format_size(size_bytes)
    return f"{text}B" if text.isdigit() else text


def _require_id(field: str, name: str) -> None:
    if not _ID.fullmatch(name):
        raise UsageError(
            f"topology: {field}: {name!r} is no id for QEMU (a letter, then up to 62 letters, "
            "digits, '.', '_' or '-')"
        )


def _require_step(field: str, name: str, size_bytes: int, step_bytes: int) -> None:
    if size_bytes <= 0 or size_bytes % step_bytes:
        raise UsageError(
            f"topology: {field}: {format_size(size_bytes)} of {name!r} is not a multiple of "
            f"{format_size(step_bytes)} (the nearest is "
            f"{format_size(max(1, round(size_bytes / step_bytes)) * step_bytes)})"
        )
