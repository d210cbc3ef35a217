// SPDX-License-Identifier: GPL-2.0-only
/* Addresses for the memory of a holder. */
#include "space.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

int reserve_addresses(struct holding *holding, size_t align, struct failure *why)
{
	size_t length = holding->size_bytes + align + holding->page_size_bytes;
	unsigned char *start = mmap(NULL, length, PROT_NONE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (start == MAP_FAILED)
		return failed(why, errno, "mmap(%zu bytes, PROT_NONE)", length);
	holding->address = start + (-(uintptr_t)start & (align - 1));
	return 0;
}

int require_addresses(const struct holding *holding, struct failure *why)
{
	if (holding->address)
		return 0;
	failed(why, EINVAL, "using the memory's addresses");
	return advise(why, "it has none any more: %s", holding->unmapped_by);
}
