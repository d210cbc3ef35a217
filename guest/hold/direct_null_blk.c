// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds pages by direct I/O that takes its time: writes to a null_blk device whose every request
 * ends by a timer. Nothing ends them earlier, so that a release waits for the rest of it.
 */
#include "pinholder/holding.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "pinholder/direct.h"

/*
 * How long each request takes. Looking for partitions when the device comes takes several of
 * these one after the other, and 6.12 lets requests time out after 6 s.
 */
#define NULL_BLK_NANOSECONDS "5000000000"

static struct {
	char device[384];	/* its folder in configfs */
	int file;
	struct direct direct;
} null_blk = { .file = -1 };

static int direct_null_blk_set(const char *name, const char *value, struct failure *why)
{
	char path[448];
	int error;

	snprintf(path, sizeof(path), "%s/%s", null_blk.device, name);
	error = write_text(path, value);
	return error ? failed(why, error, "write(%.80s, %s)", path, value) : 0;
}

/* configfs, in a mount namespace of this process's own, for it need not be mounted. */
static int direct_null_blk_configfs(struct failure *why)
{
	char folder[] = "/tmp/pinholder-configfs-XXXXXX";

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return failed(why, errno, "unshare(CLONE_NEWNS)");
	if (!mkdtemp(folder))
		return failed(why, errno, "mkdtemp(%s)", folder);
	if (mount("none", folder, "configfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0) {
		unsupported(why, errno, "mount(configfs)");
		rmdir(folder);
		return -1;
	}
	snprintf(null_blk.device, sizeof(null_blk.device), "%s/nullb", folder);
	if (access(null_blk.device, F_OK) < 0) {
		unsupported(why, errno, "access(configfs/nullb)");
		return advise(why, "this takes CONFIG_BLK_DEV_NULL_BLK, its module loaded");
	}
	snprintf(null_blk.device, sizeof(null_blk.device), "%s/nullb/pinholder", folder);
	return 0;
}

static int direct_null_blk_create(const struct holding *holding, struct failure *why)
{
	char megabytes[32], path[64], name[32];
	ssize_t length;

	/* One that a killed process left ends with it; until then it is busy. */
	if (rmdir(null_blk.device) < 0 && errno != ENOENT)
		return failed(why, errno, "rmdir(configfs/nullb/pinholder)");
	if (mkdir(null_blk.device, 0700) < 0)
		return failed(why, errno, "mkdir(configfs/nullb/pinholder)");
	snprintf(megabytes, sizeof(megabytes), "%zu", (holding->hold_bytes >> 20) + 1);
	if (direct_null_blk_set("size", megabytes, why) < 0 ||
	    direct_null_blk_set("irqmode", "2", why) < 0 ||
	    direct_null_blk_set("completion_nsec", NULL_BLK_NANOSECONDS, why) < 0 ||
	    direct_null_blk_set("hw_queue_depth", "1024", why) < 0 ||
	    direct_null_blk_set("power", "1", why) < 0)
		return -1;
	snprintf(path, sizeof(path), "%.50s/index", null_blk.device);
	length = read_text(path, name, sizeof(name));
	if (length < 0)
		return failed(why, (int)-length, "read(configfs/nullb/pinholder/index)");
	snprintf(path, sizeof(path), "/dev/nullb%d", atoi(name));
	null_blk.file = open(path, O_WRONLY | O_DIRECT | O_CLOEXEC);
	if (null_blk.file < 0)	/* since 6.10 it is called as its folder is */
		null_blk.file = open("/dev/pinholder", O_WRONLY | O_DIRECT | O_CLOEXEC);
	return null_blk.file < 0 ? failed(why, errno, "open(%s)", path) : 0;
}

static int direct_null_blk_setup(struct holding *holding, struct failure *why)
{
	if (direct_prepare(&null_blk.direct, holding, why) < 0 ||
	    direct_null_blk_configfs(why) < 0)
		return -1;
	return direct_null_blk_create(holding, why);
}

static int direct_null_blk_release(struct holding *holding, struct failure *why)
{
	(void)holding;
	if (direct_end(&null_blk.direct, why) < 0)
		return -1;
	if (close(null_blk.file) < 0)
		return failed(why, errno, "close(null_blk)");
	if (direct_null_blk_set("power", "0", why) < 0)
		return -1;
	if (rmdir(null_blk.device) < 0)
		return failed(why, errno, "rmdir(configfs/nullb/pinholder)");
	return 0;
}

static void direct_null_blk_hold(struct holding *holding, struct hold_result *result)
{
	struct failure why;

	result->error = direct_begin(&null_blk.direct, holding, null_blk.file, true);
	if (result->error && direct_null_blk_release(holding, &why) < 0)
		fprintf(stderr, "pinholder: undoing a refused hold: %s\n", why.call);
	result->result = result->error ? -1 : 0;
	result->pages = result->error ? 0 : holding->hold_bytes / holding->page_size_bytes;
}

const struct hold_path hold_direct_null_blk = {
	.name = "direct_null_blk",
	.summary = "direct I/O to null_blk, which ends after 5 s: short-term pins",
	.call = "io_submit(write to null_blk)",
	.setup = direct_null_blk_setup,
	.hold = direct_null_blk_hold,
	.release = direct_null_blk_release,
};
