# SPDX-License-Identifier: GPL-2.0-only
"""io_uring fixed buffers: the long-term pin that needs no privilege and no device."""

from pinhole.needs import Needs
from pinhole.scenario.part import HoldPath, Reference

IO_URING = HoldPath(
    name="io_uring",
    summary="io_uring fixed buffers (IORING_REGISTER_BUFFERS): a long-term pin",
    reference=Reference.LONGTERM_PIN,
    needs=Needs(options=frozenset({"CONFIG_IO_URING"})),
)
