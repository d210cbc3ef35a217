# SPDX-License-Identifier: GPL-2.0-only
"""udmabuf: a dma-buf made of a memfd, as virtio-gpu takes it.

Since 6.11 by memfd_pin_folios(); before, it took plain references (drivers/dma-buf/udmabuf.c).
"""

from pinhole.needs import Needs
from pinhole.scenario.part import HoldPath, Reference

UDMABUF = HoldPath(
    name="udmabuf",
    summary="a dma-buf over a memfd (UDMABUF_CREATE): a long-term pin since 6.11",
    reference=Reference.LONGTERM_PIN,
    references_in="<6.11",
    needs=Needs(options=frozenset({"CONFIG_UDMABUF"})),
)
