# SPDX-License-Identifier: GPL-2.0-only
"""io_uring provided-buffer rings in user memory: pins of the lists of buffers themselves."""

from pinhole.needs import Needs
from pinhole.scenario.part import HoldPath, Reference

IO_URING_RING = HoldPath(
    name="io_uring_ring",
    summary="provided-buffer rings of io_uring (IORING_REGISTER_PBUF_RING): a long-term pin",
    reference=Reference.LONGTERM_PIN,
    needs=Needs(options=frozenset({"CONFIG_IO_URING"})),
)
