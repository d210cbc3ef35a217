// SPDX-License-Identifier: GPL-2.0-only
/* The holder's process ends without a word to the way: the kernel has to let go by itself. */
#include "pinholder/holding.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* Without somebody to tell what became of it, nobody would know that it let go. */
static int exit_prepare(struct holding *holding, struct failure *why)
{
	if (holding->watched)
		return 0;
	failed(why, EINVAL, "ending the holder's process with nobody watching it");
	return advise(why, "use --hold-budget");
}

static int exit_by_itself(struct holding *holding, struct failure *why)
{
	(void)why;
	holding->leaves_by = 0;
	holding->leaves = true;
	return 0;
}

static int exit_by_sigkill(struct holding *holding, struct failure *why)
{
	(void)why;
	holding->leaves_by = SIGKILL;
	holding->leaves = true;
	return 0;
}

const struct trick trick_exit = {
	.name = "exit",
	.summary = "end the holder's process instead of letting go",
	.call = "_exit()",
	.at = { [AFTER_MAP] = exit_prepare, [BEFORE_RELEASE] = exit_by_itself },
};

const struct trick trick_sigkill = {
	.name = "sigkill",
	.summary = "kill the holder's process instead of letting go",
	.call = "kill(SIGKILL)",
	.at = { [AFTER_MAP] = exit_prepare, [BEFORE_RELEASE] = exit_by_sigkill },
};
