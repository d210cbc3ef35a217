/* SPDX-License-Identifier: GPL-2.0-only */
/* The life of a holder, as its parts share it. */
#ifndef PINHOLE_LIFE_H
#define PINHOLE_LIFE_H

#include <stdint.h>

#include "holding.h"

/* Everything that ends the run with status 3 comes through here. */
struct life {
	struct holding holding;
	struct failure why;
	const char *doing;
	uint64_t pattern;	/* the generation that the memory holds */
	struct attempt *attempt;	/* watched by another process (bounded.h); NULL: nobody */
};

/* Plays what the tricks do at point, an event each; 0 or -1. */
int play_tricks(struct life *life, enum trick_point point);

/* memory.c: takes the memory, after a look whether there is so much; 0 or -1. */
int take_memory(struct life *life);
/* Says where the pages are now; 0 or -1. */
int say_pages(struct life *life, const char *when);
/* Writes every page anew. */
void renew_pattern(struct life *life);
/* Says whether the pages hold what was written last; life->why then says what is wrong. */
void say_pattern(struct life *life, const char *event);

/* Waits to be told to let go, and says where the pages are whenever it is asked; 0 or -1. */
int await_release(struct life *life, const char **by);
/* {"event":"released"} */
void say_released(bool held, const char *by, double seconds);

#endif
