# SPDX-License-Identifier: GPL-2.0-only
"""``query-memory-devices`` as typed values."""

from __future__ import annotations

from dataclasses import dataclass

from pinhole.errors import MachineError


@dataclass(frozen=True)
class MemoryDevice:
    """A DIMM (``kind`` is ``dimm``) or a virtio-mem device (``virtio-mem``).

    Of a DIMM all that it has is plugged. Of virtio-mem ``size_bytes`` are plugged,
    ``requested_bytes`` asked for, and ``max_bytes`` there to be asked for.
    """

    name: str
    kind: str
    node: int
    address: int
    size_bytes: int
    requested_bytes: int
    max_bytes: int


def parse_memory_devices(answer: object) -> tuple[MemoryDevice, ...]:
    """What QEMU returns (QMP reference, ``MemoryDeviceInfo``). Raises ``MachineError`` if it is
    something else."""
    if not isinstance(answer, list):
        raise MachineError(f"query-memory-devices gave no list: {answer!r}")
    return tuple(_parse(one) for one in answer)


def _parse(one: object) -> MemoryDevice:
    try:
        assert isinstance(one, dict)
        data = one["data"]
        size = int(data["size"])
        # A DIMM's place is "addr", virtio-mem's "memaddr".
        return MemoryDevice(
            name=str(data.get("id", "")),
            kind=str(one["type"]),
            node=int(data["node"]),
            address=int(data["addr"] if "addr" in data else data["memaddr"]),
            size_bytes=size,
            requested_bytes=int(data.get("requested-size", size)),
            max_bytes=int(data.get("max-size", size)),
        )
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        raise MachineError(
            f"query-memory-devices gave an entry unlike any known: {one!r}"
        ) from error
