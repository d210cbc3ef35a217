/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The pipe that a process dumps its core into (core(5), core_pattern "|program"), handed to this
 * process by a helper that reads nothing: the dump stops when the pipe is full.
 */
#ifndef PINHOLE_CORE_PIPE_H
#define PINHOLE_CORE_PIPE_H

#include "holding.h"
#include "undo.h"

#define CORE_PATTERN "/proc/sys/kernel/core_pattern"

struct core_pipe {
	int listener;		/* on which the helper delivers the pipe */
	struct undo undo;	/* of core_pattern */
	char name[32];		/* of the listener, among the abstract ones */
};

/* Before anything is changed; 0 or -1. */
int core_pipe_prepare(struct core_pipe *core, struct failure *why);
/* From here on all cores of this machine go into such a pipe; 0 or -1. */
int core_pipe_redirect(struct core_pipe *core, struct failure *why);
/* The end of the pipe to read from, of the first core that is dumped; -1 if there is none. */
int core_pipe_receive(struct core_pipe *core, int timeout_ms, struct failure *why);
/* Cores go again where they went before; 0 or -1. */
int core_pipe_restore(struct core_pipe *core, struct failure *why);

#endif
