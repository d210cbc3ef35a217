// SPDX-License-Identifier: GPL-2.0-only
/* QEMU's edu device behind an IOMMU, given to vfio-pci: what vfio and iommufd pin pages for. */
#include "pci.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "file.h"

#define PCI "/sys/bus/pci"
/* docs/specs/edu of QEMU */
#define EDU_VENDOR "0x1234"
#define EDU_DEVICE "0x11e8"

static int reads(const char *folder, const char *name, const char *wanted)
{
	char path[PATH_MAX], text[16];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return read_text(path, text, sizeof(text)) > 0 && !strncmp(text, wanted, strlen(wanted));
}

static int find_edu(char *folder, size_t size, struct failure *why)
{
	struct dirent *entry;
	DIR *devices = opendir(PCI "/devices");
	int found = 0;

	if (!devices)
		return unsupported(why, errno, "opendir(" PCI "/devices)");
	while (!found && (entry = readdir(devices))) {
		snprintf(folder, size, PCI "/devices/%s", entry->d_name);
		found = reads(folder, "vendor", EDU_VENDOR) && reads(folder, "device", EDU_DEVICE);
	}
	closedir(devices);
	if (found)
		return 0;
	unsupported(why, ENODEV, "finding the PCI device " EDU_VENDOR ":" EDU_DEVICE);
	return advise(why, "start QEMU with -device intel-iommu,caching-mode=on -device edu");
}

/* The name of the driver that has the device; empty: none has it. */
static void driver_of(const char *folder, char *name, size_t size)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t length;

	snprintf(path, sizeof(path), "%s/driver", folder);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		length = 0;
	target[length] = '\0';
	snprintf(name, size, "%.63s", length ? basename(target) : "");
}

static int write_file(const char *folder, const char *name, const char *text, struct failure *why)
{
	char path[PATH_MAX];
	int error;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	error = write_text(path, text);
	return error ? failed(why, error, "write(%.80s, %s)", path, text) : 0;
}

int pci_give_to_vfio(char *folder, size_t size, struct failure *why)
{
	char path[PATH_MAX], driver[64], copy[PATH_MAX];
	const char *address;

	if (find_edu(folder, size, why) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/iommu_group", folder);
	if (access(path, F_OK) < 0) {
		unsupported(why, errno, "access(%.90s)", path);
		return advise(why, "no IOMMU: intel_iommu=on, and QEMU with -device intel-iommu");
	}
	driver_of(folder, driver, sizeof(driver));
	if (!strcmp(driver, "vfio-pci"))
		return 0;
	if (access(PCI "/drivers/vfio-pci", F_OK) < 0) {
		unsupported(why, errno, "access(" PCI "/drivers/vfio-pci)");
		return advise(why, "this takes CONFIG_VFIO_PCI");
	}
	snprintf(copy, sizeof(copy), "%s", folder);
	address = basename(copy);
	if (*driver && write_file(folder, "driver/unbind", address, why) < 0)
		return -1;
	if (write_file(folder, "driver_override", "vfio-pci", why) < 0 ||
	    write_file(PCI, "drivers_probe", address, why) < 0)
		return -1;
	driver_of(folder, driver, sizeof(driver));
	if (strcmp(driver, "vfio-pci"))
		return failed(why, ENODEV, "binding %s to vfio-pci: '%s' has it", address, driver);
	return 0;
}
