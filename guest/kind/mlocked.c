// SPDX-License-Identifier: GPL-2.0-only
/* Private memory that is locked into RAM once it is there. */
#include "pinholder/holding.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pinholder/census.h"
#include "pinholder/node.h"

extern const struct memory_kind kind_anonymous;

static int mlocked_map(struct holding *holding, struct failure *why)
{
	return kind_anonymous.map(holding, why);
}

static int mlocked_settle(struct holding *holding, struct failure *why)
{
	uint64_t pages;

	/* The call itself: AddressSanitizer makes mlock() do nothing. */
	if (syscall(SYS_mlock, holding->address, holding->size_bytes) < 0)
		return failed(why, errno, "mlock(%zu bytes)", holding->size_bytes);
	/* Since 5.18 pages are marked in batches (mm/mlock.c: mlock_folio()). */
	if (node_drain(holding, why) < 0 || count_in_memory(holding, KPF_MLOCKED, &pages, why) < 0)
		return -1;
	return require_all(holding, pages, "marked as locked", why);
}

const struct memory_kind kind_mlocked = {
	.name = "mlocked",
	.summary = "private memory under mlock()",
	.map = mlocked_map,
	.settle = mlocked_settle,
};
