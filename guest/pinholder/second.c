// SPDX-License-Identifier: GPL-2.0-only
/* The holder's memory held once more, as an io_uring fixed buffer, whatever the way is. */
#include "second.h"

#include <string.h>

extern const struct hold_path hold_io_uring;

int second_hold(struct holding *second, const struct holding *holding, struct failure *why)
{
	struct hold_result result;

	*second = *holding;
	second->way = &hold_io_uring;
	second->way_state = NULL;
	if (second->way->setup(second, why) < 0)
		return -1;
	memset(&result, 0, sizeof(result));
	second->way->hold(second, &result);
	return result.error ? failed(why, result.error, "%s, once more", second->way->call) : 0;
}

int second_release(struct holding *second, struct failure *why)
{
	return second->way->release(second, why);
}
