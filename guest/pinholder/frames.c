// SPDX-License-Identifier: GPL-2.0-only
/* Page frames: memory blocks, and which frames of one are locked (/proc/kpageflags). */
#include "frames.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <stdio.h>
#include <unistd.h>

#include "file.h"

#define MEMORY "/sys/devices/system/memory"
#define ENTRIES 4096

static uint64_t pages_of_run(const struct run *run, uint64_t first, uint64_t end)
{
	uint64_t low = run->pfn, high;

	if (run->pfn == PFN_ABSENT)
		return 0;
	if (run->step < 0)
		low = run->pfn - run->count + 1;
	high = run->step ? low + run->count : low + 1;
	low = low > first ? low : first;
	high = high < end ? high : end;
	return high > low ? high - low : 0;
}

static uint64_t pages_of_block(const struct page_places *places, const struct block *block)
{
	uint64_t pages = 0;
	size_t i;

	for (i = 0; i < places->runs.count; i++)
		pages += pages_of_run(&places->runs.run[i], block->first_pfn,
				      block->first_pfn + block->frames);
	return pages;
}

int find_block(const struct page_places *places, size_t page_size_bytes, struct block *block,
	       uint64_t *pages, struct failure *why)
{
	unsigned long long block_bytes;
	struct block one = { 0 };
	uint64_t found;
	char text[32];
	ssize_t length;
	size_t i;

	length = read_text(MEMORY "/block_size_bytes", text, sizeof(text));
	if (length < 0) {
		failed(why, (int)-length, "read(" MEMORY "/block_size_bytes)");
		return advise(why, "this takes CONFIG_MEMORY_HOTPLUG");
	}
	if (sscanf(text, "%llx", &block_bytes) != 1 || block_bytes < page_size_bytes)
		return failed(why, EINVAL, "read(" MEMORY "/block_size_bytes): '%.20s'", text);
	one.frames = block_bytes / page_size_bytes;
	*pages = 0;
	for (i = 0; i < places->runs.count; i++) {
		if (places->runs.run[i].pfn == PFN_ABSENT)
			continue;
		one.number = places->runs.run[i].pfn / one.frames;
		one.first_pfn = one.number * one.frames;
		found = pages_of_block(places, &one);
		if (found > *pages) {
			*pages = found;
			*block = one;
		}
	}
	if (!*pages) {
		failed(why, ENOENT, "finding the memory block of the pages");
		return advise(why, "PFNs take root (CAP_SYS_ADMIN)");
	}
	return 0;
}

int find_locked(const struct block *block, uint64_t *highest, uint64_t *count,
		struct failure *why)
{
	uint64_t flags[ENTRIES], done, batch, i;
	ssize_t got;
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		failed(why, errno, "open(/proc/kpageflags)");
		return advise(why, "this takes CONFIG_PROC_PAGE_MONITOR and root");
	}
	*count = 0;
	for (done = 0; done < block->frames; done += batch) {
		batch = block->frames - done < ENTRIES ? block->frames - done : ENTRIES;
		got = pread(fd, flags, batch * sizeof(flags[0]),
			    (off_t)((block->first_pfn + done) * sizeof(flags[0])));
		if (got != (ssize_t)(batch * sizeof(flags[0]))) {
			failed(why, got < 0 ? errno : EIO, "pread(/proc/kpageflags)");
			close(fd);
			return -1;
		}
		for (i = 0; i < batch; i++) {
			if (!(flags[i] & (1ULL << KPF_LOCKED)))
				continue;
			*highest = block->first_pfn + done + i;
			(*count)++;
		}
	}
	close(fd);
	return 0;
}

const char *block_file(const struct block *block, const char *name, char *path, size_t size)
{
	snprintf(path, size, MEMORY "/memory%llu/%s", (unsigned long long)block->number, name);
	return path;
}
