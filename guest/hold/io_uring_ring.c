// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds pages as provided-buffer rings of io_uring, in the program's own memory: a long-term pin
 * of what should hold the kernel's and the program's lists of buffers (5.19 and later).
 */
#include "pinholder/holding.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* io_uring/kbuf.c: less than 65536 entries, a power of two; a group is a 16-bit number. */
#define RING_MOST_BYTES (32768 * sizeof(struct io_uring_buf))
#define RING_MOST_GROUPS 65536

static struct {
	int ring;
	unsigned int groups;
} io_uring_ring = { -1, 0 };

static int io_uring_ring_call(unsigned int opcode, void *argument)
{
	return (int)syscall(SYS_io_uring_register, io_uring_ring.ring, opcode, argument, 1);
}

static int io_uring_ring_setup(struct holding *holding, struct failure *why)
{
	struct io_uring_params parameters;

	(void)holding;
	memset(&parameters, 0, sizeof(parameters));
	io_uring_ring.ring = (int)syscall(SYS_io_uring_setup, 1, &parameters);
	if (io_uring_ring.ring < 0)
		return errno == ENOSYS ? unsupported(why, errno, "io_uring_setup(1)") :
					 failed(why, errno, "io_uring_setup(1)");
	/* A kernel that knows the call reads its argument first, and there is nothing at 1. */
	if (io_uring_ring_call(IORING_REGISTER_PBUF_RING, (void *)1) < 0 && errno == EINVAL) {
		unsupported(why, errno, "io_uring_register(IORING_REGISTER_PBUF_RING)");
		return advise(why, "this takes 5.19 or later");
	}
	return 0;
}

static int io_uring_ring_forget(void)
{
	struct io_uring_buf_reg ring;

	while (io_uring_ring.groups) {
		memset(&ring, 0, sizeof(ring));
		ring.bgid = (uint16_t)(io_uring_ring.groups - 1);
		if (io_uring_ring_call(IORING_UNREGISTER_PBUF_RING, &ring) < 0)
			return -1;
		io_uring_ring.groups--;
	}
	return 0;
}

static void io_uring_ring_hold(struct holding *holding, struct hold_result *result)
{
	struct io_uring_buf_reg ring;
	size_t done = 0, bytes = RING_MOST_BYTES;

	while (done < holding->hold_bytes && !result->error) {
		while (bytes > holding->hold_bytes - done)
			bytes /= 2;
		memset(&ring, 0, sizeof(ring));
		ring.ring_addr = (uintptr_t)holding->address + done;
		ring.ring_entries = (uint32_t)(bytes / sizeof(struct io_uring_buf));
		ring.bgid = (uint16_t)io_uring_ring.groups;
		if (io_uring_ring.groups == RING_MOST_GROUPS)
			result->error = E2BIG;
		else if (io_uring_ring_call(IORING_REGISTER_PBUF_RING, &ring) < 0)
			result->error = errno;
		else
			io_uring_ring.groups++;
		done += bytes;
	}
	result->result = result->error ? -1 : 0;
	if (!result->error)
		result->pages = holding->hold_bytes / holding->page_size_bytes;
	else if (io_uring_ring_forget() < 0)
		result->error = errno;	/* a kernel that keeps what it was to give back */
}

static int io_uring_ring_release(struct holding *holding, struct failure *why)
{
	(void)holding;
	if (io_uring_ring_forget() < 0)
		return failed(why, errno, "io_uring_register(IORING_UNREGISTER_PBUF_RING)");
	if (close(io_uring_ring.ring) < 0)
		return failed(why, errno, "close(io_uring)");
	return 0;
}

static void io_uring_ring_report(const struct holding *holding, struct json *json)
{
	(void)holding;
	json_uint(json, "rings", io_uring_ring.groups);
}

const struct hold_path hold_io_uring_ring = {
	.name = "io_uring_ring",
	.summary = "provided-buffer rings of io_uring: a long-term pin",
	.call = "io_uring_register(IORING_REGISTER_PBUF_RING)",
	.setup = io_uring_ring_setup,
	.hold = io_uring_ring_hold,
	.release = io_uring_ring_release,
	.report = io_uring_ring_report,
};
