# SPDX-License-Identifier: GPL-2.0-only
"""What QEMU's events say about a request to take a device away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pinhole.machine.qmp import QmpEvent

UNPLUG_EVENTS = (
    "DEVICE_DELETED",
    "ACPI_DEVICE_OST",
    "MEM_UNPLUG_ERROR",
    "DEVICE_UNPLUG_GUEST_ERROR",
)
# The guest's _OST for an eject (ACPI 6.5, 6.3.5): the source is the notification 3, or 0x103 for
# an eject that the guest itself began; 0 is success, 0x84 (132) "in progress", others refuse
# (130, 0x82, is "device busy").
_EJECT_SOURCES = (3, 0x103)
_OST_SUCCESS = 0
_OST_IN_PROGRESS = 0x84


class UnplugOutcome(StrEnum):
    """How a request to take a device away ended within its budget."""

    REMOVED = "removed"
    REFUSED = "refused"
    SILENT = "silent"


@dataclass(frozen=True)
class UnplugResult:
    """``ost`` is the guest's last _OST status for the request (132 while it is still at it, None
    if it sent none); ``reason`` is QEMU's text beside a refusal; ``seconds`` from the request to
    the outcome; ``events`` are all of QEMU's about the device, from the request on."""

    outcome: UnplugOutcome
    ost: int | None
    reason: str | None
    seconds: float
    budget: float
    events: tuple[QmpEvent, ...]

    def __str__(self) -> str:
        """The outcome as a table shows it: ``removed``, ``refused(130)``, ``silent(5 s)``."""
        if self.outcome is UnplugOutcome.REFUSED:
            return f"refused({self.reason if self.ost is None else self.ost})"
        if self.outcome is UnplugOutcome.SILENT:
            return f"silent({self.budget:g} s)"
        return "removed"


def concerns(event: QmpEvent, name: str) -> bool:
    """Whether ``event`` is one of ``UNPLUG_EVENTS`` about the device with id ``name``."""
    if event.name not in UNPLUG_EVENTS:
        return False
    return _details(event).get("device") == name


def ost_status(event: QmpEvent) -> int | None:
    """The status of an ``ACPI_DEVICE_OST`` for an eject; None for any other event."""
    info = _details(event)
    if event.name != "ACPI_DEVICE_OST" or info.get("source") not in _EJECT_SOURCES:
        return None
    status = info.get("status")
    return status if isinstance(status, int) else None


def outcome_of(event: QmpEvent) -> UnplugOutcome | None:
    """What ``event`` decides about the request; None if the guest may still do either."""
    if event.name == "DEVICE_DELETED":
        return UnplugOutcome.REMOVED
    if event.name in {"MEM_UNPLUG_ERROR", "DEVICE_UNPLUG_GUEST_ERROR"}:
        return UnplugOutcome.REFUSED
    if ost_status(event) not in {None, _OST_SUCCESS, _OST_IN_PROGRESS}:
        return UnplugOutcome.REFUSED
    return None


def last_ost(events: Sequence[QmpEvent]) -> int | None:
    """The last eject status among ``events``."""
    found = [status for status in map(ost_status, events) if status is not None]
    return found[-1] if found else None


def _details(event: QmpEvent) -> Mapping[str, object]:
    """``ACPI_DEVICE_OST`` has its fields one level deeper, in ``info``."""
    info = event.data.get("info")
    return info if isinstance(info, dict) else event.data
