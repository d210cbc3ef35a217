# SPDX-License-Identifier: GPL-2.0-only
"""vfio type 1: a device in userspace, here QEMU's edu behind its Intel IOMMU."""

from pinhole.needs import Needs
from pinhole.scenario.hold.edu import EDU
from pinhole.scenario.part import HoldPath, Reference

VFIO = HoldPath(
    name="vfio",
    summary="the DMA mapping of a device in userspace (vfio type 1): a long-term pin",
    reference=Reference.LONGTERM_PIN,
    needs=EDU
    | Needs(options=frozenset({"CONFIG_VFIO_IOMMU_TYPE1"}), modules=("vfio_iommu_type1",)),
)
