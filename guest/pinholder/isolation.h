/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An offliner that sleeps for good, with every page of a memory block isolated.
 *
 * A process of its own does it all: it serves the file whose folio stays locked, and starts who
 * reads that file and who writes "offline". It undoes all when it is told to, or when everybody
 * who could tell it has ended.
 */
#ifndef PINHOLE_ISOLATION_H
#define PINHOLE_ISOLATION_H

#include <sys/types.h>

#include "frames.h"
#include "holding.h"
#include "task.h"

struct isolation_order {
	bool undo;		/* else: isolate */
	int node;
	struct block block;
	uint64_t pages;		/* of the block that have to be isolated */
};

struct isolation_report {
	bool failed;
	struct failure why;
	uint64_t block;			/* its number */
	uint64_t pages;			/* of the holder in it */
	long long isolated_before;	/* nr_isolated_anon of the node */
	long long isolated;
	uint64_t locked_pfn;		/* the highest of them */
	uint64_t locked_pages;
	uint64_t readers;		/* that it took to have one in the block */
	bool offliner_ended;
	int offliner_error;		/* what its write returned, once it has ended */
	struct task_place offliner;	/* where it sleeps */
};

/* The whole life of the helper: orders come and reports go through socket. */
void isolation_serve(int socket) __attribute__((noreturn));

/* nr_isolated_anon of a node, or -1. */
long long count_isolated(int node, struct failure *why);

#endif
