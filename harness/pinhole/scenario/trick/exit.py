# SPDX-License-Identifier: GPL-2.0-only
"""A holder that ends without a release: the kernel lets go for it."""

from pinhole.scenario.part import Trick

EXIT = Trick(
    name="exit",
    summary="end the holder's process instead of letting go",
)
