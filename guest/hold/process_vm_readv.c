// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds pages as what process_vm_readv() reads, while it waits for where to write that.
 *
 * The call pins a batch of the pages it reads, then copies (process_vm_rw_single_vec(),
 * mm/process_vm_access.c); the copy sleeps on a page that userfaultfd withholds.
 */
#include "pinholder/holding.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include "pinholder/stall.h"

static struct stall process_vm_stall;

static int process_vm_readv_setup(struct holding *holding, struct failure *why)
{
	(void)holding;
	/* Reading nothing is no error where there is the call. */
	if (process_vm_readv(getpid(), NULL, 0, NULL, 0, 0) < 0 && errno == ENOSYS) {
		unsupported(why, ENOSYS, "process_vm_readv()");
		return advise(why, "this takes CONFIG_CROSS_MEMORY_ATTACH");
	}
	return stall_prepare(&process_vm_stall, why);
}

static void process_vm_readv_call(struct holding *holding, struct hold_result *result)
{
	struct iovec local = {
		.iov_base = process_vm_stall.page,
		.iov_len = holding->page_size_bytes,
	};
	struct iovec remote = {
		.iov_base = holding->address,
		.iov_len = holding->hold_bytes,
	};

	result->result = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
	result->error = result->result < 0 ? errno : 0;
}

static void process_vm_readv_hold(struct holding *holding, struct hold_result *result)
{
	/* A batch is what a list of two pages names (PVM_MAX_KMALLOC_PAGES, later _USER_PAGES). */
	const size_t batch = 2 * holding->page_size_bytes / sizeof(void *);
	const size_t pages = holding->hold_bytes / holding->page_size_bytes;

	result->error = stall_begin(&process_vm_stall, holding, process_vm_readv_call);
	result->result = result->error ? -1 : 0;
	if (!result->error)
		result->pages = pages < batch ? pages : batch;
}

static int process_vm_readv_release(struct holding *holding, struct failure *why)
{
	(void)holding;
	return stall_end(&process_vm_stall, why);
}

const struct hold_path hold_process_vm_readv = {
	.name = "process_vm_readv",
	.summary = "process_vm_readv() into a missing page (userfaultfd): short-term pins",
	.call = "process_vm_readv()",
	.setup = process_vm_readv_setup,
	.hold = process_vm_readv_hold,
	.release = process_vm_readv_release,
};
