# SPDX-License-Identifier: GPL-2.0-only
"""What a guest says of itself where a test failed: holders, blocks, the kernel's last lines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pinhole.errors import PinholeError
from pinhole.guest.guest import Guest
from pinhole.guest.holder import Holder
from pinhole.guest.kmsg import read_kmsg
from pinhole.guest.snapshot import take
from pinhole.health.kmsg import parse_kmsg
from pinhole.scenario.evidence import write_whole

_LINES = 15


def describe_guest(guest: Guest, holders: Sequence[Holder], folder: Path) -> list[str]:
    """Lines for a report; the whole snapshot, log and holders' words go into ``folder``.

    A guest that is dead is described by the reason of its death.
    """
    lines = [f"kernel: {guest.kernel.release} ({guest.kernel.origin})"]
    for number, holder in enumerate(holders):
        events = list(holder.raw_events)
        write_whole(folder / f"holder-{number}.json", json.dumps(events, indent=1))
        lines += [f"pinholder: {json.dumps(event)[:300]}" for event in events]
    try:
        found = take(guest.channel, budget=guest.budgets.command)
        write_whole(folder / "snapshot.json", json.dumps(dict(found.raw), indent=1))
        lines += [
            f"{path.split('/')[-2]}: {text.strip()}"
            for path, text in sorted(found.raw.items())
            if path.startswith("/sys/devices/system/memory/memory")
            and path.endswith("/state")
            and text.strip() != "online"
        ]
        log = read_kmsg(guest.channel, budget=guest.budgets.command)
        write_whole(folder / "kmsg.txt", log.text)
        records = list(parse_kmsg(log.text))
        lines += [f"dmesg: {record.text}" for record in records[-_LINES:]]
    except PinholeError as error:
        lines.append(f"the guest cannot be asked any more: {error}")
    return lines
