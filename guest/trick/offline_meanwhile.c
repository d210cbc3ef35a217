// SPDX-License-Identifier: GPL-2.0-only
/*
 * Starts to take the pages' memory block offline just before they are held: who comes first, the
 * pin or the offliner, is a race. Undone after the attempt: the block is brought online again.
 */
#include "pinholder/holding.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file.h"
#include "pinholder/frames.h"
#include "pinholder/pages.h"

static struct {
	pid_t offliner;
	struct block block;
	int error;		/* what its write returned */
} offline_meanwhile;

static int offline_meanwhile_start(struct holding *holding, struct failure *why)
{
	struct page_places places;
	pid_t parent = getpid();
	uint64_t pages;
	char path[80];
	sigset_t none;
	int result;

	if (find_pages(holding, &places, why) < 0)
		return -1;
	result = find_block(&places, holding->page_size_bytes, &offline_meanwhile.block, &pages,
			    why);
	runs_free(&places.runs);
	if (result)
		return -1;
	block_file(&offline_meanwhile.block, "state", path, sizeof(path));
	offline_meanwhile.offliner = fork();
	if (offline_meanwhile.offliner < 0)
		return failed(why, errno, "fork()");
	if (offline_meanwhile.offliner > 0)
		return 0;
	sigemptyset(&none);
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent ||
	    sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		_exit(255);
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	_exit(write_text(path, "offline"));
}

static int offline_meanwhile_end(struct holding *holding, struct failure *why)
{
	char path[80], state[24];
	int status, error;

	(void)holding;
	if (kill(offline_meanwhile.offliner, SIGTERM) < 0)
		return failed(why, errno, "kill(offliner, SIGTERM)");
	while (waitpid(offline_meanwhile.offliner, &status, 0) < 0)
		if (errno != EINTR)
			return failed(why, errno, "waitpid(offliner)");
	offline_meanwhile.error = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
	block_file(&offline_meanwhile.block, "state", path, sizeof(path));
	if (read_text(path, state, sizeof(state)) < 0)
		return failed(why, EIO, "read(%s)", path);
	if (strncmp(state, "offline", 7))
		return 0;
	error = write_text(path, "online_movable");
	return error ? failed(why, error, "write(%s, online_movable)", path) : 0;
}

static void offline_meanwhile_report(enum trick_point point, struct json *json)
{
	json_uint(json, "block", offline_meanwhile.block.number);
	if (point == AFTER_ATTEMPT)
		json_int(json, "offliner_errno", offline_meanwhile.error);
}

const struct trick trick_offline_meanwhile = {
	.name = "offline-meanwhile",
	.summary = "take the pages' memory block offline while they are being held: a race",
	.call = "write(memory block's state, offline)",
	.at = { [AFTER_MEMORY] = offline_meanwhile_start, [AFTER_ATTEMPT] = offline_meanwhile_end },
	.report = offline_meanwhile_report,
};
