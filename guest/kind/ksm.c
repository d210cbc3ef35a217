// SPDX-License-Identifier: GPL-2.0-only
/* Private memory whose equal pages KSM has merged into few frames. */
#include "pinholder/holding.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kernel-page-flags.h>
#include <sys/mman.h>
#include <time.h>

#include "clock.h"
#include "file.h"
#include "pinholder/census.h"
#include "pinholder/pages.h"

#define KSM "/sys/kernel/mm/ksm/"
/* Two whole scans of the memory are needed, and under emulation one takes a second. */
#define KSM_SECONDS 30.0

extern const struct memory_kind kind_anonymous;

static const struct {
	const char *path;
	const char *value;
} ksm_settings[] = {
	{ KSM "pages_to_scan", "20000" },
	{ KSM "sleep_millisecs", "10" },
	{ KSM "run", "1" },
};

#define KSM_SETTINGS (sizeof(ksm_settings) / sizeof(ksm_settings[0]))

static char ksm_before[KSM_SETTINGS][32];

static int ksm_map(struct holding *holding, struct failure *why)
{
	ssize_t length;
	size_t i;

	for (i = 0; i < KSM_SETTINGS; i++) {
		length = read_text(ksm_settings[i].path, ksm_before[i], sizeof(ksm_before[i]));
		if (length < 0) {
			unsupported(why, (int)-length, "read(%s)", ksm_settings[i].path);
			return advise(why, "this takes CONFIG_KSM");
		}
	}
	if (kind_anonymous.map(holding, why) < 0)
		return -1;
	if (madvise(holding->address, holding->size_bytes, MADV_MERGEABLE) < 0)
		return unsupported(why, errno, "madvise(MADV_MERGEABLE)");
	return 0;
}

static int ksm_merged(const struct holding *holding, uint64_t *pages, struct failure *why)
{
	struct page_places places;
	int result;

	if (find_pages(holding, &places, why) < 0)
		return -1;
	result = count_flagged(&places, KPF_KSM, pages, why);
	runs_free(&places.runs);
	return result;
}

static int ksm_restore(struct failure *why)
{
	int error;
	size_t i;

	for (i = 0; i < KSM_SETTINGS; i++) {
		error = write_text(ksm_settings[i].path, ksm_before[i]);
		if (error)
			return failed(why, error, "write(%s)", ksm_settings[i].path);
	}
	return 0;
}

static int ksm_settle(struct holding *holding, struct failure *why)
{
	const struct timespec pause = { .tv_nsec = 50000000 };
	uint64_t total = holding->size_bytes / holding->page_size_bytes, pages = 0;
	double end = boottime() + KSM_SECONDS;
	int error;
	size_t i;

	for (i = 0; i < KSM_SETTINGS; i++) {
		error = write_text(ksm_settings[i].path, ksm_settings[i].value);
		if (error)
			return failed(why, error, "write(%s)", ksm_settings[i].path);
	}
	while (pages < total && boottime() < end) {
		nanosleep(&pause, NULL);
		if (ksm_merged(holding, &pages, why) < 0)
			return -1;
	}
	/* Merged pages stay merged: nothing is to be scanned while they are held. */
	if (ksm_restore(why) < 0)
		return -1;
	if (pages < total)
		return failed(why, ETIME, "KSM merged %" PRIu64 " of %" PRIu64 " pages in %g s",
			      pages, total, KSM_SECONDS);
	return 0;
}

const struct memory_kind kind_ksm = {
	.name = "ksm",
	.summary = "private memory whose equal pages KSM has merged",
	.map = ksm_map,
	.uniform = true,
	.settle = ksm_settle,
};
