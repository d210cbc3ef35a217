# SPDX-License-Identifier: GPL-2.0-only
"""A device behind an IOMMU that a program may have: QEMU's edu, for vfio and iommufd."""

from pinhole.needs import Device, Needs

EDU = Needs(
    options=frozenset({"CONFIG_INTEL_IOMMU", "CONFIG_VFIO_PCI"}),
    modules=("vfio_pci",),
    # The kernel waits for ten ticks of the timer, by the TSC, and panics where they do not come
    # "through Interrupt-remapped IO-APIC" (check_timer() in 5.10 and 6.12): on a host that is busy
    # an emulated timer is late. no_timer_check takes it on trust.
    cmdline=("intel_iommu=on", "no_timer_check"),
    # It has no migration state: plugged, it can come to a machine that was loaded from one.
    plugged_devices=(Device("edu"),),
    iommu=True,
)
