// SPDX-License-Identifier: GPL-2.0-only
/* The process that undoes what another one did, once that says so or is gone. */
#include "undo.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void undo_watch(int order, int holder, int (*action)(void)) __attribute__((noreturn));

static void undo_watch(int order, int holder, int (*action)(void))
{
	struct pollfd ends[2] = { { .fd = order, .events = POLLIN },
				  { .fd = holder, .events = POLLIN } };
	char byte;
	int error;

	for (;;) {
		if (poll(ends, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			break;
		}
		if (ends[1].revents || read(order, &byte, 1) == 1)
			break;
		/* No order: it ends, and has descriptors open yet of what is to be undone. */
		ends[0].fd = -1;
	}
	error = action();
	if (error)
		fprintf(stderr, "pinholder: undoing: %s\n", strerror(error));
	_exit(error);
}

/*
 * The child of the fork. It has copies of the holder's descriptors, which hold pages: these must
 * not outlive the holder's. Nor may a signal to all of a terminal's processes end it.
 */
static void undo_be_watcher(int order, pid_t holder, int (*action)(void))
	__attribute__((noreturn));

static void undo_be_watcher(int order, pid_t holder, int (*action)(void))
{
	int life = (int)syscall(SYS_pidfd_open, holder, 0);
	sigset_t all;

	/* The end of the pipe would not do: whatever the holder forks later has its end too. */
	sigfillset(&all);
	if (life < 0 || sigprocmask(SIG_BLOCK, &all, NULL) < 0 ||
	    dup2(order, STDIN_FILENO) < 0 || dup2(life, STDOUT_FILENO) < 0 ||
	    close_range(STDERR_FILENO + 1, ~0U, 0) < 0) {
		perror("pinholder: preparing to undo");
		_exit(errno);
	}
	/* Gone before the pidfd was opened: that is of another process, if of any. */
	if (getppid() != holder)
		_exit(action());
	undo_watch(STDIN_FILENO, STDOUT_FILENO, action);
}

int undo_later(struct undo *undo, int (*action)(void), struct failure *why)
{
	const pid_t holder = getpid();
	int pipes[2];

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return failed(why, errno, "pipe2()");
	undo->watcher = fork();
	if (undo->watcher < 0) {
		undo->watcher = 0;
		return failed(why, errno, "fork()");
	}
	if (undo->watcher == 0)
		undo_be_watcher(pipes[0], holder, action);
	close(pipes[0]);
	undo->order = pipes[1];
	return 0;
}

int undo_now(struct undo *undo, const char *what, struct failure *why)
{
	const pid_t watcher = undo->watcher;
	ssize_t written;
	int status;

	if (!watcher)
		return 0;
	undo->watcher = 0;
	written = write(undo->order, "", 1);
	close(undo->order);
	while (waitpid(watcher, &status, 0) < 0)
		if (errno != EINTR)
			return failed(why, errno, "waitpid(for %s)", what);
	if (WIFEXITED(status) && WEXITSTATUS(status))
		return failed(why, WEXITSTATUS(status), "%s", what);
	if (!WIFEXITED(status) || written != 1)
		return failed(why, 0, "%s: status %d", what, status);
	return 0;
}
