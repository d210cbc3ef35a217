// SPDX-License-Identifier: GPL-2.0-only
/* A memfd, mapped shared: shmem in small pages, sealed against shrinking as udmabuf wants it. */
#include "pinholder/holding.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pinholder/space.h"

static int memfd_map(struct holding *holding, struct failure *why)
{
	if (reserve_addresses(holding, holding->page_size_bytes, why) < 0)
		return -1;
	holding->file = memfd_create("pinholder", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (holding->file < 0 && errno == ENOSYS)
		return unsupported(why, errno, "memfd_create(MFD_ALLOW_SEALING)");
	if (holding->file < 0)
		return failed(why, errno, "memfd_create(MFD_ALLOW_SEALING)");
	if (ftruncate(holding->file, (off_t)holding->size_bytes) < 0)
		return failed(why, errno, "ftruncate(memfd, %zu)", holding->size_bytes);
	if (mmap(holding->address, holding->size_bytes, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, holding->file, 0) == MAP_FAILED)
		return failed(why, errno, "mmap(%zu bytes, memfd)", holding->size_bytes);
	return 0;
}

const struct memory_kind kind_memfd = {
	.name = "memfd",
	.summary = "a memfd, mapped shared: shmem in small pages",
	.map = memfd_map,
};
