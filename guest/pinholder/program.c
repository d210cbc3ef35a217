// SPDX-License-Identifier: GPL-2.0-only
/* Running another program: what is not worth a second writing, such as mkfs. */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOT_FOUND 127

static void become(char *const argv[], int keep_fd) __attribute__((noreturn));

static void become(char *const argv[], int keep_fd)
{
	int null = open("/dev/null", O_RDWR);
	sigset_t none;

	sigemptyset(&none);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		_exit(NOT_FOUND - 1);
	if (keep_fd >= 0 && fcntl(keep_fd, F_SETFD, 0) < 0)
		_exit(NOT_FOUND - 1);
	execvp(argv[0], argv);
	_exit(NOT_FOUND);
}

int run_program(char *const argv[], int keep_fd, struct failure *why)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		return failed(why, errno, "fork()");
	if (child == 0)
		become(argv, keep_fd);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return failed(why, errno, "waitpid(%s)", argv[0]);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_FOUND)
		return unsupported(why, ENOENT, "execvp(%s)", argv[0]);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return failed(why, 0, "%s: status %d", argv[0], status);
	return 0;
}
