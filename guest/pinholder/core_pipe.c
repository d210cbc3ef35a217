// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pipe that a process dumps its core into. core_pattern is the machine's: it is put back,
 * also when this process was killed meanwhile.
 */
#include "core_pipe.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "file.h"

/* The helper's only option: nobody else gives it. */
#define CORE_HELPER "--core-helper"

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

/* What core_pattern was before. */
static char core_before[256];

static int core_put_back(void)
{
	return write_text(CORE_PATTERN, core_before);
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
	ssize_t length = read_text(CORE_PATTERN, core_before, sizeof(core_before));

	if (length == -ENOENT) {
		unsupported(why, ENOENT, "open(" CORE_PATTERN ")");
		return advise(why, "this takes CONFIG_COREDUMP and CONFIG_SYSCTL");
	}
	if (length < 0)
		return failed(why, (int)-length, "read(" CORE_PATTERN ")");
	if (strstr(core_before, CORE_HELPER)) {
		failed(why, EBUSY, "redirecting cores");
		return advise(why, "another pinholder does so just now: one at a time");
	}
	if (core_listen(core, why) < 0)
		return -1;
	return undo_later(&core->undo, core_put_back, why);
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
	if (undo_now(&core->undo, "writing core_pattern back", why) < 0)
		return -1;
	if (close(core->listener) < 0)
		return failed(why, errno, "close(@%s)", core->name);
	return 0;
}
