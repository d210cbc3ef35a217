// SPDX-License-Identifier: GPL-2.0-only
/* The tables: a row for each way to hold, kind of memory and trick. */
#include "holding.h"

#include <string.h>

extern const struct hold_path hold_af_xdp, hold_coredump, hold_direct_dm, hold_direct_fuse,
	hold_direct_null_blk, hold_fuse_locked, hold_fuse_writeback, hold_gup_test,
	hold_gup_userfaultfd, hold_io_uring, hold_io_uring_ring, hold_iommufd, hold_msg_zerocopy,
	hold_process_vm_readv, hold_rdma_rxe, hold_rdma_siw, hold_splice, hold_udmabuf,
	hold_vfio, hold_vhost_vdpa, hold_vmsplice, hold_zsmalloc;
extern const struct memory_kind kind_anonymous, kind_cow_child, kind_cow_parent, kind_file,
	kind_hugetlb, kind_ksm, kind_memfd, kind_mlock_onfault, kind_mlocked, kind_mthp, kind_own,
	kind_swapped, kind_thp;
extern const struct trick trick_double_pin, trick_exec, trick_exit, trick_extra_reference,
	trick_ftruncate, trick_isolated_elsewhere, trick_madv_dontneed, trick_memlock_limit,
	trick_munmap, trick_offline_meanwhile, trick_sigkill, trick_two_processes;

const struct hold_path *const hold_paths[] = {
	&hold_af_xdp,
	&hold_coredump,
	&hold_direct_dm,
	&hold_direct_fuse,
	&hold_direct_null_blk,
	&hold_fuse_locked,
	&hold_fuse_writeback,
	&hold_gup_test,
	&hold_gup_userfaultfd,
	&hold_io_uring,
	&hold_io_uring_ring,
	&hold_iommufd,
	&hold_msg_zerocopy,
	&hold_process_vm_readv,
	&hold_rdma_rxe,
	&hold_rdma_siw,
	&hold_splice,
	&hold_udmabuf,
	&hold_vfio,
	&hold_vhost_vdpa,
	&hold_vmsplice,
	&hold_zsmalloc,
	NULL,
};

const struct memory_kind *const memory_kinds[] = {
	&kind_anonymous,
	&kind_cow_child,
	&kind_cow_parent,
	&kind_file,
	&kind_hugetlb,
	&kind_ksm,
	&kind_memfd,
	&kind_mlock_onfault,
	&kind_mlocked,
	&kind_mthp,
	&kind_own,
	&kind_swapped,
	&kind_thp,
	NULL,
};

const struct trick *const tricks[] = {
	&trick_double_pin,
	&trick_exec,
	&trick_exit,
	&trick_extra_reference,
	&trick_ftruncate,
	&trick_isolated_elsewhere,
	&trick_madv_dontneed,
	&trick_memlock_limit,
	&trick_munmap,
	&trick_offline_meanwhile,
	&trick_sigkill,
	&trick_two_processes,
	NULL,
};

const char *const trick_point_names[TRICK_POINTS] = {
	[BEFORE_SETUP] = "before-setup",
	[AFTER_MAP] = "after-map",
	[AFTER_MEMORY] = "after-memory",
	[BEFORE_ATTEMPT] = "before-attempt",
	[AFTER_ATTEMPT] = "after-attempt",
	[AFTER_HOLD] = "after-hold",
	[BEFORE_RELEASE] = "before-release",
	[AFTER_RELEASE] = "after-release",
};

const struct hold_path *find_hold_path(const char *name)
{
	const struct hold_path *const *row;

	for (row = hold_paths; *row && strcmp((*row)->name, name); row++)
		;
	return *row;
}

const struct memory_kind *find_memory_kind(const char *name)
{
	const struct memory_kind *const *row;

	for (row = memory_kinds; *row && strcmp((*row)->name, name); row++)
		;
	return *row;
}

const struct trick *find_trick(const char *name)
{
	const struct trick *const *row;

	for (row = tricks; *row && strcmp((*row)->name, name); row++)
		;
	return *row;
}
