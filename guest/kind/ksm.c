// SPDX-License-Identifier: GPL-2.0-only
/* Private memory whose equal pages KSM has merged into few frames. */
#include "pinholder/holding.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <time.h>

#include "clock.h"
#include "pinholder/census.h"
#include "pinholder/settings.h"

#define KSM "/sys/kernel/mm/ksm/"
/*
 * Two whole scans of the memory are needed, by a thread of a low priority: under emulation one
 * takes a second, and on a busy machine both took 20 s (6.18).
 */
#define KSM_SECONDS 60.0

extern const struct memory_kind kind_anonymous;

static int ksm_map(struct holding *holding, struct failure *why)
{
	/* The last is the one that sets it going, and the first that is restored. */
	if (settings_add(KSM "pages_to_scan", "20000", NULL, why) < 0 ||
	    settings_add(KSM "sleep_millisecs", "10", NULL, why) < 0 ||
	    settings_add(KSM "run", "1", NULL, why) < 0)
		return advise(why, "this takes CONFIG_KSM");
	if (settings_keep(why) < 0 || kind_anonymous.map(holding, why) < 0)
		return -1;
	if (madvise(holding->address, holding->size_bytes, MADV_MERGEABLE) < 0)
		return unsupported(why, errno, "madvise(MADV_MERGEABLE)");
	return 0;
}

/*
 * Pages whose frame is mapped more than once; nobody else has this memory. The flag would not do:
 * 6.12 shows KPF_KSM for every anonymous page (seen on 6.12.117).
 */
static int ksm_merged(const struct holding *holding, uint64_t *pages, struct failure *why)
{
	return count_mapped(holding, 2, pages, why);
}

static int ksm_settle(struct holding *holding, struct failure *why)
{
	const struct timespec pause = { .tv_nsec = 50000000 };
	uint64_t total = holding->size_bytes / holding->page_size_bytes, pages = 0;
	double end = boottime() + KSM_SECONDS;

	/*
	 * Only now, that there is something to merge: ksmd that finds nothing goes to sleep, and
	 * __ksm_enter() may miss to wake it (seen on 6.12: nothing was merged in 30 s).
	 */
	if (settings_change(why) < 0)
		return -1;
	while (pages < total && boottime() < end) {
		nanosleep(&pause, NULL);
		if (ksm_merged(holding, &pages, why) < 0)
			return -1;
	}
	/* Merged pages stay merged: nothing is to be scanned while they are held. */
	if (settings_restore(why) < 0 || ksm_merged(holding, &pages, why) < 0)
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
