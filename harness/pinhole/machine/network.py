# SPDX-License-Identifier: GPL-2.0-only
"""User networking: which loopback port QEMU chose for the guest's SSH."""

from __future__ import annotations

import re

from pinhole.errors import MachineError

_FORWARD = re.compile(
    r"TCP\[HOST_FORWARD\]\s+\d+\s+(?P<host>[\d.]+)\s+(?P<port>\d+)\s+[\d.]+\s+(?P<guest>\d+)\s"
)


def parse_usernet(text: str, guest_port: int = 22) -> tuple[str, int]:
    """Address and port on the host that are forwarded to ``guest_port``, from what the monitor's
    ``info usernet`` says: QMP has no command for it (QEMU 7.2)."""
    for found in _FORWARD.finditer(text):
        if int(found["guest"]) == guest_port:
            return found["host"], int(found["port"])
    raise MachineError(
        f"QEMU forwards no port to the guest's port {guest_port}; info usernet said: {text!r}"
    )
