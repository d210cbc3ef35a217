// SPDX-License-Identifier: GPL-2.0-only
/* Reads page frame numbers from /proc/self/pagemap (Documentation/admin-guide/mm/pagemap.rst). */
#include "pages.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define ENTRIES 4096
#define ENTRY_PRESENT ((uint64_t)1 << 63)
#define ENTRY_SWAPPED ((uint64_t)1 << 62)
#define ENTRY_PFN (((uint64_t)1 << 55) - 1)

static int take(struct page_places *places, uint64_t entry)
{
	uint64_t pfn = entry & ENTRY_PFN;

	if (!(entry & ENTRY_PRESENT)) {
		if (entry & ENTRY_SWAPPED)	/* in swap, or being migrated just now */
			places->swapped++;
		places->absent++;
		return runs_add(&places->runs, PFN_ABSENT);
	}
	if (!pfn) {
		/* No user page is in frame 0: without CAP_SYS_ADMIN the kernel says 0. */
		places->hidden++;
		return 0;
	}
	return runs_add(&places->runs, pfn);
}

int find_pages(const struct holding *holding, struct page_places *places, struct failure *why)
{
	size_t pages = holding->size_bytes / holding->page_size_bytes;
	size_t first = (uintptr_t)holding->address / holding->page_size_bytes;
	uint64_t entries[ENTRIES];
	size_t done, count, i;
	int fd, result = 0;
	ssize_t got;

	memset(places, 0, sizeof(*places));
	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return failed(why, errno, "open(/proc/self/pagemap)");
	for (done = 0; done < pages && !result; done += count) {
		count = pages - done < ENTRIES ? pages - done : ENTRIES;
		got = pread(fd, entries, count * sizeof(entries[0]),
			    (off_t)((first + done) * sizeof(entries[0])));
		if (got < 0)
			result = failed(why, errno, "pread(/proc/self/pagemap)");
		else if ((size_t)got != count * sizeof(entries[0]))
			result = failed(why, EIO, "pread(/proc/self/pagemap): %zd bytes", got);
		for (i = 0; i < count && !result; i++)
			if (take(places, entries[i]))
				result = failed(why, ENOMEM, "realloc() for the page list");
	}
	close(fd);
	return result;
}
