// SPDX-License-Identifier: GPL-2.0-only
/* Private memory that a forked child shares, copy on write, before it is held. */
#include "pinholder/holding.h"

#include <stdint.h>

#include "pinholder/census.h"
#include "pinholder/companion.h"

extern const struct memory_kind kind_anonymous;

static pid_t cow_child;

static int cow_child_map(struct holding *holding, struct failure *why)
{
	return kind_anonymous.map(holding, why);
}

static int cow_child_settle(struct holding *holding, struct failure *why)
{
	uint64_t pages;

	cow_child = companion_start(why);
	if (cow_child < 0 || count_mapped(holding, 2, &pages, why) < 0)
		return -1;
	return require_all(holding, pages, "shared with the child", why);
}

static int cow_child_release(struct holding *holding, struct failure *why)
{
	(void)holding;
	return cow_child > 0 ? companion_end(cow_child, why) : 0;
}

const struct memory_kind kind_cow_child = {
	.name = "cow_child",
	.summary = "private memory that a forked child shares before it is held",
	.map = cow_child_map,
	.settle = cow_child_settle,
	.release = cow_child_release,
};
