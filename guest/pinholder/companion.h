/* SPDX-License-Identifier: GPL-2.0-only */
/* A process that does nothing but share the holder's memory, until the holder ends. */
#ifndef PINHOLE_COMPANION_H
#define PINHOLE_COMPANION_H

#include <sys/types.h>

#include "holding.h"

/* Forks it; its process id, or -1. It ends with the holder, however that ends. */
pid_t companion_start(struct failure *why);
/* Ends it and waits for its end; 0 or -1. */
int companion_end(pid_t pid, struct failure *why);

#endif
