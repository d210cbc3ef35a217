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
