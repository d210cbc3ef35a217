// SPDX-License-Identifier: GPL-2.0-only
/* Private anonymous memory in small pages. */
#include "pinholder/holding.h"

#include <errno.h>
#include <sys/mman.h>

static int map(struct holding *holding, struct failure *why)
{
	void *address = mmap(NULL, holding->size_bytes, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (address == MAP_FAILED)
		return failed(why, errno, "mmap(%zu bytes, MAP_ANONYMOUS)", holding->size_bytes);
	holding->address = address;
	/* EINVAL: the kernel has no transparent huge pages. */
	if (madvise(address, holding->size_bytes, MADV_NOHUGEPAGE) < 0 && errno != EINVAL)
		return failed(why, errno, "madvise(MADV_NOHUGEPAGE)");
	return 0;
}

const struct memory_kind kind_anonymous = {
	.name = "anonymous",
	.summary = "private anonymous memory, small pages",
	.map = map,
};
