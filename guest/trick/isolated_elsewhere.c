// SPDX-License-Identifier: GPL-2.0-only
/*
 * Has the pages isolated by somebody else while they are to be held: they cannot be isolated
 * again, so they cannot be migrated, although nothing but the isolation refers to them.
 *
 * Somebody else is an offliner of their memory block. It isolates all pages of the block and
 * sleeps in MIGRATE_SYNC on a folio that a FUSE server keeps locked. References keep the pages
 * in place until it sleeps: migrate_pages() moves what it can before it waits, on 5.10 all of
 * the list, since 6.3 all of a batch of 512 pages. Then they are dropped, and what the
 * offliner has on its list stays there, free to move and isolated.
 */
#include "pinholder/holding.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pinholder/isolation.h"
#include "pinholder/pages.h"
#include "pinholder/pipes.h"
#include "pinholder/space.h"

/* Forked processes have copies; the helper is one and the same. */
static struct {
	int socket;		/* to the helper; 0: there is none */
	struct isolation_order order;
	struct isolation_report report;
} isolated_elsewhere;

static int isolated_elsewhere_start_helper(struct holding *holding, struct failure *why)
{
	int ends[2];
	pid_t helper;

	(void)holding;
	if (isolated_elsewhere.socket)
		return failed(why, EBUSY, "the trick isolated-elsewhere is given twice");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return failed(why, errno, "socketpair()");
	helper = fork();
	if (helper < 0)
		return failed(why, errno, "fork()");
	if (helper == 0) {
		close(ends[0]);
		isolation_serve(ends[1]);
	}
	close(ends[1]);
	isolated_elsewhere.socket = ends[0];
	return 0;
}

static int isolated_elsewhere_tell(struct failure *why)
{
	ssize_t got;

	if (send(isolated_elsewhere.socket, &isolated_elsewhere.order,
		 sizeof(isolated_elsewhere.order), MSG_NOSIGNAL) < 0)
		return failed(why, errno, "send(helper)");
	do
		got = recv(isolated_elsewhere.socket, &isolated_elsewhere.report,
			   sizeof(isolated_elsewhere.report), 0);
	while (got < 0 && errno == EINTR);
	if (got != (ssize_t)sizeof(isolated_elsewhere.report))
		return failed(why, got < 0 ? errno : ECHILD, "recv(helper)");
	if (!isolated_elsewhere.report.failed)
		return 0;
	*why = isolated_elsewhere.report.why;
	return -1;
}

static int isolated_elsewhere_isolate(struct holding *holding, struct failure *why)
{
	struct page_places places;
	struct pipes references;
	long long isolated;
	int error;

	if (require_addresses(holding, why) < 0)
		return -1;
	if (holding->node < 0) {
		failed(why, EINVAL, "isolating pages of no node in particular");
		return advise(why, "say which one with --node");
	}
	if (find_pages(holding, &places, why) < 0)
		return -1;
	memset(&isolated_elsewhere.order, 0, sizeof(isolated_elsewhere.order));
	isolated_elsewhere.order.node = holding->node;
	error = find_block(&places, holding->page_size_bytes, &isolated_elsewhere.order.block,
			   &isolated_elsewhere.order.pages, why);
	runs_free(&places.runs);
	if (error || pipes_prepare(&references, holding->page_size_bytes, why) < 0)
		return -1;
	error = pipes_take(&references, holding->address, holding->size_bytes);
	if (error)
		failed(why, error, "vmsplice(%zu bytes)", holding->size_bytes);
	else
		error = isolated_elsewhere_tell(why);
	pipes_close(&references);
	if (error)
		return -1;
	isolated = count_isolated(holding->node, why);
	if (isolated < 0)
		return -1;
	if (isolated < isolated_elsewhere.report.isolated)
		return failed(why, 0, "only %lld pages of %lld stayed isolated", isolated,
			      isolated_elsewhere.report.isolated);
	return 0;
}

static int isolated_elsewhere_undo(struct holding *holding, struct failure *why)
{
	(void)holding;
	isolated_elsewhere.order.undo = true;
	return isolated_elsewhere_tell(why);
}

static void isolated_elsewhere_report(enum trick_point point, struct json *json)
{
	const struct isolation_report *report = &isolated_elsewhere.report;

	if (point == BEFORE_SETUP)
		return;
	json_uint(json, "block", report->block);
	json_uint(json, "pages", report->pages);
	json_int(json, "nr_isolated", report->isolated);
	if (point == AFTER_MEMORY) {
		json_int(json, "nr_isolated_before", report->isolated_before);
		json_uint(json, "locked_pfn", report->locked_pfn);
		json_uint(json, "locked_pages", report->locked_pages);
		json_uint(json, "readers", report->readers);
		json_string(json, "offliner_wchan", report->offliner.wchan);
		json_string(json, "offliner_stack", report->offliner.stack);
		return;
	}
	json_int(json, "offliner_errno", report->offliner_error);
	json_string(json, "offliner_errno_name",
		    report->offliner_error ? strerrorname_np(report->offliner_error) : NULL);
}

const struct trick trick_isolated_elsewhere = {
	.name = "isolated-elsewhere",
	.summary = "have an offliner isolate the pages first, and sleep: they cannot be isolated",
	.call = "write(memory block's state, offline)",
	.at = {
		[BEFORE_SETUP] = isolated_elsewhere_start_helper,
		[AFTER_MEMORY] = isolated_elsewhere_isolate,
		[AFTER_ATTEMPT] = isolated_elsewhere_undo,
	},
	.report = isolated_elsewhere_report,
};
