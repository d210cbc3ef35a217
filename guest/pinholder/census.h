/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel says of each page: /proc/kpageflags and /proc/kpagecount, counted. */
#ifndef PINHOLE_CENSUS_H
#define PINHOLE_CENSUS_H

#include "json.h"
#include "pages.h"

/*
 * Adds "flags" (by name, how many of the pages have it) and "mapcounts" (how often a page is
 * mapped, and how many pages are mapped so often) to an event; null where they cannot be read.
 */
void say_census(const struct page_places *places, struct json *json);

#endif
