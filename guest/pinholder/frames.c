// SPDX-License-Identifier: GPL-2.0-only
/* Page frames: memory blocks, and which frames of one are locked (/proc/kpageflags). */
#include "frames.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kernel-page-flags.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static int read_block_bytes(size_t page_size_bytes, unsigned long long *block_bytes,
			    struct failure *why)
{
	char text[32];
	ssize_t length;

	length = read_text(MEMORY "/block_size_bytes", text, sizeof(text));
	if (length < 0) {
		failed(why, (int)-length, "read(" MEMORY "/block_size_bytes)");
		return advise(why, "this takes CONFIG_MEMORY_HOTPLUG");
	}
	if (sscanf(text, "%llx", block_bytes) != 1 || *block_bytes < page_size_bytes)
		return failed(why, EINVAL, "read(" MEMORY "/block_size_bytes): '%.20s'", text);
	return 0;
}

int find_block(const struct page_places *places, size_t page_size_bytes, struct block *block,
	       uint64_t *pages, struct failure *why)
{
	unsigned long long block_bytes;
	struct block one = { 0 };
	uint64_t found;
	size_t i;

	if (read_block_bytes(page_size_bytes, &block_bytes, why) < 0)
		return -1;
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

/* Adds the frames of block that have all flags of with and none of without; 0 or -1. */
static int add_flagged(const struct block *block, uint64_t with, uint64_t without,
		       struct runs *runs, struct failure *why)
{
	uint64_t flags[ENTRIES], done, batch, i;
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC), result = 0;
	ssize_t got;

	if (fd < 0) {
		failed(why, errno, "open(/proc/kpageflags)");
		return advise(why, "this takes CONFIG_PROC_PAGE_MONITOR and root");
	}
	for (done = 0; done < block->frames && !result; done += batch) {
		batch = block->frames - done < ENTRIES ? block->frames - done : ENTRIES;
		got = pread(fd, flags, batch * sizeof(flags[0]),
			    (off_t)((block->first_pfn + done) * sizeof(flags[0])));
		if (got != (ssize_t)(batch * sizeof(flags[0])))
			result = failed(why, got < 0 ? errno : EIO, "pread(/proc/kpageflags)");
		for (i = 0; i < batch && !result; i++)
			if ((flags[i] & (with | without)) == with &&
			    runs_add(runs, block->first_pfn + done + i))
				result = failed(why, ENOMEM, "realloc() for the page list");
	}
	close(fd);
	return result;
}

int find_locked(const struct block *block, uint64_t *highest, uint64_t *count,
		struct failure *why)
{
	struct runs runs = { 0 };
	int result = add_flagged(block, 1ULL << KPF_LOCKED, 0, &runs, why);
	const struct run *run;
	size_t i;

	*count = 0;
	for (i = 0; i < runs.count; i++) {
		run = &runs.run[i];
		*count += run->count;
		*highest = run->pfn + run->count - 1;
	}
	runs_free(&runs);
	return result;
}

static int by_number(const struct dirent **first, const struct dirent **second)
{
	return strverscmp((*first)->d_name, (*second)->d_name);
}

int find_node_flagged(int node, size_t page_size_bytes, uint64_t with, uint64_t without,
		      struct page_places *places, struct failure *why)
{
	unsigned long long block_bytes = 0;
	struct dirent **names;
	struct block block;
	int count, i, result = 0;
	char path[64];

	memset(places, 0, sizeof(*places));
	if (read_block_bytes(page_size_bytes, &block_bytes, why) < 0)
		return -1;
	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d", node);
	count = scandir(path, &names, NULL, by_number);
	if (count < 0)
		return failed(why, errno, "scandir(%s)", path);
	for (i = 0; i < count; i++) {
		block.frames = block_bytes / page_size_bytes;
		if (!result && sscanf(names[i]->d_name, "memory%" SCNu64, &block.number) == 1) {
			block.first_pfn = block.number * block.frames;
			result = add_flagged(&block, with, without, &places->runs, why);
		}
		free(names[i]);
	}
	free(names);
	return result;
}

int find_node_locked(int node, size_t page_size_bytes, struct page_places *places,
		     struct failure *why)
{
	return find_node_flagged(node, page_size_bytes, 1ULL << KPF_LOCKED, 0, places, why);
}

const char *block_file(const struct block *block, const char *name, char *path, size_t size)
{
	snprintf(path, size, MEMORY "/memory%llu/%s", (unsigned long long)block->number, name);
	return path;
}
