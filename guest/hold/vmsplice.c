// SPDX-License-Identifier: GPL-2.0-only
/* Holds pages in pipes that nobody reads: extra references (FOLL_GET), no long-term pin. */
#include "pinholder/holding.h"

#include <errno.h>
#include <stdlib.h>

#include "pinholder/pipes.h"

static int vmsplice_setup(struct holding *holding, struct failure *why)
{
	struct pipes *pipes = calloc(1, sizeof(*pipes));

	if (!pipes)
		return failed(why, errno, "calloc(%zu)", sizeof(*pipes));
	holding->way_state = pipes;
	return pipes_prepare(pipes, holding->page_size_bytes, why);
}

static void vmsplice_hold(struct holding *holding, struct hold_result *result)
{
	struct pipes *pipes = holding->way_state;

	result->error = pipes_take(pipes, holding->address, holding->hold_bytes);
	result->result = result->error ? -1 : (long)pipes->taken_bytes;
	result->pages = result->error ? 0 : pipes->taken_bytes / holding->page_size_bytes;
	if (result->error)
		pipes_close(pipes);
}

static int vmsplice_release(struct holding *holding, struct failure *why)
{
	struct pipes *pipes = holding->way_state;

	(void)why;
	pipes_close(pipes);
	free(pipes);
	holding->way_state = NULL;
	return 0;
}

static void vmsplice_report(const struct holding *holding, struct json *json)
{
	const struct pipes *pipes = holding->way_state;

	json_uint(json, "pipes", pipes->count);
	json_uint(json, "taken_bytes", pipes->taken_bytes);
}

const struct hold_path hold_vmsplice = {
	.name = "vmsplice",
	.summary = "vmsplice into pipes that nobody reads: extra references, no pin",
	.call = "vmsplice()",
	.setup = vmsplice_setup,
	.hold = vmsplice_hold,
	.release = vmsplice_release,
	.report = vmsplice_report,
};
