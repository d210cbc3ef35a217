# SPDX-License-Identifier: GPL-2.0-only
"""The table of ways to hold pages: one row and one file each, here and in ``guest/hold/``."""

from pinhole.scenario.hold.io_uring import IO_URING
from pinhole.scenario.hold.vmsplice import VMSPLICE

HOLD_PATHS = {path.name: path for path in (IO_URING, VMSPLICE)}
