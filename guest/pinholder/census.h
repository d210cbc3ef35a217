/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel says of each page: /proc/kpageflags and /proc/kpagecount, counted. */
#ifndef PINHOLE_CENSUS_H
#define PINHOLE_CENSUS_H

#include "json.h"
#include "pages.h"

/* How many of the pages have a flag, KPF_LRU and so on; 0 or -1. */
int count_flagged(const struct page_places *places, unsigned int flag, uint64_t *pages,
		  struct failure *why);

/*
 * Adds "flags" (by name, how many of the pages have it) and "mapcounts" (how often a page is
 * mapped, and how many pages are mapped so often) to an event; null where they cannot be read.
 */
void say_census(const struct page_places *places, struct json *json);

#endif
