// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds pages as the DMA mapping of a vDPA device (vhost-vdpa), here the kernel's network
 * simulator. It pins where the device takes addresses of its own: vdpa_sim's use_va=0.
 */
#include "pinholder/holding.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/vdpa.h>
#include <linux/vhost.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "file.h"
#include "pinholder/netlink.h"

#define VHOST_VDPA_NAME "pinholder"
#define VHOST_VDPA_USE_VA "/sys/module/vdpa_sim/parameters/use_va"

static struct {
	int device;
	uint16_t family;
	struct netlink netlink;
} vhost_vdpa = { .device = -1 };

static int vhost_vdpa_command(uint8_t command, bool create)
{
	const struct genlmsghdr header = { .cmd = command, .version = VDPA_GENL_VERSION };

	netlink_begin(&vhost_vdpa.netlink, vhost_vdpa.family, &header, sizeof(header));
	if (create)
		netlink_add_text(&vhost_vdpa.netlink, VDPA_ATTR_MGMTDEV_DEV_NAME, "vdpasim_net");
	netlink_add_text(&vhost_vdpa.netlink, VDPA_ATTR_DEV_NAME, VHOST_VDPA_NAME);
	return netlink_talk(&vhost_vdpa.netlink);
}

/* The simulated device, made anew: one that a killed process left goes first. */
static int vhost_vdpa_create(struct failure *why)
{
	int error = netlink_family(&vhost_vdpa.netlink, "vdpa", &vhost_vdpa.family);

	if (error) {
		unsupported(why, error, "finding the netlink family vdpa");
		return advise(why, "this takes CONFIG_VDPA (with netlink since 5.12)");
	}
	error = vhost_vdpa_command(VDPA_CMD_DEV_DEL, false);
	if (error && error != ENODEV)
		return failed(why, error, "VDPA_CMD_DEV_DEL(" VHOST_VDPA_NAME ")");
	error = vhost_vdpa_command(VDPA_CMD_DEV_NEW, true);
	if (error == ENODEV || error == EINVAL) {
		unsupported(why, error, "VDPA_CMD_DEV_NEW(vdpasim_net)");
		return advise(why, "this takes CONFIG_VDPA_SIM_NET");
	}
	return error ? failed(why, error, "VDPA_CMD_DEV_NEW(vdpasim_net)") : 0;
}

static int vhost_vdpa_open(struct failure *why)
{
	const char *folder = "/sys/bus/vdpa/devices/" VHOST_VDPA_NAME;
	struct dirent *entry;
	char path[300] = "";
	DIR *device = opendir(folder);

	if (!device)
		return failed(why, errno, "opendir(%s)", folder);
	while ((entry = readdir(device)))
		if (!strncmp(entry->d_name, "vhost-vdpa-", 11))
			snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
	closedir(device);
	if (!*path) {
		unsupported(why, ENODEV, "finding vhost-vdpa in %s", folder);
		return advise(why, "this takes CONFIG_VHOST_VDPA");
	}
	vhost_vdpa.device = open(path, O_RDWR | O_CLOEXEC);
	return vhost_vdpa.device < 0 ? failed(why, errno, "open(%s)", path) : 0;
}

static int vhost_vdpa_setup(struct holding *holding, struct failure *why)
{
	uint64_t features;
	char use_va[8];

	(void)holding;
	if (netlink_open(&vhost_vdpa.netlink, NETLINK_GENERIC, why) < 0 ||
	    vhost_vdpa_create(why) < 0)
		return -1;
	/* With use_va (6.4 and later) it works on the program's addresses, and pins nothing. */
	if (read_text(VHOST_VDPA_USE_VA, use_va, sizeof(use_va)) > 0 && *use_va == 'Y') {
		failed(why, EINVAL, "read(" VHOST_VDPA_USE_VA "): Y");
		return advise(why, "load vdpa_sim with use_va=0, or boot with vdpa_sim.use_va=0");
	}
	if (vhost_vdpa_open(why) < 0)
		return -1;
	if (ioctl(vhost_vdpa.device, VHOST_SET_OWNER) < 0)
		return failed(why, errno, "ioctl(VHOST_SET_OWNER)");
	if (ioctl(vhost_vdpa.device, VHOST_GET_BACKEND_FEATURES, &features) < 0)
		return failed(why, errno, "ioctl(VHOST_GET_BACKEND_FEATURES)");
	features &= 1ULL << VHOST_BACKEND_F_IOTLB_MSG_V2;
	if (ioctl(vhost_vdpa.device, VHOST_SET_BACKEND_FEATURES, &features) < 0)
		return failed(why, errno, "ioctl(VHOST_SET_BACKEND_FEATURES)");
	return 0;
}

static ssize_t vhost_vdpa_send(const struct holding *holding, uint8_t type)
{
	struct vhost_msg_v2 message = { .type = VHOST_IOTLB_MSG_V2 };

	message.iotlb.iova = 0;
	message.iotlb.size = holding->hold_bytes;
	message.iotlb.uaddr = (uintptr_t)holding->address;
	message.iotlb.perm = VHOST_ACCESS_RW;
	message.iotlb.type = type;
	return write(vhost_vdpa.device, &message, sizeof(message));
}

static void vhost_vdpa_hold(struct holding *holding, struct hold_result *result)
{
	ssize_t sent = vhost_vdpa_send(holding, VHOST_IOTLB_UPDATE);

	result->result = sent;
	result->error = sent < 0 ? errno : 0;
	result->pages = result->error ? 0 : holding->hold_bytes / holding->page_size_bytes;
}

static int vhost_vdpa_release(struct holding *holding, struct failure *why)
{
	int error;

	if (vhost_vdpa_send(holding, VHOST_IOTLB_INVALIDATE) < 0)
		return failed(why, errno, "write(VHOST_IOTLB_INVALIDATE)");
	if (close(vhost_vdpa.device) < 0)
		return failed(why, errno, "close(vhost-vdpa)");
	error = vhost_vdpa_command(VDPA_CMD_DEV_DEL, false);
	if (error)
		return failed(why, error, "VDPA_CMD_DEV_DEL(" VHOST_VDPA_NAME ")");
	netlink_close(&vhost_vdpa.netlink);
	return 0;
}

const struct hold_path hold_vhost_vdpa = {
	.name = "vhost_vdpa",
	.summary = "the DMA mapping of a vDPA device (vhost-vdpa over vdpa_sim): a long-term pin",
	.call = "write(VHOST_IOTLB_UPDATE)",
	.setup = vhost_vdpa_setup,
	.hold = vhost_vdpa_hold,
	.release = vhost_vdpa_release,
};
