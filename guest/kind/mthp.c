// SPDX-License-Identifier: GPL-2.0-only
/* Private anonymous memory in folios of 16 pages (mTHP, since 6.8). */
#include "pinholder/holding.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "pinholder/census.h"
#include "pinholder/settings.h"
#include "pinholder/space.h"

#define MTHP "/sys/kernel/mm/transparent_hugepage"
#define MTHP_PAGES 16

static int mthp_add(unsigned int kib, const char *value, struct failure *why)
{
	char path[96];

	snprintf(path, sizeof(path), MTHP "/hugepages-%ukB/enabled", kib);
	return settings_add(path, value, NULL, why);
}

/*
 * The folios are to be of this size and no other: a fault takes the largest that is enabled and
 * fits in, so all larger ones are off until the memory is there.
 */
static int mthp_choose(unsigned int kib, struct failure *why)
{
	DIR *sizes = opendir(MTHP);
	struct dirent *entry;
	int result = 0;
	unsigned int one;

	if (!sizes)
		return unsupported(why, errno, "opendir(" MTHP ")");
	for (errno = 0; !result && (entry = readdir(sizes)); errno = 0)
		if (sscanf(entry->d_name, "hugepages-%ukB", &one) == 1 && one > kib)
			result = mthp_add(one, "never", why);
	if (!result && errno)
		result = failed(why, errno, "readdir(" MTHP ")");
	closedir(sizes);
	if (!result && mthp_add(kib, "madvise", why) < 0)
		result = advise(why, "this takes 6.8 or later");
	return result;
}

static int mthp_map(struct holding *holding, struct failure *why)
{
	size_t bytes = MTHP_PAGES * holding->page_size_bytes;

	if (mthp_choose((unsigned int)(bytes >> 10), why) < 0)
		return -1;
	if (holding->size_bytes % bytes) {
		failed(why, EINVAL, "%zu bytes in large folios", holding->size_bytes);
		return advise(why, "a folio has %zu bytes: use a multiple", bytes);
	}
	if (settings_keep(why) < 0 || settings_change(why) < 0)
		return -1;
	if (reserve_addresses(holding, bytes, why) < 0)
		return -1;
	if (mmap(holding->address, holding->size_bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		return failed(why, errno, "mmap(%zu bytes, MAP_ANONYMOUS)", holding->size_bytes);
	if (madvise(holding->address, holding->size_bytes, MADV_HUGEPAGE) < 0)
		return unsupported(why, errno, "madvise(MADV_HUGEPAGE)");
	return 0;
}

/* KPF_THP is set for large folios of every size: their first pages tell how many there are. */
static int mthp_settle(struct holding *holding, struct failure *why)
{
	uint64_t folios = holding->size_bytes / (MTHP_PAGES * holding->page_size_bytes), heads, thp;

	if (settings_restore(why) < 0 || count_in_memory(holding, KPF_THP, &thp, why) < 0 ||
	    require_all(holding, thp, "in large folios", why) < 0 ||
	    count_in_memory(holding, KPF_COMPOUND_HEAD, &heads, why) < 0)
		return -1;
	if (heads != folios)
		return failed(why, 0, "%llu large folios where %llu of %d pages fit",
			      (unsigned long long)heads, (unsigned long long)folios, MTHP_PAGES);
	return 0;
}

static void mthp_report(const struct holding *holding, struct json *json)
{
	json_uint(json, "unit_bytes", MTHP_PAGES * holding->page_size_bytes);
}

const struct memory_kind kind_mthp = {
	.name = "mthp",
	.summary = "private anonymous memory in folios of 16 pages (mTHP)",
	.map = mthp_map,
	.settle = mthp_settle,
	.report = mthp_report,
};
