// SPDX-License-Identifier: GPL-2.0-only
/* The run-length code of page frame numbers. */
#include "pages.h"

#include <errno.h>
#include <stdlib.h>

/* Whether pfn goes on with run; a run of one page takes the step that fits. */
static int extends(struct run *run, uint64_t pfn)
{
	int step;

	if (run->pfn == PFN_ABSENT || pfn == PFN_ABSENT)
		return run->pfn == pfn;
	if (run->count > 1)
		return pfn == run->pfn + (uint64_t)run->step * run->count;
	for (step = 1; step >= -1; step--) {
		if (pfn == run->pfn + (uint64_t)step) {
			run->step = step;
			return 1;
		}
	}
	return 0;
}

int runs_add(struct runs *runs, uint64_t pfn)
{
	struct run *grown;

	if (runs->count && extends(&runs->run[runs->count - 1], pfn)) {
		runs->run[runs->count - 1].count++;
		return 0;
	}
	if (runs->count == runs->room) {
		grown = reallocarray(runs->run, runs->room * 2 + 64, sizeof(*grown));
		if (!grown)
			return ENOMEM;
		runs->run = grown;
		runs->room = runs->room * 2 + 64;
	}
	runs->run[runs->count++] = (struct run){ .pfn = pfn, .count = 1, .step = 1 };
	return 0;
}

void runs_json(const struct runs *runs, struct json *json, const char *key)
{
	const struct run *run;
	size_t i;

	json_array(json, key);
	for (i = 0; i < runs->count; i++) {
		run = &runs->run[i];
		json_array(json, NULL);
		if (run->pfn == PFN_ABSENT)
			json_null(json, NULL);
		else
			json_uint(json, NULL, run->pfn);
		json_uint(json, NULL, run->count);
		/* Always there: a reader must not take a lost step for the usual one. */
		json_int(json, NULL, run->pfn == PFN_ABSENT ? 0 : run->step);
		json_array_end(json);
	}
	json_array_end(json);
}

void runs_free(struct runs *runs)
{
	free(runs->run);
	runs->run = NULL;
	runs->count = 0;
	runs->room = 0;
}
