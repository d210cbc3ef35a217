// SPDX-License-Identifier: GPL-2.0-only
/* Private memory that is in swap: a zram device of the kind's own. */
#include "pinholder/holding.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "file.h"
#include "pinholder/node.h"
#include "pinholder/pages.h"
#include "pinholder/program.h"
#include "pinholder/undo.h"

#define ZRAM_CONTROL "/sys/class/zram-control/"
#define SWAP_SECONDS 20.0

extern const struct memory_kind kind_anonymous;

static struct {
	char number[16];	/* of the device */
	char device[32];
	struct undo undo;
} swapped;

static int swapped_write(const char *name, const char *value)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/block/zram%s/%s", swapped.number, name);
	return write_text(path, value);
}

/* Whether or not it is a swap area as yet, or has a size; what is in it comes back to memory. */
static int swapped_remove(void)
{
	int error;

	if (swapoff(swapped.device) < 0 && errno != EINVAL)
		return errno;
	error = swapped_write("reset", "1");
	return error ? error : write_text(ZRAM_CONTROL "hot_remove", swapped.number);
}

static int swapped_device(size_t bytes, struct failure *why)
{
	char text[32], device[sizeof(swapped.device)];
	char *mkswap[] = { "mkswap", device, NULL };
	ssize_t length = read_text(ZRAM_CONTROL "hot_add", text, sizeof(text));
	int error;

	if (length < 0) {
		unsupported(why, (int)-length, "read(" ZRAM_CONTROL "hot_add)");
		return advise(why, "this takes CONFIG_ZRAM");
	}
	text[strcspn(text, "\n")] = '\0';
	snprintf(swapped.number, sizeof(swapped.number), "%.15s", text);
	snprintf(swapped.device, sizeof(swapped.device), "/dev/zram%s", swapped.number);
	if (undo_later(&swapped.undo, swapped_remove, why) < 0)
		return -1;
	snprintf(device, sizeof(device), "%s", swapped.device);
	snprintf(text, sizeof(text), "%zu", bytes);
	error = swapped_write("disksize", text);
	if (error)
		return failed(why, error, "write(/sys/block/zram%s/disksize, %s)", swapped.number,
			      text);
	if (run_program(mkswap, -1, why) < 0)
		return -1;
	if (swapon(swapped.device, SWAP_FLAG_PREFER | SWAP_FLAG_PRIO_MASK) < 0)
		return errno == ENOSYS ? unsupported(why, errno, "swapon()") :
					 failed(why, errno, "swapon(%s)", swapped.device);
	return 0;
}

static int swapped_map(struct holding *holding, struct failure *why)
{
	/* Room for the swap header, and for what else may be swapped out meanwhile. */
	if (swapped_device(holding->size_bytes * 2 + ((size_t)16 << 20), why) < 0)
		return -1;
	return kind_anonymous.map(holding, why);
}

static int swapped_count(const struct holding *holding, uint64_t *pages, struct failure *why)
{
	struct page_places places;

	if (find_pages(holding, &places, why) < 0)
		return -1;
	*pages = places.swapped;
	runs_free(&places.runs);
	return 0;
}

static int swapped_settle(struct holding *holding, struct failure *why)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	uint64_t total = holding->size_bytes / holding->page_size_bytes, pages = 0;
	double end = boottime() + SWAP_SECONDS;

	/* A page in a CPU's batch has a reference there, and is not taken. */
	if (node_drain(holding, why) < 0)
		return -1;
	for (;;) {
		if (madvise(holding->address, holding->size_bytes, MADV_PAGEOUT) < 0)
			return unsupported(why, errno, "madvise(MADV_PAGEOUT)");
		if (swapped_count(holding, &pages, why) < 0)
			return -1;
		if (pages == total)
			return 0;
		if (boottime() > end)
			return failed(why, ETIME, "%llu of %llu pages went to swap in %g s",
				      (unsigned long long)pages, (unsigned long long)total,
				      SWAP_SECONDS);
		nanosleep(&pause, NULL);
	}
}

static int swapped_release(struct holding *holding, struct failure *why)
{
	(void)holding;
	return undo_now(&swapped.undo, "taking the swap area back", why);
}

const struct memory_kind kind_swapped = {
	.name = "swapped",
	.summary = "private memory that is swapped out (zram)",
	.map = swapped_map,
	.settle = swapped_settle,
	.release = swapped_release,
};
