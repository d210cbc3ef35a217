# SPDX-License-Identifier: GPL-2.0-only
"""Host time mapped onto the guest's CLOCK_BOOTTIME, with the bound of the error."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from pinhole.guest.channel import Channel
from pinhole.guest.fileset import field, json_object


@dataclass(frozen=True)
class ClockSample:
    """The guest's clock read once: it said ``guest`` at a moment between the host's two times."""

    host_before: float
    guest: float
    host_after: float


@dataclass(frozen=True)
class ClockMap:
    """``host - guest`` in seconds: ``offset``, wrong by at most ``error_bound``.

    The host's clock is ``time.monotonic()``. The map holds as long as the guest is not stopped and
    for as long as the two clocks' drift stays below the bound.
    """

    offset: float
    error_bound: float

    def to_guest(self, host_monotonic: float) -> float:
        """The guest's CLOCK_BOOTTIME at a moment of the host's monotonic clock."""
        return host_monotonic - self.offset


def map_clock(samples: Iterable[ClockSample]) -> ClockMap:
    """The map that all samples allow; where they contradict each other (drift), the tightest's."""
    bounds = [(one.host_before - one.guest, one.host_after - one.guest) for one in samples]
    if not bounds or any(low > high for low, high in bounds):
        raise ValueError("clock samples need a time before that is not later than the time after")
    low, high = max(low for low, _ in bounds), min(high for _, high in bounds)
    if low > high:
        low, high = min(bounds, key=lambda bound: bound[1] - bound[0])
    return ClockMap(offset=(low + high) / 2, error_bound=(high - low) / 2)


def sample_clock(channel: Channel, *, budget: float, samples: int = 3) -> ClockMap:
    """Reads the guest's clock ``samples`` times, ``budget`` seconds each."""
    return map_clock([_sample(channel, budget) for _ in range(samples)])


def _sample(channel: Channel, budget: float) -> ClockSample:
    before = time.monotonic()
    done = channel.run(["pinguest", "boottime"], budget=budget).check()
    after = time.monotonic()
    return ClockSample(before, parse_boottime(done.text), after)


def parse_boottime(text: str) -> float:
    """The line of ``pinguest boottime``."""
    found = json_object(text, "pinguest boottime")
    return float(field(found, "boottime", (int, float)))
