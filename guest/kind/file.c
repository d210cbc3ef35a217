// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page cache of a file of a real filesystem, mapped shared: ext4 on a loop device over a memfd.
 *
 * It is mounted in a mount namespace of this process's own and taken out of sight at once: with
 * the last user of the file the filesystem goes, and the loop device with it (autoclear).
 */
#include "pinholder/holding.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "pinholder/program.h"
#include "pinholder/space.h"

/* Inode tables, bitmaps and the rest. */
#define FILE_SPARE_BYTES ((size_t)8 << 20)

/* A memfd with a filesystem in it; -1 on failure. */
static int file_image(size_t bytes, struct failure *why)
{
	char path[32];
	char *mkfs[] = { "mke2fs", "-F", "-b", "4096", path, NULL };
	int image = memfd_create("pinholder-ext4", MFD_CLOEXEC);

	if (image < 0)
		return failed(why, errno, "memfd_create()");
	if (ftruncate(image, (off_t)bytes) < 0)
		return failed(why, errno, "ftruncate(memfd, %zu)", bytes);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", image);
	return run_program(mkfs, image, why) < 0 ? -1 : image;
}

/* Binds image to a free loop device; its descriptor, or -1. */
static int file_loop(int image, char *device, size_t size, struct failure *why)
{
	struct loop_info64 info = { .lo_flags = LO_FLAGS_AUTOCLEAR };
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), number, loop, reader;

	if (control < 0) {
		unsupported(why, errno, "open(/dev/loop-control)");
		return advise(why, "this takes CONFIG_BLK_DEV_LOOP");
	}
	number = ioctl(control, LOOP_CTL_GET_FREE);
	close(control);
	if (number < 0)
		return failed(why, errno, "ioctl(LOOP_CTL_GET_FREE)");
	snprintf(device, size, "/dev/loop%d", number);
	loop = open(device, O_RDWR | O_CLOEXEC);
	if (loop < 0)
		return failed(why, errno, "open(%s)", device);
	if (ioctl(loop, LOOP_SET_FD, image) < 0)
		return failed(why, errno, "ioctl(%s, LOOP_SET_FD)", device);
	if (ioctl(loop, LOOP_SET_STATUS64, &info) < 0)
		return failed(why, errno, "ioctl(%s, LOOP_SET_STATUS64)", device);
	/* Who has it open for writing keeps it from being mounted (BLK_DEV_WRITE_MOUNTED=n). */
	reader = open(device, O_RDONLY | O_CLOEXEC);
	if (reader < 0)
		return failed(why, errno, "open(%s, O_RDONLY)", device);
	close(loop);
	return reader;
}

/* The file, in a filesystem that nothing but it keeps there. */
static int file_open(const char *device, struct failure *why)
{
	char folder[] = "/tmp/pinholder-ext4-XXXXXX", path[64];
	int file = -1;

	if (!mkdtemp(folder))
		return failed(why, errno, "mkdtemp(%s)", folder);
	snprintf(path, sizeof(path), "%s/file", folder);
	if (unshare(CLONE_NEWNS) < 0)
		failed(why, errno, "unshare(CLONE_NEWNS)");
	else if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		failed(why, errno, "mount(/, MS_PRIVATE)");
	else if (mount(device, folder, "ext4", MS_NODEV | MS_NOSUID, NULL) < 0)
		(errno == ENODEV ? unsupported : failed)(why, errno, "mount(%s, ext4)", device);
	else {
		file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (file < 0)
			failed(why, errno, "open(%s)", path);
		if (umount2(folder, MNT_DETACH) < 0)
			file = failed(why, errno, "umount2(%s)", folder);
	}
	if (rmdir(folder) < 0)
		file = failed(why, errno, "rmdir(%s)", folder);
	return file;
}

static int file_map(struct holding *holding, struct failure *why)
{
	char device[32];
	int image = file_image(2 * holding->size_bytes + FILE_SPARE_BYTES, why), loop;

	if (image < 0)
		return -1;
	loop = file_loop(image, device, sizeof(device), why);
	if (loop < 0)
		return -1;
	holding->file = file_open(device, why);
	close(loop);
	close(image);
	if (holding->file < 0)
		return -1;
	if (reserve_addresses(holding, holding->page_size_bytes, why) < 0)
		return -1;
	/* Its pages are to come when they are touched, by a thread that is bound to the node. */
	if (ftruncate(holding->file, (off_t)holding->size_bytes) < 0)
		return failed(why, errno, "ftruncate(file, %zu)", holding->size_bytes);
	if (mmap(holding->address, holding->size_bytes, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, holding->file, 0) == MAP_FAILED)
		return failed(why, errno, "mmap(%zu bytes, file)", holding->size_bytes);
	return 0;
}

const struct memory_kind kind_file = {
	.name = "file",
	.summary = "page cache of a file on ext4, mapped shared",
	.map = file_map,
};
