// SPDX-License-Identifier: GPL-2.0-only
/* The file systems of the guest, mounted in order. */
#include "init.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static const struct mount_point {
	const char *type;
	const char *target;
	const char *options;
	bool required;
	mode_t mode;	/* of the folder, where init has to make it */
} mount_points[] = {
	{ "devtmpfs", "/dev", "mode=0755", true, 0755 },
	{ "proc", "/proc", NULL, true, 0555 },
	{ "sysfs", "/sys", NULL, true, 0555 },
	{ "devpts", "/dev/pts", "mode=0600,ptmxmode=0666", false, 0755 },
	{ "tmpfs", "/dev/shm", "mode=1777", false, 01777 },
	{ "tmpfs", "/tmp", "mode=1777", false, 01777 },
	{ "tmpfs", "/run", "mode=0755", false, 0755 },
	{ "debugfs", "/sys/kernel/debug", NULL, false, 0700 },
	{ "tracefs", "/sys/kernel/tracing", NULL, false, 0700 },
};

/* devtmpfs has no links of its own: udev makes them elsewhere. */
static const struct {
	const char *target;
	const char *path;
} links[] = {
	{ "/proc/self/fd", "/dev/fd" },
	{ "/proc/self/fd/0", "/dev/stdin" },
	{ "/proc/self/fd/1", "/dev/stdout" },
	{ "/proc/self/fd/2", "/dev/stderr" },
};

/* Without devtmpfs there is no port to say so on: make the two nodes that saying it takes. */
static void make_ports(void)
{
	if (mknod(STATUS_PORT, S_IFCHR | 0600, makedev(4, 65)) < 0 && errno != EEXIST)
		return;
	if (mknod("/dev/kmsg", S_IFCHR | 0600, makedev(1, 11)) < 0 && errno != EEXIST)
		return;
}

static int mount_one(const struct mount_point *point, struct reason *reason)
{
	/* In sysfs the folder is there if the kernel has the file system. */
	if (mkdir(point->target, point->mode) < 0 && errno != EEXIST && errno != EPERM)
		return because(reason, errno, "mkdir(%s)", point->target);
	if (mount(point->type, point->target, point->type, 0, point->options) < 0 &&
	    errno != EBUSY)
		return because(reason, errno, "mount(%s on %s)", point->type, point->target);
	return 0;
}

int mount_all(struct reason *reason)
{
	size_t i;

	for (i = 0; i < sizeof(mount_points) / sizeof(mount_points[0]); i++) {
		if (mount_one(&mount_points[i], reason) < 0) {
			if (i == 0)
				make_ports();
			if (i == 0 || mount_points[i].required) {
				status_open();
				return -1;
			}
			note("%s: left out", reason->text);
		}
		if (i == 0)
			status_open();
	}
	for (i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (symlink(links[i].target, links[i].path) < 0 && errno != EEXIST)
			note("symlink(%s): %s", links[i].path, strerror(errno));
	return 0;
}
