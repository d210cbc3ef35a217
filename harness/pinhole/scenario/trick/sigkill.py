# SPDX-License-Identifier: GPL-2.0-only
"""A holder that is killed: the kernel lets go for it."""

from pinhole.scenario.part import Trick

SIGKILL = Trick(
    name="sigkill",
    summary="kill the holder's process instead of letting go",
)
