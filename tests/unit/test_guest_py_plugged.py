# SPDX-License-Identifier: GPL-2.0-only
"""Devices that are plugged once a guest is up: it is waited for until the guest sees them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

import pytest

from pinhole.budget import Budgets
from pinhole.errors import BudgetError
from pinhole.guest import guest as module
from pinhole.guest.guest import Guest
from pinhole.needs import Device

EDU = (Device("edu"), Device("edu", (("id", "second"),)))


@dataclass
class SlowGuest:
    """Sees what was plugged after ``slow`` looks, and never more than ``most`` of it."""

    slow: int = 0
    most: int = 99
    plugged: list[Device] = field(default_factory=list)
    looks: int = 0

    def plug_device(self, device: Device) -> None:
        self.plugged.append(device)

    def read_many(self, globs: Sequence[str], *, budget: float) -> SimpleNamespace:
        self.looks += 1
        seen = 3 + (min(len(self.plugged), self.most) if self.looks > self.slow else 0)
        found = {f"/sys/pci/{number}/vendor": "0x1234" for number in range(seen)}
        return SimpleNamespace(texts=lambda: found)


def plug(slow: SlowGuest, devices: Sequence[Device]) -> None:
    guest = SimpleNamespace(
        budgets=Budgets(0.01), channel=slow, machine=SimpleNamespace(hotplug=slow)
    )
    module._plug_devices(cast(Guest, guest), devices)


def test_all_are_plugged_and_waited_for() -> None:
    slow = SlowGuest(slow=3)
    plug(slow, EDU)
    assert slow.plugged == list(EDU)
    assert slow.looks == 4, "until they were seen, and no longer"


def test_a_guest_that_does_not_see_one_is_told() -> None:
    with pytest.raises(BudgetError, match="of the PCI devices edu, edu the guest sees 1 after"):
        plug(SlowGuest(most=1), EDU)


def test_without_devices_the_guest_is_not_asked() -> None:
    slow = SlowGuest()
    plug(slow, ())
    assert slow.looks == 0
