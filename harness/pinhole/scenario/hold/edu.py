# SPDX-License-Identifier: GPL-2.0-only
"""A device behind an IOMMU that a program may have: QEMU's edu, for vfio and iommufd."""

from pinhole.needs import Device, Needs

EDU = Needs(
    options=frozenset({"CONFIG_INTEL_IOMMU", "CONFIG_VFIO_PCI"}),
    modules=("vfio_pci",),
    cmdline=("intel_iommu=on",),
    # It has no migration state: plugged, it can come to a machine that was loaded from one.
    plugged_devices=(Device("edu"),),
    iommu=True,
)
