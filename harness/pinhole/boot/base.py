# SPDX-License-Identifier: GPL-2.0-only
"""What every machine takes, whatever the scenario: a console, a way in, and a word on panics."""

from __future__ import annotations

from pinhole.needs import Needs

BASE_NEEDS = Needs(
    options=frozenset(
        {
            "CONFIG_ACPI",
            "CONFIG_BINFMT_ELF",
            "CONFIG_BLK_DEV_INITRD",
            "CONFIG_DEVTMPFS",
            "CONFIG_INET",
            "CONFIG_PCI",
            "CONFIG_PROC_FS",
            "CONFIG_SERIAL_8250_CONSOLE",
            "CONFIG_SYSFS",
            "CONFIG_UNIX",
            "CONFIG_VIRTIO_NET",
            "CONFIG_VIRTIO_PCI",
        }
    ),
    modules=("virtio_pci", "virtio_net"),
    # isa-pvpanic is ACPI's QEMU0001: driven by pvpanic on 5.10 and by pvpanic-mmio since 5.13.
    # A kernel without either still tells QEMU of a panic by its reset (panic=-1).
    optional_modules=("pvpanic", "pvpanic_mmio"),
)
