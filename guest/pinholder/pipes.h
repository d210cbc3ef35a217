/* SPDX-License-Identifier: GPL-2.0-only */
/* Pages in pipes that nobody reads: each holds a plain reference (FOLL_GET) to its page. */
#ifndef PINHOLE_PIPES_H
#define PINHOLE_PIPES_H

#include <stddef.h>

#include "holding.h"

struct pipes {
	int (*pipes)[2];
	size_t count;
	size_t room;
	size_t taken_bytes;	/* by all pipes together */
	size_t pipe_bytes;	/* the capacity to ask for */
};

/* Raises the limit of open files to what may be had without a privilege; 0 or -1. */
int pipes_prepare(struct pipes *pipes, size_t page_size_bytes, struct failure *why);
/* References all of length bytes (whole pages) at address; 0, or an errno with some taken. */
int pipes_take(struct pipes *pipes, const void *address, size_t length);
/* References the page cache of a file's first length bytes; 0, or an errno with some taken. */
int pipes_take_file(struct pipes *pipes, int file, size_t length);
/* Copies the references of the first pipe into one more; 0 or an errno. */
int pipes_tee(struct pipes *pipes);
/* Lets go of every page. taken_bytes stays, for reports. */
void pipes_close(struct pipes *pipes);

#endif
