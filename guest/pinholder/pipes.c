// SPDX-License-Identifier: GPL-2.0-only
/* Pages in pipes that nobody reads: each holds a plain reference (FOLL_GET) to its page. */
#include "pipes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include "file.h"
#include "number.h"

/*
 * A slot of a pipe takes a page. 256 slots are what /proc/sys/fs/pipe-max-size allows by
 * default; the kernel allocates the slots in one piece (40 bytes each), so many pipes of
 * this size come easier than a big one, which takes CAP_SYS_RESOURCE besides.
 */
#define PIPE_SLOTS 256
#define MAX_PIPES 65536

/* What one pipe may hold, so that the pages fit into few of them. */
static size_t choose_pipe_bytes(size_t page_size_bytes)
{
	unsigned long long limit;
	char text[32];

	if (read_text("/proc/sys/fs/pipe-max-size", text, sizeof(text)) > 0) {
		text[strcspn(text, "\n")] = '\0';
		if (parse_count(text, &limit) && limit < PIPE_SLOTS * page_size_bytes)
			return limit;
	}
	return PIPE_SLOTS * page_size_bytes;
}

int pipes_prepare(struct pipes *pipes, size_t page_size_bytes, struct failure *why)
{
	struct rlimit files;

	memset(pipes, 0, sizeof(*pipes));
	pipes->pipe_bytes = choose_pipe_bytes(page_size_bytes);
	/* Two descriptors a pipe. */
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return failed(why, errno, "getrlimit(RLIMIT_NOFILE)");
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		return failed(why, errno, "setrlimit(RLIMIT_NOFILE)");
	return 0;
}

static int add_pipe(struct pipes *pipes)
{
	int (*grown)[2];

	if (pipes->count == MAX_PIPES)
		return EMFILE;
	if (pipes->count == pipes->room) {
		grown = reallocarray(pipes->pipes, pipes->room * 2 + 16, sizeof(*grown));
		if (!grown)
			return errno;
		pipes->pipes = grown;
		pipes->room = pipes->room * 2 + 16;
	}
	if (pipe2(pipes->pipes[pipes->count], O_CLOEXEC | O_NONBLOCK) < 0)
		return errno;
	pipes->count++;
	/* Refused for users with many pipes (EPERM): the pipe then takes what it takes. */
	if (fcntl(pipes->pipes[pipes->count - 1][1], F_SETPIPE_SZ, pipes->pipe_bytes) < 0 &&
	    errno != EPERM && errno != EBUSY && errno != ENOMEM)
		return errno;
	return 0;
}

/* What fills the pipes: memory of this process, or else a file's page cache. */
struct supply {
	const void *address;
	int file;
};

static ssize_t fill(const struct pipes *pipes, const struct supply *supply, size_t done,
		    size_t left)
{
	int pipe = pipes->pipes[pipes->count - 1][1];
	off64_t offset = (off64_t)done;
	struct iovec rest;

	if (!supply->address)
		return splice(supply->file, &offset, pipe, NULL, left, SPLICE_F_NONBLOCK);
	rest.iov_base = (char *)(uintptr_t)supply->address + done;
	rest.iov_len = left;
	return vmsplice(pipe, &rest, 1, SPLICE_F_NONBLOCK);
}

static int take(struct pipes *pipes, const struct supply *supply, size_t length)
{
	size_t done = 0, before;
	ssize_t taken;
	int error = 0;

	while (!error && done < length) {
		error = add_pipe(pipes);
		before = done;
		while (!error && done < length) {
			taken = fill(pipes, supply, done, length - done);
			if (taken > 0)
				done += (size_t)taken;
			else if (taken == 0)
				error = EIO;
			else if (errno == EAGAIN && done > before)
				break;		/* this pipe is full */
			else if (errno != EINTR)
				error = errno;
		}
	}
	pipes->taken_bytes += done;
	return error;
}

int pipes_take(struct pipes *pipes, const void *address, size_t length)
{
	const struct supply memory = { .address = address, .file = -1 };

	return take(pipes, &memory, length);
}

int pipes_take_file(struct pipes *pipes, int file, size_t length)
{
	const struct supply cache = { .file = file };

	return take(pipes, &cache, length);
}

int pipes_tee(struct pipes *pipes)
{
	int error = add_pipe(pipes);

	if (error)
		return error;
	if (tee(pipes->pipes[0][0], pipes->pipes[pipes->count - 1][1], pipes->pipe_bytes,
		SPLICE_F_NONBLOCK) < 0)
		return errno;
	return 0;
}

void pipes_close(struct pipes *pipes)
{
	for (; pipes->count; pipes->count--) {
		close(pipes->pipes[pipes->count - 1][0]);
		close(pipes->pipes[pipes->count - 1][1]);
	}
	free(pipes->pipes);
	pipes->pipes = NULL;
	pipes->room = 0;
}
