// SPDX-License-Identifier: GPL-2.0-only
/* Holds pages in pipes that nobody reads: extra references (FOLL_GET), no long-term pin. */
#include "pinholder/holding.h"

#include <errno.h>
#include <fcntl.h>
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

struct vmsplice_state {
	int (*pipes)[2];
	size_t pipe_count;
	size_t room;
	size_t taken_bytes;		/* by all pipes, before a refusal let go of them */
	size_t pipe_bytes;		/* the capacity to ask for */
};

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

static int setup(struct holding *holding, struct failure *why)
{
	struct vmsplice_state *state = calloc(1, sizeof(*state));
	struct rlimit files;

	if (!state)
		return failed(why, errno, "calloc(%zu)", sizeof(*state));
	holding->way_state = state;
	state->pipe_bytes = choose_pipe_bytes(holding->page_size_bytes);
	/* Two descriptors a pipe: take as many as may be had without a privilege. */
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return failed(why, errno, "getrlimit(RLIMIT_NOFILE)");
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		return failed(why, errno, "setrlimit(RLIMIT_NOFILE)");
	return 0;
}

static int add_pipe(struct vmsplice_state *state)
{
	int (*pipes)[2];

	if (state->pipe_count == MAX_PIPES)
		return EMFILE;
	if (state->pipe_count == state->room) {
		pipes = reallocarray(state->pipes, state->room * 2 + 16, sizeof(*pipes));
		if (!pipes)
			return errno;
		state->pipes = pipes;
		state->room = state->room * 2 + 16;
	}
	if (pipe2(state->pipes[state->pipe_count], O_CLOEXEC | O_NONBLOCK) < 0)
		return errno;
	/* Refused for users with many pipes (EPERM): the pipe then takes what it takes. */
	if (fcntl(state->pipes[state->pipe_count][1], F_SETPIPE_SZ, state->pipe_bytes) < 0 &&
	    errno != EPERM && errno != EBUSY && errno != ENOMEM)
		return errno;
	state->pipe_count++;
	return 0;
}

static void close_pipes(struct vmsplice_state *state)
{
	for (; state->pipe_count; state->pipe_count--) {
		close(state->pipes[state->pipe_count - 1][0]);
		close(state->pipes[state->pipe_count - 1][1]);
	}
	free(state->pipes);
	state->pipes = NULL;
	state->room = 0;
}

static void hold(struct holding *holding, struct hold_result *result)
{
	struct vmsplice_state *state = holding->way_state;
	size_t page = holding->page_size_bytes, before;
	struct iovec rest;
	ssize_t taken;
	int error = 0;

	while (!error && state->taken_bytes < holding->hold_bytes) {
		error = add_pipe(state);
		before = state->taken_bytes;
		while (!error && state->taken_bytes < holding->hold_bytes) {
			rest.iov_base = holding->address + state->taken_bytes;
			rest.iov_len = holding->hold_bytes - state->taken_bytes;
			taken = vmsplice(state->pipes[state->pipe_count - 1][1], &rest, 1,
					 SPLICE_F_NONBLOCK);
			if (taken > 0)
				state->taken_bytes += (size_t)taken;
			else if (taken == 0)
				error = EIO;
			else if (errno == EAGAIN && state->taken_bytes > before)
				break;		/* this pipe is full */
			else if (errno != EINTR)
				error = errno;
		}
	}
	result->error = error;
	result->result = error ? -1 : (long)state->taken_bytes;
	result->pages = error ? 0 : state->taken_bytes / page;
	if (error)
		close_pipes(state);
}

static int release(struct holding *holding, struct failure *why)
{
	struct vmsplice_state *state = holding->way_state;

	(void)why;
	close_pipes(state);
	free(state);
	holding->way_state = NULL;
	return 0;
}

static void report(const struct holding *holding, struct json *json)
{
	const struct vmsplice_state *state = holding->way_state;

	json_uint(json, "pipes", state->pipe_count);
	json_uint(json, "taken_bytes", state->taken_bytes);
}

const struct hold_path hold_vmsplice = {
	.name = "vmsplice",
	.summary = "vmsplice into pipes that nobody reads: extra references, no pin",
	.call = "vmsplice()",
	.setup = setup,
	.hold = hold,
	.release = release,
	.report = report,
};
