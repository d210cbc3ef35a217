/* SPDX-License-Identifier: GPL-2.0-only */
/* Page frames: memory blocks, and which frames of one are locked (/proc/kpageflags). */
#ifndef PINHOLE_FRAMES_H
#define PINHOLE_FRAMES_H

#include <stddef.h>
#include <stdint.h>

#include "holding.h"
#include "pages.h"

struct block {
	uint64_t number;	/* /sys/devices/system/memory/memoryN */
	uint64_t first_pfn;
	uint64_t frames;
};

/* The memory block that holds most of places' pages, and how many those are; 0 or -1. */
int find_block(const struct page_places *places, size_t page_size_bytes, struct block *block,
	       uint64_t *pages, struct failure *why);

/* The highest locked frame of block and how many are locked; *count 0: none. 0 or -1. */
int find_locked(const struct block *block, uint64_t *highest, uint64_t *count,
		struct failure *why);

/*
 * All frames of a node that have the flags with (1 << KPF_...) and not without, in ascending order;
 * 0 or -1.
 */
int find_node_flagged(int node, size_t page_size_bytes, uint64_t with, uint64_t without,
		      struct page_places *places, struct failure *why);
/* All locked frames of a node, in ascending order; 0 or -1. */
int find_node_locked(int node, size_t page_size_bytes, struct page_places *places,
		     struct failure *why);
/* A file of the block in sysfs; returns path. */
const char *block_file(const struct block *block, const char *name, char *path, size_t size);

#endif
