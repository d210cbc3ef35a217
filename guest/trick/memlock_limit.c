// SPDX-License-Identifier: GPL-2.0-only
/* Lets the process lock half of the memory only: what else a refused pin leaves behind. */
#include "pinholder/holding.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static int memlock_limit_set(struct holding *holding, struct failure *why)
{
	const struct rlimit limit = { holding->hold_bytes / 2, holding->hold_bytes / 2 };
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

	if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return failed(why, errno, "setrlimit(RLIMIT_MEMLOCK, %zu)", holding->hold_bytes / 2);
	/* Who may lock as much as he likes is not limited. */
	if (syscall(SYS_capget, &head, sets) < 0)
		return failed(why, errno, "capget()");
	sets[CAP_TO_INDEX(CAP_IPC_LOCK)].effective &= ~CAP_TO_MASK(CAP_IPC_LOCK);
	sets[CAP_TO_INDEX(CAP_IPC_LOCK)].permitted &= ~CAP_TO_MASK(CAP_IPC_LOCK);
	if (syscall(SYS_capset, &head, sets) < 0)
		return failed(why, errno, "capset(without CAP_IPC_LOCK)");
	return 0;
}

const struct trick trick_memlock_limit = {
	.name = "memlock-limit",
	.summary = "let the process lock half of the memory only (RLIMIT_MEMLOCK)",
	.call = "setrlimit(RLIMIT_MEMLOCK)",
	.at = { [BEFORE_SETUP] = memlock_limit_set },
};
