# SPDX-License-Identifier: GPL-2.0-only
"""What the guest's memory looks like at one moment, as raw text, in one round trip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pinhole.guest.channel import Channel
from pinhole.guest.memory import BLOCK_GLOBS, MEMORY, NODES

STAT_REFRESH = "/proc/sys/vm/stat_refresh"

SNAPSHOT_GLOBS = (
    "/proc/vmstat",
    "/proc/zoneinfo",
    "/proc/meminfo",
    "/proc/sys/kernel/tainted",
    f"{NODES}/online",
    f"{NODES}/node[0-9]*/vmstat",
    f"{NODES}/node[0-9]*/meminfo",
    f"{MEMORY}/auto_online_blocks",
    *BLOCK_GLOBS,
)


@dataclass(frozen=True)
class Snapshot:
    """Files by path: their text, or the name of the errno that reading them gave.

    ``boottime`` is the guest's CLOCK_BOOTTIME just before the first was read, in seconds.
    """

    raw: Mapping[str, str]
    errors: Mapping[str, str]
    boottime: float


def take(channel: Channel, *, budget: float) -> Snapshot:
    """A snapshot; ``budget`` is for all of it.

    Reading the file ``stat_refresh`` first folds each CPU's counters into the sums, as writing it
    does (mm/vmstat.c: vmstat_refresh()): without, nr_foll_pin_* lag by up to a threshold a CPU.
    """
    found = channel.read_many((STAT_REFRESH, *SNAPSHOT_GLOBS), budget=budget)
    errors = found.errors()
    if errors.get(STAT_REFRESH) == "ENOENT":
        errors.pop(STAT_REFRESH)
    texts = {path: text for path, text in found.texts().items() if path != STAT_REFRESH}
    return Snapshot(raw=texts, errors=errors, boottime=found.boottime)
