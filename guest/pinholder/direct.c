// SPDX-License-Identifier: GPL-2.0-only
/* Direct I/O between the holder's memory and a file, begun and not waited for (Linux AIO). */
#include "direct.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* One request: small enough to be one bio of any block device, and few enough to a context. */
#define PIECE_BYTES ((size_t)128 << 10)

int direct_prepare(struct direct *direct, const struct holding *holding, struct failure *why)
{
	size_t pieces = (holding->hold_bytes + PIECE_BYTES - 1) / PIECE_BYTES;

	memset(direct, 0, sizeof(*direct));
	direct->requests = calloc(pieces, sizeof(*direct->requests));
	if (!direct->requests)
		return failed(why, errno, "calloc(%zu requests)", pieces);
	if (syscall(SYS_io_setup, pieces, &direct->context) < 0)
		return errno == ENOSYS ? unsupported(why, errno, "io_setup()") :
					 failed(why, errno, "io_setup(%zu)", pieces);
	return 0;
}

/* What has ended at once has failed: pages that could not be had show only here. */
static int ended_early(struct direct *direct)
{
	const struct timespec at_once = { 0, 0 };
	struct io_event event;

	if (syscall(SYS_io_getevents, direct->context, 0, 1, &event, &at_once) != 1)
		return 0;
	direct->count--;
	return event.res < 0 ? (int)-event.res : EALREADY;
}

int direct_begin(struct direct *direct, const struct holding *holding, int file, bool write)
{
	struct iocb *request;
	size_t offset, left;

	for (offset = 0; offset < holding->hold_bytes; offset += PIECE_BYTES) {
		left = holding->hold_bytes - offset;
		request = &direct->requests[direct->count];
		request->aio_lio_opcode = write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
		request->aio_fildes = (uint32_t)file;
		request->aio_buf = (uintptr_t)holding->address + offset;
		request->aio_nbytes = left < PIECE_BYTES ? left : PIECE_BYTES;
		request->aio_offset = (int64_t)offset;
		if (syscall(SYS_io_submit, direct->context, 1, &request) != 1)
			return errno;
		direct->count++;
	}
	return ended_early(direct);
}

int direct_end(struct direct *direct, struct failure *why)
{
	struct io_event event;

	while (direct->count) {
		if (syscall(SYS_io_getevents, direct->context, 1, 1, &event, NULL) == 1)
			direct->count--;
		else if (errno != EINTR)
			return failed(why, errno, "io_getevents()");
	}
	if (syscall(SYS_io_destroy, direct->context) < 0)
		return failed(why, errno, "io_destroy()");
	free(direct->requests);
	return 0;
}
