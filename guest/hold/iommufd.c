// SPDX-License-Identifier: GPL-2.0-only
/* Holds pages as the DMA mapping of a device in userspace, through iommufd (6.2; the device 6.6). */
#include "pinholder/holding.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/ioctl.h>
#include <linux/types.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "pinholder/pci.h"

/*
 * include/uapi/linux/iommufd.h and vfio.h of 6.6, which are newer than the headers that this is
 * to be compiled with.
 */
struct iommufd_ioas_alloc {
	__u32 size;
	__u32 flags;
	__u32 out_ioas_id;
};

struct iommufd_ioas_map {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__u32 reserved;
	__aligned_u64 user_va;
	__aligned_u64 length;
	__aligned_u64 iova;
};

struct iommufd_ioas_unmap {
	__u32 size;
	__u32 ioas_id;
	__aligned_u64 iova;
	__aligned_u64 length;
};

struct iommufd_bind {
	__u32 argsz;
	__u32 flags;
	__s32 iommufd;
	__u32 out_devid;
};

struct iommufd_attach {
	__u32 argsz;
	__u32 flags;
	__u32 pt_id;
};

#define IOMMUFD_IOAS_ALLOC _IO(';', 0x81)
#define IOMMUFD_IOAS_MAP _IO(';', 0x85)
#define IOMMUFD_IOAS_UNMAP _IO(';', 0x86)
#define IOMMUFD_MAP_FIXED_WRITE_READ 7
#define IOMMUFD_BIND _IO(';', 118)
#define IOMMUFD_ATTACH _IO(';', 119)

static struct {
	int iommu;
	int device;
	__u32 ioas;
} iommufd = { -1, -1, 0 };

/* The character device of a PCI device that vfio-pci has. */
static int iommufd_open_device(const char *folder, struct failure *why)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *devices;

	snprintf(path, sizeof(path), "%s/vfio-dev", folder);
	devices = opendir(path);
	if (!devices) {
		unsupported(why, errno, "opendir(%.90s)", path);
		return advise(why, "this takes CONFIG_VFIO_DEVICE_CDEV (6.6 or later)");
	}
	*path = '\0';
	while ((entry = readdir(devices)))
		if (!strncmp(entry->d_name, "vfio", 4))
			snprintf(path, sizeof(path), "/dev/vfio/devices/%.64s", entry->d_name);
	closedir(devices);
	if (!*path)
		return unsupported(why, ENOENT, "readdir(vfio-dev)");
	iommufd.device = open(path, O_RDWR | O_CLOEXEC);
	if (iommufd.device < 0)
		return errno == ENOENT ? unsupported(why, errno, "open(%s)", path) :
					 failed(why, errno, "open(%s)", path);
	return 0;
}

static int iommufd_setup(struct holding *holding, struct failure *why)
{
	struct iommufd_bind bind = { .argsz = sizeof(bind) };
	struct iommufd_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommufd_attach attach = { .argsz = sizeof(attach) };
	char folder[PCI_FOLDER_BYTES];

	(void)holding;
	iommufd.iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (iommufd.iommu < 0 && errno != ENOENT && errno != ENODEV)
		return failed(why, errno, "open(/dev/iommu)");
	if (iommufd.iommu < 0) {
		unsupported(why, errno, "open(/dev/iommu)");
		return advise(why, "this takes CONFIG_IOMMUFD (6.2 or later)");
	}
	if (pci_give_to_vfio(folder, sizeof(folder), why) < 0 ||
	    iommufd_open_device(folder, why) < 0)
		return -1;
	bind.iommufd = iommufd.iommu;
	if (ioctl(iommufd.device, IOMMUFD_BIND, &bind) < 0)
		return failed(why, errno, "ioctl(VFIO_DEVICE_BIND_IOMMUFD)");
	if (ioctl(iommufd.iommu, IOMMUFD_IOAS_ALLOC, &alloc) < 0)
		return failed(why, errno, "ioctl(IOMMU_IOAS_ALLOC)");
	iommufd.ioas = alloc.out_ioas_id;
	/* Without a device there is no domain to map into, and nothing would be pinned. */
	attach.pt_id = iommufd.ioas;
	if (ioctl(iommufd.device, IOMMUFD_ATTACH, &attach) < 0)
		return failed(why, errno, "ioctl(VFIO_DEVICE_ATTACH_IOMMUFD_PT)");
	return 0;
}

static void iommufd_hold(struct holding *holding, struct hold_result *result)
{
	struct iommufd_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMUFD_MAP_FIXED_WRITE_READ,
		.ioas_id = iommufd.ioas,
		.user_va = (uintptr_t)holding->address,
		.length = holding->hold_bytes,
		.iova = DEVICE_ADDRESS,
	};

	result->result = ioctl(iommufd.iommu, IOMMUFD_IOAS_MAP, &map);
	result->error = result->result < 0 ? errno : 0;
	result->pages = result->error ? 0 : holding->hold_bytes / holding->page_size_bytes;
}

static int iommufd_release(struct holding *holding, struct failure *why)
{
	struct iommufd_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = iommufd.ioas,
		.iova = DEVICE_ADDRESS,
		.length = holding->hold_bytes,
	};

	if (ioctl(iommufd.iommu, IOMMUFD_IOAS_UNMAP, &unmap) < 0)
		return failed(why, errno, "ioctl(IOMMU_IOAS_UNMAP)");
	if (close(iommufd.device) < 0 || close(iommufd.iommu) < 0)
		return failed(why, errno, "close(iommufd)");
	return 0;
}

const struct hold_path hold_iommufd = {
	.name = "iommufd",
	.summary = "the DMA mapping of a device in userspace (iommufd): a long-term pin",
	.call = "ioctl(IOMMU_IOAS_MAP)",
	.setup = iommufd_setup,
	.hold = iommufd_hold,
	.release = iommufd_release,
};
