# SPDX-License-Identifier: GPL-2.0-only
"""RLIMIT_MEMLOCK at half of the memory, without CAP_IPC_LOCK: a pin that is refused half-way."""

from pinhole.scenario.part import Trick

MEMLOCK_LIMIT = Trick(
    name="memlock-limit",
    summary="let the process lock half of the memory only",
)
