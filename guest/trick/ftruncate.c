// SPDX-License-Identifier: GPL-2.0-only
/* Truncates the memory's file once its pages are held: they belong to no file any more. */
#include "pinholder/holding.h"

#include <errno.h>
#include <unistd.h>

static int ftruncate_file(struct holding *holding, struct failure *why)
{
	/* No file (EBADF), or one that is sealed against it, as udmabuf wants it (EPERM). */
	if (ftruncate(holding->file, 0) < 0)
		return unsupported(why, errno, "ftruncate(0)");
	holding->address = NULL;
	holding->unmapped_by = "ftruncate";
	return 0;
}

const struct trick trick_ftruncate = {
	.name = "ftruncate",
	.summary = "truncate the memory's file to nothing once its pages are held",
	.call = "ftruncate()",
	.at = { [AFTER_HOLD] = ftruncate_file },
};
