// SPDX-License-Identifier: GPL-2.0-only
/* No memory of the holder's: the way makes the pages that it holds. */
#include "pinholder/holding.h"

static int own_map(struct holding *holding, struct failure *why)
{
	(void)holding;
	(void)why;
	return 0;
}

const struct memory_kind kind_own = {
	.name = "own",
	.summary = "what the way makes itself: pages of the page cache, of a driver",
	.map = own_map,
};
