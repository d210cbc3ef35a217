# SPDX-License-Identifier: GPL-2.0-only
"""vhost-vdpa over the kernel's network simulator, which pins where it has addresses of its own."""

from pinhole.needs import Needs
from pinhole.scenario.part import HoldPath, Reference

VHOST_VDPA = HoldPath(
    name="vhost_vdpa",
    summary="the DMA mapping of a vDPA device (vhost-vdpa over vdpa_sim): a long-term pin",
    reference=Reference.LONGTERM_PIN,
    needs=Needs(
        options=frozenset({"CONFIG_VDPA_SIM", "CONFIG_VHOST_VDPA"}),
        modules=("vdpa_sim use_va=0", "vhost_vdpa"),
        # Since 5.12; before, vdpa_sim itself is the network device (and knows no use_va).
        optional_modules=("vdpa_sim_net",),
        # The same where it is built in.
        cmdline=("vdpa_sim.use_va=0",),
    ),
)
