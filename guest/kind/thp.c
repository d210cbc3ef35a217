// SPDX-License-Identifier: GPL-2.0-only
/* Private anonymous memory in transparent huge pages, each mapped by one PMD. */
#include "pinholder/holding.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "file.h"
#include "pinholder/census.h"
#include "pinholder/space.h"

#define THP_SIZE "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"

static size_t thp_bytes;

static int thp_map(struct holding *holding, struct failure *why)
{
	char text[32];
	ssize_t length = read_text(THP_SIZE, text, sizeof(text));

	if (length < 0)
		return unsupported(why, (int)-length, "read(" THP_SIZE ")");
	thp_bytes = strtoull(text, NULL, 10);
	if (!thp_bytes || thp_bytes & (thp_bytes - 1))
		return failed(why, EINVAL, "read(" THP_SIZE "): '%.20s'", text);
	if (holding->size_bytes % thp_bytes) {
		failed(why, EINVAL, "%zu bytes of huge pages", holding->size_bytes);
		return advise(why, "a huge page has %zu bytes: use a multiple", thp_bytes);
	}
	if (reserve_addresses(holding, thp_bytes, why) < 0)
		return -1;
	if (mmap(holding->address, holding->size_bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		return failed(why, errno, "mmap(%zu bytes, MAP_ANONYMOUS)", holding->size_bytes);
	if (madvise(holding->address, holding->size_bytes, MADV_HUGEPAGE) < 0)
		return unsupported(why, errno, "madvise(MADV_HUGEPAGE)");
	return 0;
}

/* Where no huge page was free the kernel took small ones without a word. */
static int thp_settle(struct holding *holding, struct failure *why)
{
	uint64_t pages;

	if (count_in_memory(holding, KPF_THP, &pages, why) < 0)
		return -1;
	return require_all(holding, pages, "in huge pages", why);
}

static void thp_report(const struct holding *holding, struct json *json)
{
	(void)holding;
	json_uint(json, "unit_bytes", thp_bytes);
}

const struct memory_kind kind_thp = {
	.name = "thp",
	.summary = "private anonymous memory in transparent huge pages",
	.map = thp_map,
	.settle = thp_settle,
	.report = thp_report,
};
