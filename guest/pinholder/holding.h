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
	bool unsupported;	/* this kernel or machine has not what the call takes */
	char advice[256];
};

/* Fills in what failed and returns -1, so that callers can write `return failed(...)`. */
int failed(struct failure *why, int error, const char *call, ...)
	__attribute__((format(printf, 3, 4)));
/*
 * The same, where the answer says that this kernel or this machine cannot do it at all (a file
 * that is not there, ENOSYS, EOPNOTSUPP): no failure of pinholder's, but a finding.
 */
int unsupported(struct failure *why, int error, const char *call, ...)
	__attribute__((format(printf, 3, 4)));
/* Adds what the user can do about it; returns -1 too. */
int advise(struct failure *why, const char *advice, ...) __attribute__((format(printf, 2, 3)));

struct holding;
struct page_places;

/* What the kernel answered to the call that holds. */
struct hold_result {
	long result;	/* of the call, -1 if it was refused */
	int error;	/* errno if it was refused, else 0 */
	size_t pages;	/* held now */
	size_t first_page;	/* of the memory, where those begin */
};

/*
 * A way to hold pages. setup, hold and release are required.
 *
 * Everything static in a way's file (as in a kind's or a trick's) begins with the way's name:
 * several parts may be put into one file, for a report of a bug.
 */
struct hold_path {
	const char *name;
	const char *summary;
	const char *call;	/* the call that holds, as the "hold" event names it */
	/*
	 * The way holds pages that it makes itself: there is no memory of the holder's own, kind
	 * and address are of no concern, and places says where the held pages are.
	 */
	bool own_memory;
	/*
	 * Makes what the way needs, before there is memory; 0 or -1. What it made is to be gone
	 * when the process ends, whether or not release is called.
	 */
	int (*setup)(struct holding *holding, struct failure *why);
	/*
	 * Holds the first hold_bytes of the memory, or as much as the way can. A refused hold
	 * keeps nothing. Where the call never returns while it holds (it sleeps in the kernel), a
	 * thread or a child makes it, and hold returns once the pages are held.
	 */
	void (*hold)(struct holding *holding, struct hold_result *result);
	/* Lets go; when it returns, no page is held any more. Only called after a hold. */
	int (*release)(struct holding *holding, struct failure *why);
	/* Where the held pages are, in order; own_memory only. 0 or -1. */
	int (*places)(const struct holding *holding, struct page_places *places,
		      struct failure *why);
	/* Adds members of its own to the "hold" event; may be NULL. */
	void (*report)(const struct holding *holding, struct json *json);
};

/* A kind of memory. map is required. */
struct memory_kind {
	const char *name;
	const char *summary;
	/*
	 * Sets holding->address to size_bytes of readable and writable addresses, without pages
	 * as yet: they come when the pattern is written, after the memory was bound to a node.
	 * The addresses come from reserve_addresses() (space.h), mapped over with MAP_FIXED.
	 */
	int (*map)(struct holding *holding, struct failure *why);
	/* Every page has the same contents. */
	bool uniform;
	/* Once the pattern is written: makes the pages what the kind says; may be NULL. 0 or -1. */
	int (*settle)(struct holding *holding, struct failure *why);
	/* Once the pages are held; may be NULL. 0 or -1. */
	int (*held)(struct holding *holding, struct failure *why);
	/*
	 * Takes back what map, settle and held made beside the memory, after the pages were let
	 * go, or were not held; may be NULL. A process that is killed does not come here.
	 */
	int (*release)(struct holding *holding, struct failure *why);
	/* Adds members of its own to the "memory" event; may be NULL. */
	void (*report)(const struct holding *holding, struct json *json);
};

enum trick_point {
	BEFORE_SETUP,		/* nothing is made yet: what is forked here shares no page */
	AFTER_MAP,		/* addresses, but no pages */
	AFTER_MEMORY,		/* every page is there, none is held */
	BEFORE_ATTEMPT,		/* where they are was told; next comes the call that holds */
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
	const char *unmapped_by;	/* what took the addresses away, or NULL */
	int file;			/* whose pages the memory is, at offset 0; -1: no file's */
	bool watched;			/* by a process that tells what becomes of this one */
	bool leaves;			/* instead of a release the process is to end */
	int leaves_by;			/* a signal; 0: by itself */
	void *way_state;		/* the way's own */
	void *kind_state;		/* the kind's own */
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
