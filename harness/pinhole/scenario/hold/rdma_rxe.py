# SPDX-License-Identifier: GPL-2.0-only
"""An RDMA memory region over rxe (RoCE in software), on the guest's own network interface."""

from pinhole.needs import Needs
from pinhole.scenario.part import HoldPath, Reference

RDMA_RXE = HoldPath(
    name="rdma_rxe",
    summary="an RDMA memory region over rxe (ibv_reg_mr): a long-term pin",
    reference=Reference.LONGTERM_PIN,
    needs=Needs(
        options=frozenset({"CONFIG_RDMA_RXE", "CONFIG_INFINIBAND_USER_ACCESS"}),
        modules=("ib_uverbs", "rdma_rxe"),
        # rxe asks for its checksum by name when a link is added (before 6.13).
        runtime_modules=("crc32_generic",),
    ),
)
