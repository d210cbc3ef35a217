/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel says of each page: /proc/kpageflags and /proc/kpagecount, counted. */
#ifndef PINHOLE_CENSUS_H
#define PINHOLE_CENSUS_H

#include <linux/kernel-page-flags.h>

#include "json.h"
#include "pages.h"

/* The kernel's own include/linux/kernel-page-flags.h; not in the header for programs. */
#ifndef KPF_MLOCKED
#define KPF_MLOCKED 33
#endif

/* How many of the pages have a flag, KPF_LRU and so on; 0 or -1. */
int count_flagged(const struct page_places *places, unsigned int flag, uint64_t *pages,
		  struct failure *why);
/* The same of the holder's memory. */
int count_in_memory(const struct holding *holding, unsigned int flag, uint64_t *pages,
		    struct failure *why);
/* How many pages of the memory are mapped at least so often; 0 or -1. */
int count_mapped(const struct holding *holding, unsigned int times, uint64_t *pages,
		 struct failure *why);
/* 0 if pages are all of the memory's, else -1, for these are less: pages that are such. */
int require_all(const struct holding *holding, uint64_t pages, const char *such,
		struct failure *why);

/*
 * Adds "flags" (by name, how many of the pages have it) and "mapcounts" (how often a page is
 * mapped, and how many pages are mapped so often) to an event; null where they cannot be read.
 */
void say_census(const struct page_places *places, struct json *json);

#endif
