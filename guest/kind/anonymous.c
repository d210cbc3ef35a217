// SPDX-License-Identifier: GPL-2.0-only
/* Private anonymous memory in small pages. */
#include "pinholder/holding.h"

#include <errno.h>
#include <sys/mman.h>

#include "pinholder/space.h"

static int anonymous_map(struct holding *holding, struct failure *why)
{
	if (reserve_addresses(holding, holding->page_size_bytes, why) < 0)
		return -1;
	if (mmap(holding->address, holding->size_bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		return failed(why, errno, "mmap(%zu bytes, MAP_ANONYMOUS)", holding->size_bytes);
	/* EINVAL: the kernel has no transparent huge pages. */
	if (madvise(holding->address, holding->size_bytes, MADV_NOHUGEPAGE) < 0 &&
	    errno != EINVAL)
		return failed(why, errno, "madvise(MADV_NOHUGEPAGE)");
	return 0;
}

const struct memory_kind kind_anonymous = {
	.name = "anonymous",
	.summary = "private anonymous memory, small pages",
	.map = anonymous_map,
};
