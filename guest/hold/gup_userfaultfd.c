// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds pages by a pin that waits for its last page, which userfaultfd withholds.
 *
 * io_uring asks for a long-term pin, but the zones of the pages are looked at only when all of
 * them are there (__gup_longterm_locked(), mm/gup.c): until then they are pinned where they lie.
 */
#include "pinholder/holding.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "pinholder/stall.h"

static struct {
	int ring;
	struct stall stall;
} gup_userfaultfd = { .ring = -1 };

static int gup_userfaultfd_setup(struct holding *holding, struct failure *why)
{
	struct io_uring_params parameters;

	(void)holding;
	memset(&parameters, 0, sizeof(parameters));
	gup_userfaultfd.ring = (int)syscall(SYS_io_uring_setup, 1, &parameters);
	if (gup_userfaultfd.ring < 0)
		return errno == ENOSYS ? unsupported(why, errno, "io_uring_setup(1)") :
					 failed(why, errno, "io_uring_setup(1)");
	return stall_prepare(&gup_userfaultfd.stall, why);
}

/* Of all of the memory, and of the page behind it. */
static void gup_userfaultfd_register(struct holding *holding, struct hold_result *result)
{
	struct iovec buffer = {
		.iov_base = holding->address,
		.iov_len = holding->size_bytes + holding->page_size_bytes,
	};

	result->result = syscall(SYS_io_uring_register, gup_userfaultfd.ring,
				 IORING_REGISTER_BUFFERS, &buffer, 1);
	result->error = result->result < 0 ? errno : 0;
}

static void gup_userfaultfd_hold(struct holding *holding, struct hold_result *result)
{
	result->error = stall_begin(&gup_userfaultfd.stall, holding, gup_userfaultfd_register);
	result->result = result->error ? -1 : 0;
	result->pages = result->error ? 0 : holding->size_bytes / holding->page_size_bytes;
}

static int gup_userfaultfd_release(struct holding *holding, struct failure *why)
{
	(void)holding;
	if (stall_end(&gup_userfaultfd.stall, why) < 0)
		return -1;
	/* With its last page the call may have been refused: it let go by itself then. */
	if (!gup_userfaultfd.stall.result.error &&
	    syscall(SYS_io_uring_register, gup_userfaultfd.ring, IORING_UNREGISTER_BUFFERS, NULL,
		    0) < 0)
		return failed(why, errno, "io_uring_register(IORING_UNREGISTER_BUFFERS)");
	if (close(gup_userfaultfd.ring) < 0)
		return failed(why, errno, "close(io_uring)");
	return 0;
}

const struct hold_path hold_gup_userfaultfd = {
	.name = "gup_userfaultfd",
	.summary = "a pin that waits for its last page (userfaultfd): short-term, for as long as it "
		   "likes",
	.call = "io_uring_register(IORING_REGISTER_BUFFERS)",
	.setup = gup_userfaultfd_setup,
	.hold = gup_userfaultfd_hold,
	.release = gup_userfaultfd_release,
};
