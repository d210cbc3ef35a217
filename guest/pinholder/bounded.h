/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A hold with a budget: the holder lives in a child, and the call that holds is killed with it
 * when it has not returned in time.
 *
 * The child is forked before there is any memory, for what is forked later shares its pages.
 */
#ifndef PINHOLE_BOUNDED_H
#define PINHOLE_BOUNDED_H

#include "life.h"
#include "task.h"

/* In memory that both share; began and ended are times of the boot's clock, 0 until then. */
struct attempt {
	_Atomic double began;
	_Atomic double ended;
	/* When the process was about to end, holding pages: its end is its release then. */
	_Atomic double leaving;
};

/*
 * Lives live() in a child and returns its exit status. Where the child was killed in the
 * call that holds, says so, plays AFTER_ATTEMPT, waits to be told to let go, and returns
 * EXIT_KILLED.
 */
int live_bounded(struct life *life, double budget, double grace, int (*live)(struct life *));

#endif
