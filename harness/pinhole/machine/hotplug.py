# SPDX-License-Identifier: GPL-2.0-only
"""Memory and devices that come and go while the machine runs: DIMMs, virtio-mem, PCIe devices."""

from __future__ import annotations

import time
from collections.abc import Mapping

from pinhole.errors import QmpError, UsageError
from pinhole.machine.host import available_bytes
from pinhole.machine.memory_devices import MemoryDevice, parse_memory_devices
from pinhole.machine.qmp import Qmp, QmpEvent
from pinhole.machine.topology import (
    Dimm,
    Topology,
    VirtioMem,
    require_host_memory,
    root_port_id,
)
from pinhole.machine.unplug import (
    UNPLUG_EVENTS,
    UnplugOutcome,
    UnplugResult,
    concerns,
    last_ost,
    outcome_of,
)
from pinhole.needs import Device
from pinhole.size import format_size


class Hotplug:
    """Plugs and unplugs through QMP, checking against the topology first."""

    def __init__(self, qmp: Qmp, topology: Topology) -> None:
        self._qmp = qmp
        self._topology = topology
        self._ports: dict[str, str] = {}
        self._virtio_mem = {one.name: one for one in topology.virtio_mem}
        self._requested: dict[str, tuple[int, float]] = {}

    def plug_dimm(self, name: str, size_bytes: int, node: int) -> None:
        """Plugs a DIMM. The guest gets it offline unless it onlines memory by itself.

        Raises ``UsageError`` if it does not fit the topology, ``HostError`` if the host has no
        memory for it, ``QmpError`` if QEMU refuses.
        """
        dimm = Dimm(name=name, size_bytes=size_bytes, node=node)
        self._require_room(dimm)
        properties = {"driver": "pc-dimm", "id": name, "memdev": _backend(name), "node": node}
        self._add_with_backend(name, size_bytes, properties)

    def unplug_dimm(self, name: str, budget: float) -> UnplugResult:
        """Asks the guest to let the DIMM go, and waits up to ``budget`` seconds for the outcome.

        ``silent`` means that the guest is still at it: no signal reaches it, and when what holds
        it goes, so does the DIMM (``wait_unplugged``).
        """
        self._request(name)
        return self.wait_unplugged(name, budget)

    def wait_unplugged(self, name: str, budget: float) -> UnplugResult:
        """Waits on for the outcome of the last request to unplug ``name``, a DIMM or a device;
        an outcome that came in the meantime counts. The backend of a removed DIMM is freed."""
        since, asked_at = self._asked(name)

        def decisive(event: QmpEvent) -> bool:
            return concerns(event, name) and outcome_of(event) is not None

        event = self._qmp.wait_event(UNPLUG_EVENTS, budget, since=since, where=decisive)
        events = tuple(one for one in self._qmp.events[since:] if concerns(one, name))
        outcome = (outcome_of(event) if event else None) or UnplugOutcome.SILENT
        if outcome is UnplugOutcome.REMOVED:
            self._forget(name)
        return UnplugResult(
            outcome=outcome,
            ost=last_ost(events),
            reason=str(event.data["msg"]) if event and "msg" in event.data else None,
            seconds=(event.host_monotonic if event else time.monotonic()) - asked_at,
            budget=budget,
            events=events,
        )

    def plug_virtio_mem(self, device: VirtioMem) -> None:
        """Plugs a virtio-mem device into a free root port. Raises as ``plug_dimm`` does."""
        self._require_room(device)
        port = self._free_port(device.name)
        properties = {
            "driver": "virtio-mem-pci",
            "id": device.name,
            "bus": port,
            "memdev": device.backend,
            "node": device.node,
            "block-size": device.block_bytes,
            "requested-size": device.requested_bytes,
        }
        self._add_with_backend(device.name, device.size_bytes, properties)
        self._ports[device.name] = port
        self._virtio_mem[device.name] = device

    def set_requested_size(self, name: str, requested_bytes: int) -> None:
        """Asks the guest to plug or unplug memory of a virtio-mem device until ``requested_bytes``
        are plugged. Any call, even with the same value, makes the guest try again at once."""
        if name not in self._virtio_mem:
            raise UsageError(f"the machine has no virtio-mem device {name!r}")
        self._virtio_mem[name].check_request(requested_bytes)
        self._qmp.execute(
            "qom-set",
            {
                "path": f"/machine/peripheral/{name}",
                "property": "requested-size",
                "value": requested_bytes,
            },
        )

    def wait_virtio_mem(self, name: str, size_bytes: int, budget: float) -> int:
        """Waits up to ``budget`` seconds until ``size_bytes`` of the device are plugged; returns
        how many are plugged then, which may be others."""
        deadline = time.monotonic() + budget
        while True:
            mark = self._qmp.mark()
            plugged = {one.name: one.size_bytes for one in self.query_memory_devices()}
            if name not in plugged:
                raise UsageError(f"the machine has no virtio-mem device {name!r}")
            left = deadline - time.monotonic()
            if plugged[name] == size_bytes or left <= 0:
                return plugged[name]
            self._qmp.wait_event("MEMORY_DEVICE_SIZE_CHANGE", left, since=mark)

    def plug_device(self, device: Device) -> str:
        """Plugs a PCIe device into a free root port; returns its id (the driver's name if the
        device names none)."""
        properties = dict(device.properties)
        name = properties.setdefault("id", device.driver)
        port = self._free_port(name)
        added = Device(device.driver, (*properties.items(), ("bus", port)))
        # Through the monitor: QMP wants each property in its own JSON type (QEMU 9.2 refuses
        # strings), which only QEMU knows; the monitor takes what -device takes.
        command = {"command-line": f"device_add {added.argument}"}
        said = str(self._qmp.execute("human-monitor-command", command)).strip()
        if said:
            raise QmpError("device_add", "GenericError", said)
        self._ports[name] = port
        return name

    def unplug_device(self, name: str, budget: float) -> UnplugResult:
        """Asks the guest to let a plugged device go; the outcome as ``unplug_dimm``'s."""
        self._request(name)
        return self.wait_unplugged(name, budget)

    def query_memory_devices(self) -> tuple[MemoryDevice, ...]:
        """All DIMMs and virtio-mem devices as QEMU sees them."""
        answer = self._qmp.execute("query-memory-devices")
        return parse_memory_devices(answer)

    def _require_room(self, new: Dimm | VirtioMem) -> None:
        """Raises unless ``new`` fits beside what is plugged."""
        topology = self._topology
        topology.require_node(new.name, new.node)
        present = self.query_memory_devices()
        if new.name in {one.name for one in present} or new.name in self._ports:
            raise UsageError(f"{new.name!r} is plugged already; unplug it, or use another name")
        dimms = sum(one.kind == "dimm" for one in present)
        if isinstance(new, Dimm) and dimms >= topology.slots:
            raise UsageError(
                f"all {topology.slots} DIMM slots are taken; raise slots of the topology"
            )
        taken = topology.memory_bytes + sum(one.max_bytes for one in present)
        if taken + new.size_bytes > topology.maxmem_bytes:
            raise UsageError(
                f"{new.name!r} of {format_size(new.size_bytes)} does not fit: {format_size(taken)} "
                f"of maxmem_bytes, {format_size(topology.maxmem_bytes)}, are taken"
            )
        require_host_memory(new.name, new.size_bytes, available_bytes())

    def _add_with_backend(
        self, name: str, size_bytes: int, properties: Mapping[str, object]
    ) -> None:
        backend = {"qom-type": "memory-backend-ram", "id": _backend(name), "size": size_bytes}
        self._qmp.execute("object-add", backend)
        try:
            self._qmp.execute("device_add", properties)
        except QmpError:
            self._qmp.execute("object-del", {"id": _backend(name)})
            raise

    def _request(self, name: str) -> None:
        mark = self._qmp.mark()
        asked_at = time.monotonic()
        self._qmp.execute("device_del", {"id": name})
        self._requested[name] = (mark, asked_at)

    def _asked(self, name: str) -> tuple[int, float]:
        if name not in self._requested:
            raise UsageError(f"nobody has asked the guest to let {name!r} go")
        return self._requested[name]

    def _forget(self, name: str) -> None:
        del self._requested[name]
        self._ports.pop(name, None)
        self._virtio_mem.pop(name, None)
        backends = self._qmp.execute("qom-list", {"path": "/objects"})
        if isinstance(backends, list) and any(one["name"] == _backend(name) for one in backends):
            self._qmp.execute("object-del", {"id": _backend(name)})

    def _free_port(self, name: str) -> str:
        taken = set(self._ports.values())
        for number in range(self._topology.root_ports):
            if root_port_id(number) not in taken:
                return root_port_id(number)
        raise UsageError(
            f"no PCIe root port is free for {name!r}; raise root_ports of the topology "
            f"(it is {self._topology.root_ports})"
        )


def _backend(name: str) -> str:
    return f"{name}-mem"
