/* SPDX-License-Identifier: GPL-2.0-only */
/* QEMU's edu device behind an IOMMU, given to vfio-pci: what vfio and iommufd pin pages for. */
#ifndef PINHOLE_PCI_H
#define PINHOLE_PCI_H

#include <stddef.h>

#include "holding.h"

#define PCI_FOLDER_BYTES 320

/* No other region (interrupts at 0xfee00000) is in the way there, nor beyond 39 bits. */
#define DEVICE_ADDRESS ((uint64_t)1 << 32)

/*
 * Finds the device and binds it to vfio-pci. folder becomes its folder in sysfs; 0 or -1
 * (unsupported where there is no such device, no IOMMU before it, or no vfio-pci).
 */
int pci_give_to_vfio(char *folder, size_t size, struct failure *why);

#endif
