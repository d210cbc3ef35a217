// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pipe that a process dumps its core into. core_pattern is the machine's: a keeper writes the
 * old one back, also when this process was killed meanwhile.
 */
#include "core_pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file.h"

/* The helper's only option: nobody else gives it. */
#define CORE_HELPER "--core-helper"
#define CORE_LOOK_MS 100

static socklen_t core_address(const char *name, struct sockaddr_un *address)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	/* A 0 in front: abstract, gone with its socket. */
	snprintf(address->sun_path + 1, sizeof(address->sun_path) - 1, "%s", name);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
}

static bool core_send_fd(int socket, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec data = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	return sendmsg(socket, &message, MSG_NOSIGNAL) == 1;
}

/*
 * The kernel runs this program as the helper, with the pipe as standard input. It comes here
 * before main(), which need not know of it (glibc gives constructors main()'s arguments).
 */
static void __attribute__((constructor)) core_helper(int argc, char **argv)
{
	struct sockaddr_un address;
	socklen_t length;
	int fd;

	if (argc != 3 || strcmp(argv[1], CORE_HELPER))
		return;
	length = core_address(argv[2], &address);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, length) < 0)
		_exit(1);	/* whoever listened is gone: so is the reader, and the dump ends */
	_exit(core_send_fd(fd, STDIN_FILENO) ? 0 : 1);
}

static void core_keep(int told, pid_t holder, const char *pattern) __attribute__((noreturn));

static void core_keep(int told, pid_t holder, const char *pattern)
{
	struct pollfd order = { .fd = told, .events = POLLIN };
	sigset_t all;
	int error;

	/* A signal to all of the terminal's processes must not end who puts it back. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	/* Copies of the other end may outlive the holder, in processes forked since. */
	while (poll(&order, 1, CORE_LOOK_MS) <= 0 && getppid() == holder)
		;
	error = write_text(CORE_PATTERN, pattern);
	if (error)
		fprintf(stderr, "pinholder: write(" CORE_PATTERN "): %s\n", strerror(error));
	_exit(error ? 1 : 0);
}

static int core_listen(struct core_pipe *core, struct failure *why)
{
	struct sockaddr_un address;
	socklen_t length;

	snprintf(core->name, sizeof(core->name), "pinholder-core-%d", (int)getpid());
	length = core_address(core->name, &address);
	core->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (core->listener < 0)
		return failed(why, errno, "socket(AF_UNIX)");
	if (bind(core->listener, (struct sockaddr *)&address, length) < 0)
		return failed(why, errno, "bind(@%s)", core->name);
	if (listen(core->listener, 1) < 0)
		return failed(why, errno, "listen(@%s)", core->name);
	return 0;
}

int core_pipe_prepare(struct core_pipe *core, struct failure *why)
{
	const pid_t holder = getpid();
	char pattern[256];
	ssize_t length = read_text(CORE_PATTERN, pattern, sizeof(pattern));
	int ends[2];

	if (length == -ENOENT) {
		unsupported(why, ENOENT, "open(" CORE_PATTERN ")");
		return advise(why, "this takes CONFIG_COREDUMP and CONFIG_SYSCTL");
	}
	if (length < 0)
		return failed(why, (int)-length, "read(" CORE_PATTERN ")");
	if (strstr(pattern, CORE_HELPER)) {
		failed(why, EBUSY, "redirecting cores");
		return advise(why, "another pinholder does so just now: one at a time");
	}
	if (core_listen(core, why) < 0)
		return -1;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return failed(why, errno, "pipe2()");
	core->keeper = fork();
	if (core->keeper < 0)
		return failed(why, errno, "fork()");
	if (core->keeper == 0) {
		close(ends[1]);
		core_keep(ends[0], holder, pattern);
	}
	close(ends[0]);
	core->keeper_told = ends[1];
	return 0;
}

int core_pipe_redirect(struct core_pipe *core, struct failure *why)
{
	char pattern[128];	/* CORENAME_MAX_SIZE */
	int error;

	/* %P: the process that dumps, which is a fork of this one and runs the same program. */
	snprintf(pattern, sizeof(pattern), "|/proc/%%P/exe " CORE_HELPER " %s", core->name);
	error = write_text(CORE_PATTERN, pattern);
	return error ? failed(why, error, "write(" CORE_PATTERN ")") : 0;
}

int core_pipe_receive(struct core_pipe *core, int timeout_ms, struct failure *why)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec data = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct pollfd caller = { .fd = core->listener, .events = POLLIN };
	struct cmsghdr *header;
	struct stat status;
	int socket, fd = -1;

	if (poll(&caller, 1, timeout_ms) != 1)
		return failed(why, ETIMEDOUT, "waiting for the core's helper");
	socket = accept4(core->listener, NULL, NULL, SOCK_CLOEXEC);
	if (socket < 0)
		return failed(why, errno, "accept4(helper)");
	if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) == 1) {
		header = CMSG_FIRSTHDR(&message);
		if (header && header->cmsg_type == SCM_RIGHTS)
			memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	}
	close(socket);
	if (fd < 0 || fstat(fd, &status) < 0 || !S_ISFIFO(status.st_mode))
		return failed(why, EBADMSG, "recvmsg(helper): no pipe");
	return fd;
}

int core_pipe_restore(struct core_pipe *core, struct failure *why)
{
	int status;

	if (write(core->keeper_told, "", 1) != 1)
		return failed(why, errno, "write(keeper)");
	while (waitpid(core->keeper, &status, 0) < 0)
		if (errno != EINTR)
			return failed(why, errno, "waitpid(keeper)");
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return failed(why, 0, "writing core_pattern back: status %d", status);
	close(core->keeper_told);
	close(core->listener);
	return 0;
}
