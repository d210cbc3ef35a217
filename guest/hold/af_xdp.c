// SPDX-License-Identifier: GPL-2.0-only
/* Holds pages as the umem of an AF_XDP socket: a long-term pin that needs no device. */
#include "pinholder/holding.h"

#include <errno.h>
#include <linux/if_xdp.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

static int af_xdp_socket = -1;

static int af_xdp_setup(struct holding *holding, struct failure *why)
{
	(void)holding;
	af_xdp_socket = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (af_xdp_socket >= 0)
		return 0;
	if (errno != EAFNOSUPPORT)
		return failed(why, errno, "socket(AF_XDP)");
	unsupported(why, errno, "socket(AF_XDP)");
	return advise(why, "this takes CONFIG_XDP_SOCKETS");
}

static void af_xdp_hold(struct holding *holding, struct hold_result *result)
{
	struct xdp_umem_reg umem = {
		.addr = (uintptr_t)holding->address,
		.len = holding->hold_bytes,
		/* A chunk is a page at the most (net/xdp/xdp_umem.c: xdp_umem_reg()). */
		.chunk_size = (uint32_t)holding->page_size_bytes,
	};

	result->result = setsockopt(af_xdp_socket, SOL_XDP, XDP_UMEM_REG, &umem, sizeof(umem));
	result->error = result->result < 0 ? errno : 0;
	result->pages = result->error ? 0 : holding->hold_bytes / holding->page_size_bytes;
}

static int af_xdp_release(struct holding *holding, struct failure *why)
{
	(void)holding;
	/* There is no call that takes a umem back: a kworker unpins it after the close. */
	if (close(af_xdp_socket) < 0)
		return failed(why, errno, "close(AF_XDP)");
	return 0;
}

const struct hold_path hold_af_xdp = {
	.name = "af_xdp",
	.summary = "the umem of an AF_XDP socket: a long-term pin",
	.call = "setsockopt(XDP_UMEM_REG)",
	.setup = af_xdp_setup,
	.hold = af_xdp_hold,
	.release = af_xdp_release,
};
