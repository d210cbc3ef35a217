// SPDX-License-Identifier: GPL-2.0-only
/*
 * Private memory that is locked into RAM page by page as it comes (MLOCK_ONFAULT).
 *
 * The last pages are still in a batch of their CPU then, which holds a reference to each: that is
 * left as it is, for such references made long-term pins fail until late 2025.
 */
#include "pinholder/holding.h"

#include <errno.h>
#include <sys/mman.h>

extern const struct memory_kind kind_anonymous;

static int mlock_onfault_map(struct holding *holding, struct failure *why)
{
	if (kind_anonymous.map(holding, why) < 0)
		return -1;
	if (mlock2(holding->address, holding->size_bytes, MLOCK_ONFAULT) < 0)
		return errno == ENOSYS ? unsupported(why, errno, "mlock2(MLOCK_ONFAULT)") :
					 failed(why, errno, "mlock2(MLOCK_ONFAULT)");
	return 0;
}

const struct memory_kind kind_mlock_onfault = {
	.name = "mlock_onfault",
	.summary = "private memory under mlock2(MLOCK_ONFAULT), its last pages still in a batch",
	.map = mlock_onfault_map,
};
