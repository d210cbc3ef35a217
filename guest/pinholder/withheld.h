/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A file whose pages stay locked: a FUSE server that answers everything except READ.
 *
 * Whoever reads the file sleeps, and the folio that was to be filled stays locked until the
 * connection ends (fs/fuse/file.c). The server is this process: withheld_serve() has to be called
 * while others open the file.
 */
#ifndef PINHOLE_WITHHELD_H
#define PINHOLE_WITHHELD_H

#include <stddef.h>
#include <sys/types.h>

#include "holding.h"

#define WITHHELD_BYTES ((size_t)64 << 20)
/* How far the kernel reads ahead of a reader: so many bytes lie between two offsets in use. */
#define WITHHELD_STEP_BYTES ((size_t)1 << 20)

struct withheld {
	int device;		/* /dev/fuse; -1: no server */
	bool mounted;
	char file[80];
	bool writes;		/* WRITE gets no answer, instead of READ */
	size_t withheld;	/* requests that got no answer */
};

/* Mounts it, in a mount namespace of this process's own; 0 or -1. */
int withheld_open(struct withheld *withheld, struct failure *why);
/* The same with WRITE instead of READ: what is written stays in page cache (writeback_cache). */
int withheld_open_for_writing(struct withheld *withheld, struct failure *why);
/* Answers what comes for so many seconds, then returns; 0 or -1. */
int withheld_serve(struct withheld *withheld, double seconds, struct failure *why);
/*
 * Serves it in a child, which ends with this process, and with it the connection. Each request that
 * gets no answer is told by a byte that can be read from *told. The child's process id, or -1.
 */
pid_t withheld_serve_in_child(struct withheld *withheld, int *told, struct failure *why);
/* Ends the child, and so the connection, and takes the mount away; 0 or -1. */
int withheld_end_child(struct withheld *withheld, pid_t child, struct failure *why);
/* Ends the connection, which unlocks every page, and takes the mount away. */
void withheld_close(struct withheld *withheld);

#endif
