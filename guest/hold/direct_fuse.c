// SPDX-License-Identifier: GPL-2.0-only
/* Holds pages by direct reads of a FUSE file whose server withholds every READ. */
#include "pinholder/holding.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "pinholder/direct.h"
#include "pinholder/withheld.h"

static struct {
	struct withheld withheld;
	struct direct direct;
	pid_t server;
	int told;
	int file;
} direct_fuse = { .file = -1 };

static int direct_fuse_setup(struct holding *holding, struct failure *why)
{
	if (holding->hold_bytes > WITHHELD_BYTES) {
		failed(why, E2BIG, "direct_fuse");
		return advise(why, "its file has %zu bytes: use --hold-size", WITHHELD_BYTES);
	}
	if (direct_prepare(&direct_fuse.direct, holding, why) < 0 ||
	    withheld_open(&direct_fuse.withheld, why) < 0)
		return -1;
	direct_fuse.server = withheld_serve_in_child(&direct_fuse.withheld, &direct_fuse.told, why);
	if (direct_fuse.server < 0)
		return -1;
	direct_fuse.file = open(direct_fuse.withheld.file, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (direct_fuse.file < 0)
		return failed(why, errno, "open(%s)", direct_fuse.withheld.file);
	return 0;
}

static int direct_fuse_release(struct holding *holding, struct failure *why)
{
	(void)holding;
	/* With the connection its requests end, in an error. */
	if (withheld_end_child(&direct_fuse.withheld, direct_fuse.server, why) < 0)
		return -1;
	if (direct_end(&direct_fuse.direct, why) < 0)
		return -1;
	/* Closing asks the server too, which is gone: ENOTCONN. */
	if ((close(direct_fuse.file) < 0 && errno != ENOTCONN) || close(direct_fuse.told) < 0)
		return failed(why, errno, "close(FUSE file)");
	return 0;
}

static void direct_fuse_hold(struct holding *holding, struct hold_result *result)
{
	struct failure why;

	result->error = direct_begin(&direct_fuse.direct, holding, direct_fuse.file, false);
	if (result->error && direct_fuse_release(holding, &why) < 0)
		fprintf(stderr, "pinholder: undoing a refused hold: %s\n", why.call);
	result->result = result->error ? -1 : 0;
	result->pages = result->error ? 0 : holding->hold_bytes / holding->page_size_bytes;
}

const struct hold_path hold_direct_fuse = {
	.name = "direct_fuse",
	.summary = "direct reads of a FUSE file whose READ gets no answer: short-term references",
	.call = "io_submit(read of a FUSE file)",
	.setup = direct_fuse_setup,
	.hold = direct_fuse_hold,
	.release = direct_fuse_release,
};
