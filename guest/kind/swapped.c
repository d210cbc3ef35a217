// SPDX-License-Identifier: GPL-2.0-only
/* Private memory that is in swap: a zram device of the kind's own. */
#include "pinholder/holding.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "file.h"
#include "pinholder/pages.h"
#include "pinholder/program.h"

#define ZRAM_CONTROL "/sys/class/zram-control/"
#define SWAP_SECONDS 20.0

extern const struct memory_kind kind_anonymous;

static struct {
	char number[16];	/* of the device; empty: none */
	char device[32];
	bool on;
} swapped;

static int swapped_set(const char *name, const char *value, struct failure *why)
{
	char path[64];
	int error;

	snprintf(path, sizeof(path), "/sys/block/zram%s/%s", swapped.number, name);
	error = write_text(path, value);
	return error ? failed(why, error, "write(%s, %s)", path, value) : 0;
}

static int swapped_device(size_t bytes, struct failure *why)
{
	char text[32], device[sizeof(swapped.device)];
	char *mkswap[] = { "mkswap", device, NULL };
	ssize_t length = read_text(ZRAM_CONTROL "hot_add", text, sizeof(text));

	if (length < 0) {
		unsupported(why, (int)-length, "read(" ZRAM_CONTROL "hot_add)");
		return advise(why, "this takes CONFIG_ZRAM");
	}
	text[strcspn(text, "\n")] = '\0';
	snprintf(swapped.number, sizeof(swapped.number), "%.15s", text);
	snprintf(swapped.device, sizeof(swapped.device), "/dev/zram%s", swapped.number);
	snprintf(device, sizeof(device), "%s", swapped.device);
	snprintf(text, sizeof(text), "%zu", bytes);
	if (swapped_set("disksize", text, why) < 0 || run_program(mkswap, -1, why) < 0)
		return -1;
	if (swapon(swapped.device, SWAP_FLAG_PREFER | SWAP_FLAG_PRIO_MASK) < 0)
		return errno == ENOSYS ? unsupported(why, errno, "swapon()") :
					 failed(why, errno, "swapon(%s)", swapped.device);
	swapped.on = true;
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
	char path[64];
	int error;

	(void)holding;
	if (swapped.on && swapoff(swapped.device) < 0)
		return failed(why, errno, "swapoff(%s)", swapped.device);
	swapped.on = false;
	if (swapped_set("reset", "1", why) < 0)
		return -1;
	snprintf(path, sizeof(path), ZRAM_CONTROL "hot_remove");
	error = write_text(path, swapped.number);
	return error ? failed(why, error, "write(%s)", path) : 0;
}

const struct memory_kind kind_swapped = {
	.name = "swapped",
	.summary = "private memory that is swapped out (zram)",
	.map = swapped_map,
	.settle = swapped_settle,
	.release = swapped_release,
};
