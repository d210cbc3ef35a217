// SPDX-License-Identifier: GPL-2.0-only
/* Holds pages as the DMA mapping of a device given to a program (vfio, type 1 v2). */
#include "pinholder/holding.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "pinholder/pci.h"

static struct {
	int container;
	int group;
} vfio = { -1, -1 };

static int vfio_open_group(const char *device, struct failure *why)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t length;

	snprintf(path, sizeof(path), "%s/iommu_group", device);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return failed(why, errno, "readlink(%.90s)", path);
	target[length] = '\0';
	snprintf(path, sizeof(path), "/dev/vfio/%.32s", basename(target));
	vfio.group = open(path, O_RDWR | O_CLOEXEC);
	if (vfio.group < 0)
		return errno == ENOENT ? unsupported(why, errno, "open(%s)", path) :
					 failed(why, errno, "open(%s)", path);
	if (ioctl(vfio.group, VFIO_GROUP_GET_STATUS, &status) < 0)
		return failed(why, errno, "ioctl(VFIO_GROUP_GET_STATUS)");
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return failed(why, EBUSY, "%s: another device of its group has a driver", path);
	return 0;
}

static int vfio_setup(struct holding *holding, struct failure *why)
{
	char device[PCI_FOLDER_BYTES];

	(void)holding;
	if (pci_give_to_vfio(device, sizeof(device), why) < 0)
		return -1;
	vfio.container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (vfio.container < 0)
		return errno == ENOENT || errno == ENODEV ?
			       unsupported(why, errno, "open(/dev/vfio/vfio)") :
			       failed(why, errno, "open(/dev/vfio/vfio)");
	if (!ioctl(vfio.container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU))
		return unsupported(why, EOPNOTSUPP, "ioctl(VFIO_CHECK_EXTENSION, TYPE1v2)");
	if (vfio_open_group(device, why) < 0)
		return -1;
	if (ioctl(vfio.group, VFIO_GROUP_SET_CONTAINER, &vfio.container) < 0)
		return failed(why, errno, "ioctl(VFIO_GROUP_SET_CONTAINER)");
	if (ioctl(vfio.container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) < 0)
		return failed(why, errno, "ioctl(VFIO_SET_IOMMU, TYPE1v2)");
	return 0;
}

static void vfio_hold(struct holding *holding, struct hold_result *result)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)holding->address,
		.iova = DEVICE_ADDRESS,
		.size = holding->hold_bytes,
	};

	result->result = ioctl(vfio.container, VFIO_IOMMU_MAP_DMA, &map);
	result->error = result->result < 0 ? errno : 0;
	result->pages = result->error ? 0 : holding->hold_bytes / holding->page_size_bytes;
}

static int vfio_release(struct holding *holding, struct failure *why)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = DEVICE_ADDRESS,
		.size = holding->hold_bytes,
	};

	if (ioctl(vfio.container, VFIO_IOMMU_UNMAP_DMA, &unmap) < 0)
		return failed(why, errno, "ioctl(VFIO_IOMMU_UNMAP_DMA)");
	if (unmap.size != holding->hold_bytes)
		return failed(why, 0, "ioctl(VFIO_IOMMU_UNMAP_DMA): %llu bytes of %zu",
			      (unsigned long long)unmap.size, holding->hold_bytes);
	if (close(vfio.group) < 0 || close(vfio.container) < 0)
		return failed(why, errno, "close(vfio)");
	return 0;
}

const struct hold_path hold_vfio = {
	.name = "vfio",
	.summary = "the DMA mapping of a device in userspace (vfio type 1): a long-term pin",
	.call = "ioctl(VFIO_IOMMU_MAP_DMA)",
	.setup = vfio_setup,
	.hold = vfio_hold,
	.release = vfio_release,
};
