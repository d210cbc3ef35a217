// SPDX-License-Identifier: GPL-2.0-only
/* A process that does nothing but share the holder's memory, until the holder ends. */
#include "companion.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

pid_t companion_start(struct failure *why)
{
	pid_t parent = getpid(), child = fork();

	if (child < 0)
		return failed(why, errno, "fork()");
	if (child > 0)
		return child;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(1);
	/*
	 * What reads the holder's words must see their end with the holder's, and a ring or a pipe
	 * that holds pages must not live on in a copy of its descriptor.
	 */
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	if (close_range(STDERR_FILENO + 1, ~0U, 0) < 0)
		_exit(1);
	for (;;)
		pause();
}

int companion_end(pid_t pid, struct failure *why)
{
	if (kill(pid, SIGKILL) < 0)
		return failed(why, errno, "kill(companion)");
	while (waitpid(pid, NULL, 0) < 0)
		if (errno != EINTR)
			return failed(why, errno, "waitpid(companion)");
	return 0;
}
