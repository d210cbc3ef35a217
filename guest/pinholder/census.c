// SPDX-License-Identifier: GPL-2.0-only
/* What the kernel says of each page: /proc/kpageflags and /proc/kpagecount, counted. */
#include "census.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ENTRIES 512
#define MOST_MAPPED 1024	/* a page that is mapped more often counts as so many */

static const struct {
	const char *name;
	unsigned int bit;
} flags[] = {
	{ "LOCKED", KPF_LOCKED },
	{ "WRITEBACK", KPF_WRITEBACK },
	{ "DIRTY", KPF_DIRTY },
	{ "LRU", KPF_LRU },
	{ "MMAP", KPF_MMAP },
	{ "ANON", KPF_ANON },
	{ "SWAPCACHE", KPF_SWAPCACHE },
	{ "SWAPBACKED", KPF_SWAPBACKED },
	{ "COMPOUND_HEAD", KPF_COMPOUND_HEAD },
	{ "COMPOUND_TAIL", KPF_COMPOUND_TAIL },
	{ "HUGE", KPF_HUGE },
	{ "THP", KPF_THP },
	{ "KSM", KPF_KSM },
	{ "UNEVICTABLE", KPF_UNEVICTABLE },
	{ "MLOCKED", KPF_MLOCKED },
	{ "OFFLINE", KPF_OFFLINE },	/* up to 5.x, of a balloon */
	{ "HWPOISON", KPF_HWPOISON },
};

#define FLAGS (sizeof(flags) / sizeof(flags[0]))

struct census {
	uint64_t flagged[64];		/* by bit */
	uint64_t mapped[MOST_MAPPED + 1];
};

/* The entries of frames [first, first + count) of a file with 8 bytes a frame. */
static bool read_entries(int fd, uint64_t *entries, uint64_t first, uint64_t count)
{
	ssize_t wanted = (ssize_t)(count * sizeof(entries[0]));

	return pread(fd, entries, (size_t)wanted, (off_t)(first * sizeof(entries[0]))) == wanted;
}

static bool count_frames(struct census *census, int flags_fd, int counts_fd, uint64_t first,
			 uint64_t count, uint64_t times)
{
	uint64_t words[ENTRIES], counts[ENTRIES], i;
	unsigned int bit;

	if (!read_entries(flags_fd, words, first, count) ||
	    !read_entries(counts_fd, counts, first, count))
		return false;
	for (i = 0; i < count; i++) {
		for (bit = 0; bit < 64; bit++)
			if (words[i] & (1ULL << bit))
				census->flagged[bit] += times;
		census->mapped[counts[i] < MOST_MAPPED ? counts[i] : MOST_MAPPED] += times;
	}
	return true;
}

static bool take(struct census *census, const struct page_places *places)
{
	int flags_fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	int counts_fd = open("/proc/kpagecount", O_RDONLY | O_CLOEXEC);
	bool whole = flags_fd >= 0 && counts_fd >= 0 && !places->hidden;
	uint64_t low, frames, done, batch;
	size_t i;

	for (i = 0; i < places->runs.count && whole; i++) {
		const struct run *run = &places->runs.run[i];

		if (run->pfn == PFN_ABSENT)
			continue;
		low = run->step < 0 ? run->pfn - run->count + 1 : run->pfn;
		frames = run->step ? run->count : 1;
		for (done = 0; done < frames && whole; done += batch) {
			batch = frames - done < ENTRIES ? frames - done : ENTRIES;
			whole = count_frames(census, flags_fd, counts_fd, low + done, batch,
					     run->step ? 1 : run->count);
		}
	}
	if (flags_fd >= 0)
		close(flags_fd);
	if (counts_fd >= 0)
		close(counts_fd);
	return whole;
}

static int take_whole(struct census *census, const struct page_places *places,
		      struct failure *why)
{
	memset(census, 0, sizeof(*census));
	if (take(census, places))
		return 0;
	failed(why, EACCES, "reading /proc/kpageflags and /proc/kpagecount");
	return advise(why, "this takes CONFIG_PROC_PAGE_MONITOR and root");
}

static int census_of_memory(const struct holding *holding, struct census *census,
			    struct failure *why)
{
	struct page_places places;
	int result;

	if (find_pages(holding, &places, why) < 0)
		return -1;
	result = take_whole(census, &places, why);
	runs_free(&places.runs);
	return result;
}

int count_flagged(const struct page_places *places, unsigned int flag, uint64_t *pages,
		  struct failure *why)
{
	struct census census;

	if (take_whole(&census, places, why) < 0)
		return -1;
	*pages = census.flagged[flag];
	return 0;
}

int count_in_memory(const struct holding *holding, unsigned int flag, uint64_t *pages,
		    struct failure *why)
{
	struct census census;

	if (census_of_memory(holding, &census, why) < 0)
		return -1;
	*pages = census.flagged[flag];
	return 0;
}

int count_mapped(const struct holding *holding, unsigned int times, uint64_t *pages,
		 struct failure *why)
{
	struct census census;

	if (census_of_memory(holding, &census, why) < 0)
		return -1;
	for (*pages = 0; times <= MOST_MAPPED; times++)
		*pages += census.mapped[times];
	return 0;
}

int require_all(const struct holding *holding, uint64_t pages, const char *such,
		struct failure *why)
{
	const uint64_t total = holding->size_bytes / holding->page_size_bytes;

	if (pages == total)
		return 0;
	return failed(why, 0, "only %" PRIu64 " of %" PRIu64 " pages are %s", pages, total, such);
}

void say_census(const struct page_places *places, struct json *json)
{
	struct census census;
	char key[24];
	size_t i;

	memset(&census, 0, sizeof(census));
	if (!take(&census, places)) {
		json_null(json, "flags");
		json_null(json, "mapcounts");
		return;
	}
	json_object(json, "flags");
	for (i = 0; i < FLAGS; i++)
		if (census.flagged[flags[i].bit])
			json_uint(json, flags[i].name, census.flagged[flags[i].bit]);
	json_object_end(json);
	json_object(json, "mapcounts");
	for (i = 0; i <= MOST_MAPPED; i++) {
		snprintf(key, sizeof(key), "%zu", i);
		if (census.mapped[i])
			json_uint(json, key, census.mapped[i]);
	}
	json_object_end(json);
}
