# SPDX-License-Identifier: GPL-2.0-only
"""AF_XDP umem: a long-term pin that takes CAP_NET_RAW and no device."""

from pinhole.needs import Needs
from pinhole.scenario.part import HoldPath, Reference

AF_XDP = HoldPath(
    name="af_xdp",
    summary="the umem of an AF_XDP socket (XDP_UMEM_REG): a long-term pin",
    reference=Reference.LONGTERM_PIN,
    needs=Needs(options=frozenset({"CONFIG_XDP_SOCKETS"})),
)
