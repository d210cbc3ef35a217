// SPDX-License-Identifier: GPL-2.0-only
/* Unmaps the memory once it is held: the pages stay only because they are held. */
#include "pinholder/holding.h"

#include <errno.h>
#include <sys/mman.h>

#include "pinholder/space.h"

static int munmap_memory(struct holding *holding, struct failure *why)
{
	if (require_addresses(holding, why) < 0)
		return -1;
	if (munmap(holding->address, holding->size_bytes) < 0)
		return failed(why, errno, "munmap(%zu bytes)", holding->size_bytes);
	holding->address = NULL;
	holding->unmapped_by = "munmap";
	return 0;
}

const struct trick trick_munmap = {
	.name = "munmap",
	.summary = "unmap the memory once it is held: no mapping leads to the pages any more",
	.call = "munmap()",
	.at = { [AFTER_HOLD] = munmap_memory },
};
