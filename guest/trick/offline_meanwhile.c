// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds the pages while an offliner works on their memory block: who comes first to each page, the
 * hold or the offliner, is a race. What is certain is that the offliner has begun, for the block's
 * state reads "going-offline" before the call that holds is made.
 *
 * A process of its own starts the offliner and undoes what it did: when told to, after the
 * attempt, and when everybody who could tell it has ended.
 */
#include "pinholder/holding.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "file.h"
#include "pinholder/frames.h"
#include "pinholder/pages.h"
#include "pinholder/space.h"

/* TCG on a busy host takes seconds for what takes milliseconds otherwise. */
#define OFFLINE_MEANWHILE_SECONDS 20.0
#define OFFLINE_MEANWHILE_STEP_SECONDS 0.001

/* In memory that all processes share; times are of the boot's clock, 0: not yet. */
struct offline_meanwhile_shared {
	struct block block;
	uint64_t pages;		/* of the memory in it */
	struct failure why;	/* call[0] is '\0' while nothing failed */
	double began;		/* of the offliner's write */
	double ended;
	bool signalled;		/* it had to be ended */
	int error;		/* of its write */
	char state[32];		/* of the block, when the offliner had ended */
};

static struct {
	int socket;		/* to the process; 0: there is none */
	struct offline_meanwhile_shared *shared;
	pid_t offliner;		/* of that process alone */
} offline_meanwhile;

static int offline_meanwhile_state(char *state, size_t size)
{
	struct offline_meanwhile_shared *shared = offline_meanwhile.shared;
	char path[80];
	ssize_t length;

	block_file(&shared->block, "state", path, sizeof(path));
	length = read_text(path, state, size);
	return length < 0 ? failed(&shared->why, (int)-length, "read(%s)", path) : 0;
}

static void offline_meanwhile_write(void) __attribute__((noreturn));

static void offline_meanwhile_write(void)
{
	struct offline_meanwhile_shared *shared = offline_meanwhile.shared;
	char path[80];
	sigset_t none;

	sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		_exit(errno);
	block_file(&shared->block, "state", path, sizeof(path));
	shared->began = boottime();
	shared->error = write_text(path, "offline");
	shared->ended = boottime();
	_exit(0);
}

/* Starts the offliner and waits until it works on the block, or has come to its end. */
static void offline_meanwhile_start(void)
{
	struct offline_meanwhile_shared *shared = offline_meanwhile.shared;
	double end = boottime() + OFFLINE_MEANWHILE_SECONDS;
	char state[32];

	offline_meanwhile.offliner = fork();
	if (offline_meanwhile.offliner == 0)
		offline_meanwhile_write();
	if (offline_meanwhile.offliner < 0) {
		offline_meanwhile.offliner = 0;
		failed(&shared->why, errno, "fork()");
		return;
	}
	while (!shared->ended) {
		if (offline_meanwhile_state(state, sizeof(state)) < 0)
			return;
		if (!strcmp(state, "going-offline\n"))
			return;
		if (boottime() > end) {
			failed(&shared->why, ETIMEDOUT, "waiting for memory%llu to go offline",
			       (unsigned long long)shared->block.number);
			return;
		}
		pause_for(OFFLINE_MEANWHILE_STEP_SECONDS);
	}
}

/* Ends the offliner if it works still, and brings the block online again. */
static void offline_meanwhile_undo(void)
{
	struct offline_meanwhile_shared *shared = offline_meanwhile.shared;
	int status, error;
	char path[80];

	if (!offline_meanwhile.offliner)
		return;
	/* The kernel looks for signals before each pass over the block (offline_pages()). */
	if (kill(offline_meanwhile.offliner, SIGTERM) < 0)
		failed(&shared->why, errno, "kill(offliner, SIGTERM)");
	while (waitpid(offline_meanwhile.offliner, &status, 0) < 0)
		if (errno != EINTR) {
			failed(&shared->why, errno, "waitpid(offliner)");
			return;
		}
	offline_meanwhile.offliner = 0;
	shared->signalled = WIFSIGNALED(status);
	if (shared->signalled)
		shared->error = EINTR;
	else if (WEXITSTATUS(status))
		failed(&shared->why, WEXITSTATUS(status), "sigprocmask(offliner)");
	if (offline_meanwhile_state(shared->state, sizeof(shared->state)) < 0 ||
	    strcmp(shared->state, "offline\n"))
		return;
	block_file(&shared->block, "state", path, sizeof(path));
	error = write_text(path, "online_movable");
	if (error)
		failed(&shared->why, error, "write(%s, online_movable)", path);
}

/* The whole life of the process: a byte is an order, start first, then undo; each is answered. */
static void offline_meanwhile_serve(int socket) __attribute__((noreturn));

static void offline_meanwhile_serve(int socket)
{
	int null = open("/dev/null", O_RDWR);
	char order;

	/* Whoever reads what the holder says is not to wait for the end of us. */
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(null, STDERR_FILENO) < 0)
		_exit(errno);
	while (recv(socket, &order, 1, 0) == 1) {
		if (order == 's')
			offline_meanwhile_start();
		else
			offline_meanwhile_undo();
		if (send(socket, &order, 1, MSG_NOSIGNAL) < 0)
			break;
	}
	offline_meanwhile_undo();
	_exit(0);
}

static int offline_meanwhile_prepare(struct holding *holding, struct failure *why)
{
	int ends[2];
	pid_t server;

	(void)holding;
	if (offline_meanwhile.socket)
		return failed(why, EBUSY, "the trick offline-meanwhile is given twice");
	offline_meanwhile.shared = mmap(NULL, sizeof(*offline_meanwhile.shared),
					PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (offline_meanwhile.shared == MAP_FAILED)
		return failed(why, errno, "mmap(MAP_SHARED)");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return failed(why, errno, "socketpair()");
	server = fork();
	if (server < 0)
		return failed(why, errno, "fork()");
	if (server == 0) {
		close(ends[0]);
		offline_meanwhile_serve(ends[1]);
	}
	close(ends[1]);
	offline_meanwhile.socket = ends[0];
	return 0;
}

static int offline_meanwhile_tell(char order, struct failure *why)
{
	char answer;
	ssize_t got;

	if (send(offline_meanwhile.socket, &order, 1, MSG_NOSIGNAL) < 0)
		return failed(why, errno, "send(offliner)");
	do
		got = recv(offline_meanwhile.socket, &answer, 1, 0);
	while (got < 0 && errno == EINTR);
	if (got != 1)
		return failed(why, got < 0 ? errno : ECHILD, "recv(offliner)");
	if (!offline_meanwhile.shared->why.call[0])
		return 0;
	*why = offline_meanwhile.shared->why;
	return -1;
}

static int offline_meanwhile_begin(struct holding *holding, struct failure *why)
{
	struct offline_meanwhile_shared *shared = offline_meanwhile.shared;
	struct page_places places;
	int result;

	if (require_addresses(holding, why) < 0)
		return -1;
	if (holding->node < 0) {
		failed(why, EINVAL, "taking memory of no node in particular offline");
		return advise(why, "say which one with --node");
	}
	if (find_pages(holding, &places, why) < 0)
		return -1;
	result = find_block(&places, holding->page_size_bytes, &shared->block, &shared->pages,
			    why);
	runs_free(&places.runs);
	return result < 0 ? -1 : offline_meanwhile_tell('s', why);
}

static int offline_meanwhile_end(struct holding *holding, struct failure *why)
{
	(void)holding;
	return offline_meanwhile_tell('u', why);
}

static void offline_meanwhile_report(enum trick_point point, struct json *json)
{
	const struct offline_meanwhile_shared *shared = offline_meanwhile.shared;

	if (point == BEFORE_SETUP)
		return;
	json_uint(json, "block", shared->block.number);
	json_uint(json, "pages", shared->pages);
	json_seconds(json, "offliner_began", shared->began);
	if (point == BEFORE_ATTEMPT)
		return;
	if (shared->ended)
		json_seconds(json, "offliner_ended", shared->ended);
	else
		json_null(json, "offliner_ended");
	json_bool(json, "offliner_signalled", shared->signalled);
	json_int(json, "offliner_errno", shared->error);
	json_string(json, "offliner_errno_name",
		    shared->error ? strerrorname_np(shared->error) : NULL);
	json_string(json, "state", strtok(offline_meanwhile.shared->state, "\n"));
}

const struct trick trick_offline_meanwhile = {
	.name = "offline-meanwhile",
	.summary = "hold while an offliner works on the pages' memory block: a race",
	.call = "write(memory block's state, offline)",
	.at = {
		[BEFORE_SETUP] = offline_meanwhile_prepare,
		[BEFORE_ATTEMPT] = offline_meanwhile_begin,
		[AFTER_ATTEMPT] = offline_meanwhile_end,
	},
	.report = offline_meanwhile_report,
};
