/* SPDX-License-Identifier: GPL-2.0-only */
/* Direct I/O between the holder's memory and a file, begun and not waited for (Linux AIO). */
#ifndef PINHOLE_DIRECT_H
#define PINHOLE_DIRECT_H

#include <linux/aio_abi.h>

#include "holding.h"

struct direct {
	aio_context_t context;
	struct iocb *requests;
	size_t count;		/* begun, and not ended yet */
};

/* Before there is memory; 0 or -1 (unsupported without CONFIG_AIO). */
int direct_prepare(struct direct *direct, const struct holding *holding, struct failure *why);
/*
 * Begins to write the memory's first hold_bytes to file (opened with O_DIRECT), or to read it
 * from there; 0, or an errno with the pieces before it begun.
 */
int direct_begin(struct direct *direct, const struct holding *holding, int file, bool write);
/* Waits until all of it has ended, well or not; 0 or -1. */
int direct_end(struct direct *direct, struct failure *why);

#endif
