# SPDX-License-Identifier: GPL-2.0-only
"""What this host has free for a machine."""

from __future__ import annotations

import re
from pathlib import Path

from pinhole.errors import HostError

_MEMINFO = Path("/proc/meminfo")


def available_bytes(meminfo: Path = _MEMINFO) -> int:
    """Memory that can be taken without swapping: ``MemAvailable`` of proc_meminfo(5)."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", meminfo.read_text(), re.MULTILINE)
    if found is None:
        raise HostError(f"{meminfo} has no MemAvailable; is /proc mounted?")
    return int(found[1]) * 1024
