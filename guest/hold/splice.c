// SPDX-License-Identifier: GPL-2.0-only
/* Holds a file's page cache in pipes that nobody reads: references, no pin. */
#include "pinholder/holding.h"

#include "pinholder/pipes.h"

static struct pipes splice_pipes;

static int splice_setup(struct holding *holding, struct failure *why)
{
	return pipes_prepare(&splice_pipes, holding->page_size_bytes, why);
}

static void splice_hold(struct holding *holding, struct hold_result *result)
{
	/* Memory of no file has the descriptor -1: the kernel's own answer to that is told. */
	result->error = pipes_take_file(&splice_pipes, holding->file, holding->hold_bytes);
	if (!result->error)
		result->error = pipes_tee(&splice_pipes);
	if (result->error) {
		result->result = -1;
		result->pages = 0;
		pipes_close(&splice_pipes);
		return;
	}
	result->result = (long)splice_pipes.taken_bytes;
	result->pages = splice_pipes.taken_bytes / holding->page_size_bytes;
}

static int splice_release(struct holding *holding, struct failure *why)
{
	(void)holding;
	(void)why;
	pipes_close(&splice_pipes);
	return 0;
}

static void splice_report(const struct holding *holding, struct json *json)
{
	(void)holding;
	json_uint(json, "pipes", splice_pipes.count);
	json_uint(json, "taken_bytes", splice_pipes.taken_bytes);
}

const struct hold_path hold_splice = {
	.name = "splice",
	.summary = "page cache spliced into pipes that nobody reads: references, no pin",
	.call = "splice()",
	.setup = splice_setup,
	.hold = splice_hold,
	.release = splice_release,
	.report = splice_report,
};
