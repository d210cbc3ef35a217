// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds the page cache of a FUSE file whose READ gets no answer: its folios stay locked. Who is to
 * move such a folio sleeps on its lock, and no signal ends that (mm/migrate.c, MIGRATE_SYNC).
 */
#include "pinholder/holding.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "pinholder/frames.h"
#include "pinholder/node.h"
#include "pinholder/pages.h"
#include "pinholder/withheld.h"

/* READ comes at once; that it does not come at all is a failure, after this long. */
#define FUSE_LOCKED_MS 10000

static struct {
	struct withheld withheld;
	pid_t server;
	int told;
	int file;
	int node;
	pthread_t reader;
	struct failure why;	/* of the reader */
} fuse_locked = { .file = -1 };

static int fuse_locked_setup(struct holding *holding, struct failure *why)
{
	fuse_locked.node = holding->node;
	if (holding->node < 0) {
		failed(why, EINVAL, "finding locked pages of no node in particular");
		return advise(why, "say which one with --node");
	}
	if (withheld_open(&fuse_locked.withheld, why) < 0)
		return -1;
	fuse_locked.server = withheld_serve_in_child(&fuse_locked.withheld, &fuse_locked.told, why);
	if (fuse_locked.server < 0)
		return -1;
	fuse_locked.file = open(fuse_locked.withheld.file, O_RDONLY | O_CLOEXEC);
	if (fuse_locked.file < 0)
		return failed(why, errno, "open(%s)", fuse_locked.withheld.file);
	return 0;
}

/* Its pages come from the node; it sleeps until the connection ends. */
static void *fuse_locked_read(void *unused)
{
	char byte;

	(void)unused;
	if (node_bind_thread(fuse_locked.node, &fuse_locked.why) == 0 &&
	    pread(fuse_locked.file, &byte, 1, 0) >= 0)
		failed(&fuse_locked.why, 0, "pread(FUSE file): it was answered");
	return NULL;
}

static int fuse_locked_places(const struct holding *holding, struct page_places *places,
			      struct failure *why)
{
	return find_node_locked(holding->node, holding->page_size_bytes, places, why);
}

static void fuse_locked_hold(struct holding *holding, struct hold_result *result)
{
	struct pollfd told = { .fd = fuse_locked.told, .events = POLLIN };
	struct page_places places = { 0 };
	size_t i;

	result->error = pthread_create(&fuse_locked.reader, NULL, fuse_locked_read, NULL);
	if (!result->error && poll(&told, 1, FUSE_LOCKED_MS) != 1)
		result->error = fuse_locked.why.error ? fuse_locked.why.error : ETIMEDOUT;
	if (!result->error && fuse_locked_places(holding, &places, &fuse_locked.why) < 0)
		result->error = fuse_locked.why.error;
	result->result = result->error ? -1 : 0;
	for (i = 0; i < places.runs.count; i++)
		result->pages += places.runs.run[i].count;
	runs_free(&places.runs);
}

static int fuse_locked_release(struct holding *holding, struct failure *why)
{
	int error;

	(void)holding;
	if (withheld_end_child(&fuse_locked.withheld, fuse_locked.server, why) < 0)
		return -1;
	error = pthread_join(fuse_locked.reader, NULL);
	if (error)
		return failed(why, error, "pthread_join(reader)");
	/* Closing asks the server too, which is gone: ENOTCONN. */
	if ((close(fuse_locked.file) < 0 && errno != ENOTCONN) || close(fuse_locked.told) < 0)
		return failed(why, errno, "close(FUSE file)");
	return 0;
}

const struct hold_path hold_fuse_locked = {
	.name = "fuse_locked",
	.summary = "page cache of a FUSE file whose READ gets no answer: locked folios",
	.call = "pread(FUSE file)",
	.own_memory = true,
	.setup = fuse_locked_setup,
	.hold = fuse_locked_hold,
	.release = fuse_locked_release,
	.places = fuse_locked_places,
};
