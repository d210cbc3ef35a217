// SPDX-License-Identifier: GPL-2.0-only
/*
 * References the last page to be held before the hold: it can be pinned, but not migrated.
 * On 6.12 a long-term pin in ZONE_MOVABLE is then refused with ENOMEM; 5.10 pins it in place.
 */
#include "pinholder/holding.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "pinholder/space.h"

static int extra_reference_take(struct holding *holding, struct failure *why)
{
	struct iovec page = { .iov_len = holding->page_size_bytes };
	int ends[2];

	if (require_addresses(holding, why) < 0)
		return -1;
	page.iov_base = holding->address + holding->hold_bytes - holding->page_size_bytes;
	/* Both ends stay open, unread, until the process ends. */
	if (pipe2(ends, O_CLOEXEC) < 0)
		return failed(why, errno, "pipe2()");
	if (vmsplice(ends[1], &page, 1, SPLICE_F_NONBLOCK) < 0)
		return failed(why, errno, "vmsplice(one page)");
	return 0;
}

const struct trick trick_extra_reference = {
	.name = "extra-reference",
	.summary = "reference the last page from an unread pipe first: it cannot be migrated",
	.call = "vmsplice()",
	.at = { [AFTER_MEMORY] = extra_reference_take },
};
