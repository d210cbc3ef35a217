/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a run of pinholder is made of: a way to hold, a kind of memory, tricks.
 *
 * A new way is one file in hold/ that defines a struct hold_path, and one row in
 * pinholder/tables.c; kinds (kind/) and tricks (trick/) likewise.
 */
#ifndef PINHOLE_HOLDING_H
#define PINHOLE_HOLDING_H

#include <stdbool.h>
#include <stddef.h>

#include "json.h"

#define MAX_TRICKS 8

/* Which call failed, and how; advice may be empty. */
struct failure {
	char call[128];
	int error;
	char advice[256];
};

/* Fills in what failed and returns -1, so that callers can write `return failed(...)`. */
int failed(struct failure *why, int error, const char *call, ...)
	__attribute__((format(printf, 3, 4)));
/* Adds what the user can do about it; returns -1 too. */
int advise(struct failure *why, const char *advice, ...) __attribute__((format(printf, 2, 3)));

struct holding;

/* What the kernel answered to the call that holds. */
struct hold_result {
	long result;	/* of the call, -1 if it was refused */
	int error;	/* errno if it was refused, else 0 */
	size_t pages;	/* held now */
};

/* A way to hold pages. All hooks but report are required. */
struct hold_path {
	const char *name;
	const char *summary;
	const char *call;	/* the call that holds, as the "hold" event names it */
	/* Makes what the way needs, before there is memory; 0 or -1. */
	int (*setup)(struct holding *holding, struct failure *why);
	/* Holds the first hold_bytes of the memory. A refused hold keeps nothing. */
	void (*hold)(struct holding *holding, struct hold_result *result);
	/* Lets go; when it returns, no page is held any more. Only called after a hold. */
	int (*release)(struct holding *holding, struct failure *why);
	/* Adds members of its own to the "hold" event; may be NULL. */
	void (*report)(const struct holding *holding, struct json *json);
};

/* A kind of memory. */
struct memory_kind {
	const char *name;
	const char *summary;
	/*
	 * Sets holding->address to size_bytes of readable and writable addresses, without pages
	 * as yet: they come when the pattern is written, after the memory was bound to a node.
	 */
	int (*map)(struct holding *holding, struct failure *why);
};

enum trick_point {
	BEFORE_SETUP,		/* nothing is made yet: what is forked here shares no page */
	AFTER_MAP,		/* addresses, but no pages */
	AFTER_MEMORY,		/* every page is there, none is held */
	/*
	 * The call that holds has ended: with success, refused, or because its process was
	 * killed. Then the hook runs in another process, forked after BEFORE_SETUP.
	 */
	AFTER_ATTEMPT,
	AFTER_HOLD,		/* held, and the PFNs are taken; not reached when refused */
	BEFORE_RELEASE,		/* told to let go, still held */
	AFTER_RELEASE,		/* let go, the memory is still mapped */
	TRICK_POINTS
};

/* Something done besides, at one or more points. */
struct trick {
	const char *name;
	const char *summary;
	const char *call;
	int (*at[TRICK_POINTS])(struct holding *holding, struct failure *why);
	/* Adds members of its own to the "trick" event of point; may be NULL. */
	void (*report)(enum trick_point point, struct json *json);
};

struct holding {
	const struct hold_path *way;
	const struct memory_kind *kind;
	const struct trick *tricks[MAX_TRICKS];
	size_t trick_count;
	size_t size_bytes;
	size_t hold_bytes;
	int node;			/* -1: wherever the kernel puts it */

	size_t page_size_bytes;
	unsigned char *address;		/* NULL until mapped */
	const char *unmapped_by;	/* the trick that took the addresses away, or NULL */
	void *way_state;		/* the way's own */
};

/* tables.c: each ends with a NULL row. */
extern const struct hold_path *const hold_paths[];
extern const struct memory_kind *const memory_kinds[];
extern const struct trick *const tricks[];
extern const char *const trick_point_names[TRICK_POINTS];

const struct hold_path *find_hold_path(const char *name);
const struct memory_kind *find_memory_kind(const char *name);
const struct trick *find_trick(const char *name);

#endif
