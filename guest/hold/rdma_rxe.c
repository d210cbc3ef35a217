// SPDX-License-Identifier: GPL-2.0-only
/* Holds pages as a memory region of rxe (RoCE in software, over UDP): a long-term pin. */
#include "pinholder/holding.h"

#include "pinholder/rdma.h"

static int rdma_rxe_setup(struct holding *holding, struct failure *why)
{
	(void)holding;
	return rdma_open("rxe", why);
}

static void rdma_rxe_hold(struct holding *holding, struct hold_result *result)
{
	result->error = rdma_register(holding);
	result->result = result->error ? -1 : 0;
	result->pages = result->error ? 0 : holding->hold_bytes / holding->page_size_bytes;
}

static int rdma_rxe_release(struct holding *holding, struct failure *why)
{
	(void)holding;
	return rdma_close(why);
}

const struct hold_path hold_rdma_rxe = {
	.name = "rdma_rxe",
	.summary = "an RDMA memory region over rxe: a long-term pin",
	.call = "ibv_reg_mr()",
	.setup = rdma_rxe_setup,
	.hold = rdma_rxe_hold,
	.release = rdma_rxe_release,
};
