# SPDX-License-Identifier: GPL-2.0-only
"""iommufd: what follows vfio type 1, with the same device."""

from pinhole.needs import Needs
from pinhole.scenario.hold.edu import EDU
from pinhole.scenario.part import HoldPath, Reference

IOMMUFD = HoldPath(
    name="iommufd",
    summary="the DMA mapping of a device in userspace (iommufd): a long-term pin",
    reference=Reference.LONGTERM_PIN,
    needs=EDU | Needs(options=frozenset({"CONFIG_IOMMUFD", "CONFIG_VFIO_DEVICE_CDEV"})),
)
