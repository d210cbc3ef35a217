/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Taking back what the kernel would keep beyond this process: a setting, a swap area.
 *
 * A process of its own does it, when it is told to or when this one is gone, however it went.
 */
#ifndef PINHOLE_UNDO_H
#define PINHOLE_UNDO_H

#include <sys/types.h>

#include "holding.h"

struct undo {
	pid_t watcher;		/* 0: there is none */
	int order;		/* a pipe; a byte is the order */
};

/*
 * From here on action is sure to be called, in the watcher, which is a fork of this process
 * as it is now: call it before there is memory, which would be shared with the watcher. It returns
 * 0 or an errno, and finds what it is to undo done, half done or not done. 0 or -1.
 */
int undo_later(struct undo *undo, int (*action)(void), struct failure *why);
/* Orders it and waits for it; what names it should it fail. 0 or -1; 0 where there is none. */
int undo_now(struct undo *undo, const char *what, struct failure *why);

#endif
