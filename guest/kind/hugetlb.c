// SPDX-License-Identifier: GPL-2.0-only
/* Private memory in hugetlb pages of the default size, from the pool of its node. */
#include "pinholder/holding.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "file.h"
#include "pinholder/settings.h"
#include "pinholder/space.h"

static struct {
	size_t bytes;		/* of one page */
	uint64_t before;	/* pages that the pool is to have, of those it has */
} hugetlb;

/* A file of the pool: of one node, or of the machine. */
static const char *hugetlb_file(const struct holding *holding, const char *name, char *path,
				size_t size)
{
	if (holding->node < 0)
		snprintf(path, size, "/sys/kernel/mm/hugepages/hugepages-%zukB/%s",
			 hugetlb.bytes >> 10, name);
	else
		snprintf(path, size, "/sys/devices/system/node/node%d/hugepages/hugepages-%zukB/%s",
			 holding->node, hugetlb.bytes >> 10, name);
	return path;
}

static int hugetlb_read(const struct holding *holding, const char *name, uint64_t *value,
			struct failure *why)
{
	char path[128], text[32];
	ssize_t length;

	length = read_text(hugetlb_file(holding, name, path, sizeof(path)), text, sizeof(text));
	if (length < 0)
		return unsupported(why, (int)-length, "read(%s)", path);
	*value = strtoull(text, NULL, 10);
	return 0;
}

/* The pages of the pool but for those that go when they are freed: what one writes to it. */
static int hugetlb_persistent(const struct holding *holding, uint64_t *pages, struct failure *why)
{
	uint64_t surplus;

	if (hugetlb_read(holding, "nr_hugepages", pages, why) < 0 ||
	    hugetlb_read(holding, "surplus_hugepages", &surplus, why) < 0)
		return -1;
	*pages -= surplus;
	return 0;
}

static int hugetlb_grow(const struct holding *holding, uint64_t pages, struct failure *why)
{
	char path[128], value[24], before[24];

	snprintf(value, sizeof(value), "%" PRIu64, hugetlb.before + pages);
	snprintf(before, sizeof(before), "%" PRIu64, hugetlb.before);
	hugetlb_file(holding, "nr_hugepages", path, sizeof(path));
	if (settings_add(path, value, before, why) < 0 || settings_keep(why) < 0)
		return -1;
	return settings_change(why);
}

/* The default size, which mmap() takes without asking for one. */
static int hugetlb_size(struct failure *why)
{
	char *text, *at;
	ssize_t length = read_whole("/proc/meminfo", &text);

	if (length < 0)
		return failed(why, (int)-length, "read(/proc/meminfo)");
	at = strstr(text, "Hugepagesize:");
	hugetlb.bytes = at ? strtoull(at + strlen("Hugepagesize:"), NULL, 10) << 10 : 0;
	free(text);
	if (!hugetlb.bytes) {
		unsupported(why, ENOENT, "read(/proc/meminfo): Hugepagesize");
		return advise(why, "this takes CONFIG_HUGETLBFS");
	}
	return 0;
}

static int hugetlb_map(struct holding *holding, struct failure *why)
{
	uint64_t idle, wanted;

	if (hugetlb_size(why) < 0)
		return -1;
	if (holding->size_bytes % hugetlb.bytes) {
		failed(why, EINVAL, "%zu bytes of huge pages", holding->size_bytes);
		return advise(why, "a huge page has %zu bytes: use a multiple", hugetlb.bytes);
	}
	wanted = holding->size_bytes / hugetlb.bytes;
	if (hugetlb_persistent(holding, &hugetlb.before, why) < 0 ||
	    hugetlb_read(holding, "free_hugepages", &idle, why) < 0)
		return -1;
	if (idle < wanted && (hugetlb_grow(holding, wanted - idle, why) < 0 ||
			      hugetlb_read(holding, "free_hugepages", &idle, why) < 0))
		return -1;
	if (idle < wanted)
		return failed(why, ENOMEM, "only %" PRIu64 " of %" PRIu64 " huge pages", idle,
			      wanted);
	if (reserve_addresses(holding, hugetlb.bytes, why) < 0)
		return -1;
	if (mmap(holding->address, holding->size_bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_FIXED, -1, 0) == MAP_FAILED)
		return failed(why, errno, "mmap(%zu bytes, MAP_HUGETLB)", holding->size_bytes);
	return 0;
}

/*
 * The pool shrinks to what it was at once: its pages that are in use become surplus
 * (set_max_hugepages(), mm/hugetlb.c) and leave it whenever and on whatever node they are freed.
 * Were it left to the release, those that a pin had moved would stay in another node's pool.
 */
static int hugetlb_settle(struct holding *holding, struct failure *why)
{
	uint64_t pages;

	if (settings_restore(why) < 0 || hugetlb_persistent(holding, &pages, why) < 0)
		return -1;
	if (pages != hugetlb.before)
		return failed(why, 0, "a pool of %" PRIu64 " huge pages, not of %" PRIu64, pages,
			      hugetlb.before);
	return 0;
}

static void hugetlb_report(const struct holding *holding, struct json *json)
{
	(void)holding;
	json_uint(json, "unit_bytes", hugetlb.bytes);
}

const struct memory_kind kind_hugetlb = {
	.name = "hugetlb",
	.summary = "private memory in hugetlb pages of the node's pool",
	.map = hugetlb_map,
	.settle = hugetlb_settle,
	.report = hugetlb_report,
};
