// SPDX-License-Identifier: GPL-2.0-only
/* Pins the memory once more when it is held: both must be let go before it can leave. */
#include "pinholder/holding.h"

#include "pinholder/second.h"

static struct holding double_pin_second;

static int double_pin_hold(struct holding *holding, struct failure *why)
{
	return second_hold(&double_pin_second, holding, why);
}

static int double_pin_release(struct holding *holding, struct failure *why)
{
	(void)holding;
	return second_release(&double_pin_second, why);
}

const struct trick trick_double_pin = {
	.name = "double-pin",
	.summary = "pin the memory once more, as an io_uring fixed buffer, when it is held",
	.call = "io_uring_register(IORING_REGISTER_BUFFERS)",
	.at = { [AFTER_HOLD] = double_pin_hold, [BEFORE_RELEASE] = double_pin_release },
};
