// SPDX-License-Identifier: GPL-2.0-only
/* Private memory that is held first, and then shared with a forked child, copy on write. */
#include "pinholder/holding.h"

#include "pinholder/companion.h"

extern const struct memory_kind kind_anonymous;

static pid_t cow_parent_child;

static int cow_parent_map(struct holding *holding, struct failure *why)
{
	return kind_anonymous.map(holding, why);
}

static int cow_parent_held(struct holding *holding, struct failure *why)
{
	(void)holding;
	cow_parent_child = companion_start(why);
	return cow_parent_child < 0 ? -1 : 0;
}

static int cow_parent_release(struct holding *holding, struct failure *why)
{
	(void)holding;
	return cow_parent_child > 0 ? companion_end(cow_parent_child, why) : 0;
}

const struct memory_kind kind_cow_parent = {
	.name = "cow_parent",
	.summary = "private memory that is held first, and then shared with a forked child",
	.map = cow_parent_map,
	.held = cow_parent_held,
	.release = cow_parent_release,
};
