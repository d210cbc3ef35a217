# SPDX-License-Identifier: GPL-2.0-only
"""The table of tricks: one row and one file each, here and in ``guest/trick/``."""

from pinhole.scenario.trick.double_pin import DOUBLE_PIN
from pinhole.scenario.trick.exec import EXEC
from pinhole.scenario.trick.exit import EXIT
from pinhole.scenario.trick.extra_reference import EXTRA_REFERENCE
from pinhole.scenario.trick.ftruncate import FTRUNCATE
from pinhole.scenario.trick.isolated_elsewhere import ISOLATED_ELSEWHERE
from pinhole.scenario.trick.madv_dontneed import MADV_DONTNEED
from pinhole.scenario.trick.memlock_limit import MEMLOCK_LIMIT
from pinhole.scenario.trick.munmap import MUNMAP
from pinhole.scenario.trick.offline_meanwhile import OFFLINE_MEANWHILE
from pinhole.scenario.trick.sigkill import SIGKILL
from pinhole.scenario.trick.two_processes import TWO_PROCESSES

TRICKS = {
    trick.name: trick
    for trick in (
        MUNMAP,
        MADV_DONTNEED,
        FTRUNCATE,
        EXEC,
        EXIT,
        SIGKILL,
        DOUBLE_PIN,
        TWO_PROCESSES,
        MEMLOCK_LIMIT,
        EXTRA_REFERENCE,
        ISOLATED_ELSEWHERE,
        OFFLINE_MEANWHILE,
    )
}
