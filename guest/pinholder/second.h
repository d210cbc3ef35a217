/* SPDX-License-Identifier: GPL-2.0-only */
/* The holder's memory held once more, as an io_uring fixed buffer, whatever the way is. */
#ifndef PINHOLE_SECOND_H
#define PINHOLE_SECOND_H

#include "holding.h"

/* 0 or -1. */
int second_hold(struct holding *second, const struct holding *holding, struct failure *why);
int second_release(struct holding *second, struct failure *why);

#endif
