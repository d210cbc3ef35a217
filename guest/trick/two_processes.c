// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pins the memory from a second process too. Only pages of a file are the same in both: private
 * ones would be copied for the second.
 */
#include "pinholder/holding.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pinholder/second.h"

static pid_t two_processes_child;

static void two_processes_live(const struct holding *holding, int told)
	__attribute__((noreturn));

static void two_processes_live(const struct holding *holding, int told)
{
	struct holding second;
	struct failure why;
	int error = second_hold(&second, holding, &why) < 0 ? why.error : 0;

	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	if (write(told, &error, sizeof(error)) != sizeof(error) || error)
		_exit(1);
	for (;;)
		pause();
}

static int two_processes_hold(struct holding *holding, struct failure *why)
{
	pid_t parent = getpid();
	int ends[2], error;
	ssize_t got;

	if (fcntl(holding->file, F_GETFD) < 0) {
		unsupported(why, errno, "fcntl(%d, F_GETFD)", holding->file);
		return advise(why, "private memory has pages of one process: take a kind of a file");
	}
	if (pipe2(ends, O_CLOEXEC) < 0)
		return failed(why, errno, "pipe2()");
	two_processes_child = fork();
	if (two_processes_child < 0)
		return failed(why, errno, "fork()");
	if (two_processes_child == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
			_exit(1);
		two_processes_live(holding, ends[1]);
	}
	close(ends[1]);
	got = read(ends[0], &error, sizeof(error));
	close(ends[0]);
	if (got != (ssize_t)sizeof(error))
		return failed(why, ECHILD, "reading of the second process");
	return error ? failed(why, error, "io_uring_register() in a second process") : 0;
}

static int two_processes_end(struct holding *holding, struct failure *why)
{
	(void)holding;
	if (kill(two_processes_child, SIGKILL) < 0)
		return failed(why, errno, "kill(second process)");
	while (waitpid(two_processes_child, NULL, 0) < 0)
		if (errno != EINTR)
			return failed(why, errno, "waitpid(second process)");
	return 0;
}

const struct trick trick_two_processes = {
	.name = "two-processes",
	.summary = "pin the memory from a second process too, as an io_uring fixed buffer",
	.call = "io_uring_register(IORING_REGISTER_BUFFERS)",
	.at = { [AFTER_HOLD] = two_processes_hold, [BEFORE_RELEASE] = two_processes_end },
};
