/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A call that the kernel cannot finish: it needs the page behind the holder's memory, which is
 * missing, and whose fault this process does not answer (userfaultfd).
 */
#ifndef PINHOLE_STALL_H
#define PINHOLE_STALL_H

#include "holding.h"

struct stall {
	void *page;		/* the missing one, at the end of the memory */
	int faults;		/* userfaultfd */
	int done[2];		/* a pipe: a byte comes when the call has returned */
	unsigned long thread;
	void (*call)(struct holding *holding, struct hold_result *result);
	struct holding *holding;
	struct hold_result result;	/* of the call, once it has returned */
};

/* Before there is memory; 0 or -1. */
int stall_prepare(struct stall *stall, struct failure *why);
/*
 * Makes the call in a thread. 0: it sleeps on the missing page now. Else it returned early, with
 * that errno (EALREADY where it succeeded, and needed no page behind the memory).
 */
int stall_begin(struct stall *stall, struct holding *holding,
		void (*call)(struct holding *holding, struct hold_result *result));
/* Answers the fault and waits for the call's end: its result is in stall->result; 0 or -1. */
int stall_end(struct stall *stall, struct failure *why);

#endif
