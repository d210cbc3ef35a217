/* SPDX-License-Identifier: GPL-2.0-only */
/* Where pages are: page frame numbers, run-length coded, from /proc/self/pagemap. */
#ifndef PINHOLE_PAGES_H
#define PINHOLE_PAGES_H

#include <stddef.h>
#include <stdint.h>

#include "holding.h"
#include "json.h"

#define PFN_ABSENT UINT64_MAX

/*
 * count pages in virtual order: pfn, pfn + step, pfn + 2 * step, ... with a step of 1, -1 or
 * 0 (one frame mapped many times); for PFN_ABSENT, count pages that are not there.
 */
struct run {
	uint64_t pfn;
	uint64_t count;
	int step;
};

struct runs {
	struct run *run;
	size_t count;
	size_t room;
};

/* 0 or ENOMEM. */
int runs_add(struct runs *runs, uint64_t pfn);
/* [pfn,count,step], or [null,count,0] for absent pages. */
void runs_json(const struct runs *runs, struct json *json, const char *key);
void runs_free(struct runs *runs);

struct page_places {
	struct runs runs;
	uint64_t absent;	/* neither present nor in swap: never touched, or being moved */
	uint64_t swapped;
	uint64_t hidden;	/* present, but the kernel does not say where: CAP_SYS_ADMIN lacks */
};

int find_pages(const struct holding *holding, struct page_places *places, struct failure *why);

#endif
