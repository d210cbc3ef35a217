# SPDX-License-Identifier: GPL-2.0-only
"""An RDMA memory region over siw (iWARP in software), on the guest's own network interface."""

from pinhole.needs import Needs
from pinhole.scenario.part import HoldPath, Reference

RDMA_SIW = HoldPath(
    name="rdma_siw",
    summary="an RDMA memory region over siw (ibv_reg_mr): a long-term pin",
    reference=Reference.LONGTERM_PIN,
    needs=Needs(
        options=frozenset({"CONFIG_RDMA_SIW", "CONFIG_INFINIBAND_USER_ACCESS"}),
        modules=("ib_uverbs", "siw"),
    ),
)
