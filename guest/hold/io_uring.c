// SPDX-License-Identifier: GPL-2.0-only
/* Holds pages as io_uring fixed buffers: a long-term pin (FOLL_PIN | FOLL_LONGTERM). */
#include "pinholder/holding.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* One fixed buffer holds at most 1 GiB (io_buffer_validate(), io_uring/rsrc.c of 6.12). */
#define BUFFER_BYTES ((size_t)1 << 30)
/* Buffers a ring takes: UIO_MAXIOV up to 5.11, 16384 later (IORING_MAX_REG_BUFFERS). */
#define BUFFERS 1024

struct io_uring_state {
	int ring;
	unsigned int buffer_count;
	struct iovec buffers[BUFFERS];
};

static int io_uring_setup(struct holding *holding, struct failure *why)
{
	struct io_uring_state *state;
	struct io_uring_params parameters;

	if (holding->hold_bytes > BUFFERS * BUFFER_BYTES) {
		failed(why, E2BIG, "io_uring_register(IORING_REGISTER_BUFFERS)");
		return advise(why, "one ring takes %d buffers of 1 GiB: use --hold-size", BUFFERS);
	}
	state = calloc(1, sizeof(*state));
	if (!state)
		return failed(why, errno, "calloc(%zu)", sizeof(*state));
	holding->way_state = state;
	memset(&parameters, 0, sizeof(parameters));
	state->ring = (int)syscall(SYS_io_uring_setup, 1, &parameters);
	if (state->ring < 0) {
		failed(why, errno, "io_uring_setup(1)");
		if (errno == ENOSYS)
			advise(why, "this kernel was built without CONFIG_IO_URING");
		else if (errno == EPERM)
			advise(why, "see /proc/sys/kernel/io_uring_disabled, and any seccomp filter");
		return -1;
	}
	return 0;
}

static void io_uring_hold(struct holding *holding, struct hold_result *result)
{
	struct io_uring_state *state = holding->way_state;
	size_t offset, left;

	for (offset = 0; offset < holding->hold_bytes; offset += BUFFER_BYTES) {
		left = holding->hold_bytes - offset;
		state->buffers[state->buffer_count].iov_base = holding->address + offset;
		state->buffers[state->buffer_count].iov_len =
			left < BUFFER_BYTES ? left : BUFFER_BYTES;
		state->buffer_count++;
	}
	result->result = syscall(SYS_io_uring_register, state->ring, IORING_REGISTER_BUFFERS,
				 state->buffers, state->buffer_count);
	result->error = result->result < 0 ? errno : 0;
	/* All buffers or none: a failed registration unpins what it had pinned. */
	result->pages = result->error ? 0 : holding->hold_bytes / holding->page_size_bytes;
}

static int io_uring_release(struct holding *holding, struct failure *why)
{
	struct io_uring_state *state = holding->way_state;

	/* Closing the ring alone would unpin later, from a kworker. */
	if (syscall(SYS_io_uring_register, state->ring, IORING_UNREGISTER_BUFFERS, NULL, 0) < 0)
		return failed(why, errno, "io_uring_register(IORING_UNREGISTER_BUFFERS)");
	if (close(state->ring) < 0)
		return failed(why, errno, "close(io_uring)");
	free(state);
	holding->way_state = NULL;
	return 0;
}

static void io_uring_report(const struct holding *holding, struct json *json)
{
	const struct io_uring_state *state = holding->way_state;

	json_uint(json, "buffers", state->buffer_count);
}

const struct hold_path hold_io_uring = {
	.name = "io_uring",
	.summary = "io_uring fixed buffers: a long-term pin, one buffer a GiB",
	.call = "io_uring_register(IORING_REGISTER_BUFFERS)",
	.setup = io_uring_setup,
	.hold = io_uring_hold,
	.release = io_uring_release,
	.report = io_uring_report,
};
