/* SPDX-License-Identifier: GPL-2.0-only */
/* NUMA nodes: what one has, binding to it, and where pages ended up. */
#ifndef PINHOLE_NODE_H
#define PINHOLE_NODE_H

#include <stdint.h>

#include "holding.h"

#define MAX_NODES 1024	/* MAX_NUMNODES of every architecture so far */

/* What a node (or for -1 the whole machine) has, in bytes. */
struct node_memory {
	uint64_t total;
	uint64_t free;
	uint64_t usable;	/* free, less what the allocator keeps back */
};

int node_memory(int node, struct node_memory *memory, struct failure *why);
/* MPOL_BIND: the memory's pages come from its node or not at all. */
int node_bind(const struct holding *holding, struct failure *why);
/*
 * The same for all that this thread allocates from now on, as the pages of a file are, which know
 * no policy of their own; node -1: back to the default.
 */
int node_bind_thread(int node, struct failure *why);

/* Takes the memory's pages out of every CPU's batches (mm/swap.c): none has a reference there. */
int node_drain(const struct holding *holding, struct failure *why);

struct node_pages {
	size_t on[MAX_NODES];
	size_t nowhere;		/* not present, or the kernel gave an errno for the page */
};

int node_count_pages(const struct holding *holding, struct node_pages *pages, struct failure *why);

#endif
