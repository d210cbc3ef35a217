// SPDX-License-Identifier: GPL-2.0-only
/* Throws the memory's pages away once they are held: they stay only because they are held. */
#include "pinholder/holding.h"

#include <errno.h>
#include <sys/mman.h>

#include "pinholder/space.h"

static int madv_dontneed(struct holding *holding, struct failure *why)
{
	if (require_addresses(holding, why) < 0)
		return -1;
	if (madvise(holding->address, holding->size_bytes, MADV_DONTNEED) < 0)
		/* Locked memory, and before 5.18 hugetlb, is not to be thrown away. */
		return errno == EINVAL ? unsupported(why, errno, "madvise(MADV_DONTNEED)") :
					 failed(why, errno, "madvise(MADV_DONTNEED)");
	holding->address = NULL;
	holding->unmapped_by = "madv-dontneed";
	return 0;
}

const struct trick trick_madv_dontneed = {
	.name = "madv-dontneed",
	.summary = "throw the pages away once they are held (MADV_DONTNEED)",
	.call = "madvise(MADV_DONTNEED)",
	.at = { [AFTER_HOLD] = madv_dontneed },
};
