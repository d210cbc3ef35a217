// SPDX-License-Identifier: GPL-2.0-only
/* Holds pages as a memory region of siw (iWARP in software, over TCP): a long-term pin. */
#include "pinholder/holding.h"

#include "pinholder/rdma.h"

static int rdma_siw_setup(struct holding *holding, struct failure *why)
{
	(void)holding;
	return rdma_open("siw", why);
}

static void rdma_siw_hold(struct holding *holding, struct hold_result *result)
{
	result->error = rdma_register(holding);
	result->result = result->error ? -1 : 0;
	result->pages = result->error ? 0 : holding->hold_bytes / holding->page_size_bytes;
}

static int rdma_siw_release(struct holding *holding, struct failure *why)
{
	(void)holding;
	return rdma_close(why);
}

const struct hold_path hold_rdma_siw = {
	.name = "rdma_siw",
	.summary = "an RDMA memory region over siw: a long-term pin",
	.call = "ibv_reg_mr()",
	.setup = rdma_siw_setup,
	.hold = rdma_siw_hold,
	.release = rdma_siw_release,
};
