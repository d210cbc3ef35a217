// SPDX-License-Identifier: GPL-2.0-only
/* Private anonymous memory in folios of 16 pages (mTHP, since 6.8). */
#include "pinholder/holding.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "file.h"
#include "pinholder/space.h"

#define MTHP_PAGES 16

/* The size's own switch, and what stood in it. */
static struct {
	char path[96];
	char before[16];
} mthp;

/* The word in brackets is the one that is in force. */
static int mthp_chosen(const char *text, char *word, size_t size)
{
	const char *begin = strchr(text, '['), *end = begin ? strchr(begin, ']') : NULL;

	if (!end || (size_t)(end - begin) > size)
		return -1;
	memcpy(word, begin + 1, (size_t)(end - begin - 1));
	word[end - begin - 1] = '\0';
	return 0;
}

static int mthp_map(struct holding *holding, struct failure *why)
{
	size_t bytes = MTHP_PAGES * holding->page_size_bytes;
	char text[64];
	ssize_t length;
	int error;

	snprintf(mthp.path, sizeof(mthp.path),
		 "/sys/kernel/mm/transparent_hugepage/hugepages-%zukB/enabled", bytes >> 10);
	length = read_text(mthp.path, text, sizeof(text));
	if (length < 0) {
		unsupported(why, (int)-length, "read(%s)", mthp.path);
		return advise(why, "this takes 6.8 or later, with CONFIG_TRANSPARENT_HUGEPAGE");
	}
	if (mthp_chosen(text, mthp.before, sizeof(mthp.before)) < 0)
		return failed(why, EINVAL, "read(%s): '%.40s'", mthp.path, text);
	if (holding->size_bytes % bytes)
		return failed(why, EINVAL, "%zu bytes in folios of %zu", holding->size_bytes,
			      bytes);
	error = write_text(mthp.path, "madvise");
	if (error)
		return failed(why, error, "write(%s)", mthp.path);
	if (reserve_addresses(holding, bytes, why) < 0)
		return -1;
	if (mmap(holding->address, holding->size_bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		return failed(why, errno, "mmap(%zu bytes, MAP_ANONYMOUS)", holding->size_bytes);
	if (madvise(holding->address, holding->size_bytes, MADV_HUGEPAGE) < 0)
		return unsupported(why, errno, "madvise(MADV_HUGEPAGE)");
	return 0;
}

/* A huge page of the PMD's size would come first, were it left on for this memory. */
static int mthp_release(struct holding *holding, struct failure *why)
{
	int error = write_text(mthp.path, mthp.before);

	(void)holding;
	return error ? failed(why, error, "write(%s)", mthp.path) : 0;
}

static void mthp_report(const struct holding *holding, struct json *json)
{
	json_uint(json, "unit_bytes", MTHP_PAGES * holding->page_size_bytes);
}

const struct memory_kind kind_mthp = {
	.name = "mthp",
	.summary = "private anonymous memory in folios of 16 pages (mTHP)",
	.map = mthp_map,
	.release = mthp_release,
	.report = mthp_report,
};
