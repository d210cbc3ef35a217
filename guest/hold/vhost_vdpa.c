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

#define VHOST_VDPA_BUS "/sys/bus/vdpa"
#define VHOST_VDPA_NAME "pinholder"
#define VHOST_VDPA_USE_VA "/sys/module/vdpa_sim/parameters/use_va"

static struct {
	int device;
	bool made;		/* by netlink, so that it is this process that removes it */
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
	int error = vhost_vdpa_command(VDPA_CMD_DEV_DEL, false);

	if (error && error != ENODEV)
		return failed(why, error, "VDPA_CMD_DEV_DEL(" VHOST_VDPA_NAME ")");
	error = vhost_vdpa_command(VDPA_CMD_DEV_NEW, true);
	if (error == ENODEV) {
		unsupported(why, error, "VDPA_CMD_DEV_NEW(vdpasim_net)");
		return advise(why, "this takes CONFIG_VDPA_SIM_NET");
	}
	if (error)
		return failed(why, error, "VDPA_CMD_DEV_NEW(vdpasim_net)");
	vhost_vdpa.made = true;
	return 0;
}

/* What a folder holds whose name begins so; its name becomes found (empty: nothing). */
static int vhost_vdpa_entry(const char *folder, const char *begins, char *found, size_t size,
			    struct failure *why)
{
	DIR *entries = opendir(folder);
	struct dirent *entry;

	if (!entries)
		return failed(why, errno, "opendir(%.80s)", folder);
	*found = '\0';
	while ((entry = readdir(entries)))
		if (*entry->d_name != '.' && !strncmp(entry->d_name, begins, strlen(begins)))
			snprintf(found, size, "%s", entry->d_name);
	closedir(entries);
	return 0;
}

/* Before 5.12 there is no netlink: the simulator makes its one device when it is loaded. */
static int vhost_vdpa_take_ready(char *name, size_t size, struct failure *why)
{
	if (vhost_vdpa_entry(VHOST_VDPA_BUS "/devices", "", name, size, why) < 0)
		return -1;
	if (*name)
		return 0;
	unsupported(why, ENODEV, "readdir(" VHOST_VDPA_BUS "/devices)");
	return advise(why, "this takes CONFIG_VDPA_SIM, and CONFIG_VDPA_SIM_NET since 5.12");
}

static int vhost_vdpa_open(const char *name, struct failure *why)
{
	char folder[300], node[256], path[300];

	snprintf(folder, sizeof(folder), VHOST_VDPA_BUS "/devices/%s", name);
	if (vhost_vdpa_entry(folder, "vhost-vdpa-", node, sizeof(node), why) < 0)
		return -1;
	if (!*node)
		return failed(why, ENODEV, "finding vhost-vdpa in %.80s", folder);
	snprintf(path, sizeof(path), "/dev/%s", node);
	vhost_vdpa.device = open(path, O_RDWR | O_CLOEXEC);
	return vhost_vdpa.device < 0 ? failed(why, errno, "open(%.80s)", path) : 0;
}

/* What has to be there before any device is made. */
static int vhost_vdpa_require(struct failure *why)
{
	const char *driver = VHOST_VDPA_BUS "/drivers/vhost_vdpa";
	char use_va[8];

	if (access(VHOST_VDPA_BUS, F_OK) < 0) {
		unsupported(why, errno, "access(" VHOST_VDPA_BUS ")");
		return advise(why, "this takes CONFIG_VDPA (5.7 or later)");
	}
	if (access(driver, F_OK) < 0) {
		unsupported(why, errno, "access(%s)", driver);
		return advise(why, "this takes CONFIG_VHOST_VDPA");
	}
	/* With use_va (6.4 and later) it works on the program's addresses, and pins nothing. */
	if (read_text(VHOST_VDPA_USE_VA, use_va, sizeof(use_va)) > 0 && *use_va == 'Y') {
		failed(why, EINVAL, "read(" VHOST_VDPA_USE_VA "): Y");
		return advise(why, "load vdpa_sim with use_va=0, or boot with vdpa_sim.use_va=0");
	}
	return 0;
}

static int vhost_vdpa_setup(struct holding *holding, struct failure *why)
{
	char name[256] = VHOST_VDPA_NAME;
	uint64_t features;
	int error;

	(void)holding;
	if (vhost_vdpa_require(why) < 0 ||
	    netlink_open(&vhost_vdpa.netlink, NETLINK_GENERIC, why) < 0)
		return -1;
	error = netlink_family(&vhost_vdpa.netlink, "vdpa", &vhost_vdpa.family);
	if (error && error != ENOENT)
		return failed(why, error, "finding the netlink family vdpa");
	if ((error ? vhost_vdpa_take_ready(name, sizeof(name), why) : vhost_vdpa_create(why)) < 0 ||
	    vhost_vdpa_open(name, why) < 0)
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

/* A device with an open file waits for it to be closed before it goes. */
static int vhost_vdpa_remove(struct failure *why)
{
	int error;

	if (close(vhost_vdpa.device) < 0)
		return failed(why, errno, "close(vhost-vdpa)");
	error = vhost_vdpa.made ? vhost_vdpa_command(VDPA_CMD_DEV_DEL, false) : 0;
	if (error)
		return failed(why, error, "VDPA_CMD_DEV_DEL(" VHOST_VDPA_NAME ")");
	netlink_close(&vhost_vdpa.netlink);
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
	struct failure why;

	result->result = sent;
	result->error = sent < 0 ? errno : 0;
	result->pages = result->error ? 0 : holding->hold_bytes / holding->page_size_bytes;
	if (result->error && vhost_vdpa_remove(&why) < 0)
		fprintf(stderr, "pinholder: undoing a refused hold: %s\n", why.call);
}

static int vhost_vdpa_release(struct holding *holding, struct failure *why)
{
	if (vhost_vdpa_send(holding, VHOST_IOTLB_INVALIDATE) < 0)
		return failed(why, errno, "write(VHOST_IOTLB_INVALIDATE)");
	return vhost_vdpa_remove(why);
}

const struct hold_path hold_vhost_vdpa = {
	.name = "vhost_vdpa",
	.summary = "the DMA mapping of a vDPA device (vhost-vdpa over vdpa_sim): a long-term pin",
	.call = "write(VHOST_IOTLB_UPDATE)",
	.setup = vhost_vdpa_setup,
	.hold = vhost_vdpa_hold,
	.release = vhost_vdpa_release,
};
