// SPDX-License-Identifier: GPL-2.0-only
/*
 * `pinguest remove`: one attempt to remove memory, a write() that may never return.
 *
 * Offlining in ZONE_MOVABLE has no limit of its own: any signal ends it between two passes,
 * none ends it while it sleeps on a locked page. So the write is a child's, and we only watch.
 */
#include "pinguest.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "number.h"

/* SIGTERM comes again this often: the first may have come just before the write began. */
#define REPEAT_SECONDS 0.1
/* Longer budgets are looked into after this long at the latest. */
#define SAMPLE_SECONDS 4.0

/* Written by the child; what is not atomic is read when it has returned. */
struct attempt {
	_Atomic bool returned;
	_Atomic double began;	/* 0 until the child gets to it */
	double ended;
	int error;
	const char *call;
};

struct watch {
	const char *path;
	const char *value;
	double budget;
	double grace;
	bool count_passes;

	pid_t child;
	struct attempt *attempt;
	struct sample *sample;		/* before SIGTERM */
	struct sample *late;		/* after SIGTERM was of no use */
	pid_t samplers[2];
	int counter;
	const char *counter_call;

	double started;			/* until the child's own attempt->began is known */
	double sigterm_at;		/* since began; negative: not sent */
	double sigkill_at;
	double seconds;
	bool ended;
	int exit_status;
	int interrupted_by;		/* a signal that told us to stop early */
};

static void wake(int number)
{
	(void)number;	/* the write then returns EINTR */
}

static void write_value(struct watch *watch, int go)
{
	struct sigaction on_signal = { .sa_handler = wake };	/* no SA_RESTART */
	struct attempt *attempt = watch->attempt;
	int fd, null;
	ssize_t written;
	sigset_t none;
	char byte;

	/* Should we be left behind, nobody is to wait for the end of our output. */
	null = open("/dev/null", O_RDWR);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(null, STDERR_FILENO) < 0 || setpgid(0, 0) < 0 ||
	    sigaction(SIGTERM, &on_signal, NULL) < 0 || prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
		_exit(1);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (read(go, &byte, 1) != 1)	/* not before the counter counts */
		_exit(1);
	attempt->began = boottime();
	attempt->call = "open";
	fd = open(watch->path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		attempt->call = "write";
		written = write(fd, watch->value, strlen(watch->value));
		attempt->error = written < 0 ? errno :
			(size_t)written != strlen(watch->value) ? EIO : 0;
	} else {
		attempt->error = errno;
	}
	attempt->ended = boottime();
	attempt->returned = true;
	_exit(0);
}

static void start(struct watch *watch, sigset_t *awaited)
{
	int go[2];

	watch->attempt = shared_memory(sizeof(*watch->attempt));
	watch->sample = shared_memory(sizeof(*watch->sample));
	watch->late = shared_memory(sizeof(*watch->late));
	sigemptyset(awaited);
	sigaddset(awaited, SIGCHLD);
	sigaddset(awaited, SIGTERM);
	sigaddset(awaited, SIGINT);
	sigaddset(awaited, SIGHUP);
	if (sigprocmask(SIG_BLOCK, awaited, NULL) < 0)
		fail(errno, "sigprocmask(SIG_BLOCK)");
	if (pipe2(go, O_CLOEXEC) < 0)
		fail(errno, "pipe2()");
	watch->child = fork();
	if (watch->child < 0)
		fail(errno, "fork()");
	if (watch->child == 0) {
		close(go[1]);
		write_value(watch, go[0]);
	}
	close(go[0]);
	if (watch->count_passes)
		watch->counter = passes_open(watch->child, &watch->counter_call);
	watch->started = boottime();
	if (write(go[1], "g", 1) != 1)
		fail(errno, "write(pipe)");
	close(go[1]);
}

static double began(const struct watch *watch)
{
	double at = watch->attempt->began;

	return at ? at : watch->started;
}

static double elapsed(const struct watch *watch)
{
	return boottime() - began(watch);
}

/* Does what is due; seconds until the next thing is, negative when it is time to give up. */
static double act(struct watch *watch)
{
	double now = elapsed(watch), sample_at, kill_at, end_at;

	if (watch->sigterm_at < 0 && now >= watch->budget) {
		watch->sigterm_at = now;
		kill(watch->child, SIGTERM);
	}
	if (watch->sigterm_at < 0) {
		sample_at = watch->budget / 2 < SAMPLE_SECONDS ? watch->budget / 2 : SAMPLE_SECONDS;
		if (watch->samplers[0])
			return watch->budget - now;
		if (now < sample_at)
			return sample_at - now;
		watch->samplers[0] = sample_start(watch->sample, watch->child, watch->path);
		return watch->budget - now;
	}
	kill_at = watch->sigterm_at + watch->grace;
	if (watch->sigkill_at < 0 && now >= kill_at) {
		watch->sigkill_at = now;
		kill(watch->child, SIGKILL);
	}
	if (watch->sigkill_at < 0) {
		kill(watch->child, SIGTERM);
		if (!watch->samplers[1] && now >= watch->sigterm_at + watch->grace / 2)
			watch->samplers[1] = sample_start(watch->late, watch->child, watch->path);
		return kill_at - now < REPEAT_SECONDS ? kill_at - now : REPEAT_SECONDS;
	}
	end_at = watch->sigkill_at + watch->grace;
	return now >= end_at ? -1 : end_at - now;
}

static void keep_watch(struct watch *watch, const sigset_t *awaited)
{
	struct timespec span;
	double left;
	int number;

	while ((left = act(watch)) >= 0) {
		span = duration(left);
		number = sigtimedwait(awaited, NULL, &span);
		if (number > 0 && number != SIGCHLD && !watch->interrupted_by) {
			/* Told to stop: the budget ends now. */
			watch->interrupted_by = number;
			if (watch->budget > elapsed(watch))
				watch->budget = elapsed(watch);
		}
		if (waitpid(watch->child, &watch->exit_status, WNOHANG) == watch->child) {
			watch->ended = true;
			break;
		}
	}
	watch->seconds = watch->attempt->returned ?
		watch->attempt->ended - watch->attempt->began : elapsed(watch);
}

static void print_time(struct json *json, const char *key, double at)
{
	if (at < 0)
		json_null(json, key);
	else
		json_seconds(json, key, at);
}

static const char *text_or_null(const char *text)
{
	return *text ? text : NULL;
}

static void print_samples(struct json *json, const struct watch *watch)
{
	const struct sample *sample = watch->sample, *late = watch->late;

	print_time(json, "sampled_at", sample->at ? sample->at - began(watch) : -1);
	json_string(json, "task_state", text_or_null(sample->task_state));
	json_string(json, "stack", text_or_null(sample->place.stack));
	json_string(json, "wchan", text_or_null(sample->place.wchan));
	json_string(json, "state_during", sample->state_taken ? sample->state : NULL);
	json_string(json, "task_state_after_sigterm", text_or_null(late->task_state));
	json_string(json, "stack_after_sigterm", text_or_null(late->place.stack));
	json_string(json, "wchan_after_sigterm", text_or_null(late->place.wchan));
}

static void print_passes(struct json *json, const struct watch *watch)
{
	long long passes = watch->counter >= 0 ? passes_read(watch->counter) : watch->counter;

	if (!watch->count_passes || passes < 0)
		json_null(json, "passes");
	else
		json_int(json, "passes", passes);
	json_string(json, "passes_source", watch->count_passes ? PASSES_SOURCE : NULL);
	if (watch->count_passes && passes < 0) {
		json_string(json, "passes_call", watch->counter_call);
		json_string(json, "passes_errno_name", strerrorname_np((int)-passes));
	}
}

static void print_result(const struct watch *watch)
{
	const struct attempt *attempt = watch->attempt;
	struct json json;

	json_begin(&json);
	json_string(&json, "path", watch->path);
	json_string(&json, "value", watch->value);
	json_bool(&json, "ended", watch->ended);
	if (attempt->returned) {
		json_string(&json, "call", attempt->call);
		json_int(&json, "result", attempt->error ? -1 : 0);
		json_errno(&json, attempt->error);
	} else {	/* killed, or still in the call */
		json_string(&json, "call", attempt->call);
		json_null(&json, "result");
		json_null(&json, "errno");
		json_null(&json, "errno_name");
	}
	if (watch->ended && WIFSIGNALED(watch->exit_status))
		json_int(&json, "signal", WTERMSIG(watch->exit_status));
	else
		json_null(&json, "signal");
	json_seconds(&json, "began", began(watch));
	json_seconds(&json, "seconds", watch->seconds);
	json_seconds(&json, "budget_seconds", watch->budget);
	json_seconds(&json, "grace_seconds", watch->grace);
	print_time(&json, "sigterm_at", watch->sigterm_at);
	print_time(&json, "sigkill_at", watch->sigkill_at);
	json_string(&json, "interrupted_by",
		    watch->interrupted_by ? sigabbrev_np(watch->interrupted_by) : NULL);
	print_samples(&json, watch);
	print_passes(&json, watch);
	print_json(&json);
}

static void end_samplers(const struct watch *watch)
{
	size_t i;

	for (i = 0; i < 2; i++)
		if (watch->samplers[i] > 0)
			kill(watch->samplers[i], SIGKILL);
}

int command_remove(int argc, char **argv)
{
	static const struct option options[] = {
		{ "budget", required_argument, NULL, 'b' },
		{ "grace", required_argument, NULL, 'g' },
		{ "count-passes", no_argument, NULL, 'c' },
		{ NULL, 0, NULL, 0 },
	};
	struct watch watch = { .budget = 8, .grace = 2, .sigterm_at = -1, .sigkill_at = -1,
			       .counter = -1 };
	sigset_t awaited;
	int option;

	while ((option = next_option(argc, argv, options)) != -1) {
		if (option == 'b' && !parse_seconds(optarg, &watch.budget))
			usage_error("--budget '%s' is not a time in seconds", optarg);
		if (option == 'g' && !parse_seconds(optarg, &watch.grace))
			usage_error("--grace '%s' is not a time in seconds", optarg);
		watch.count_passes |= option == 'c';
	}
	if (argc - optind != 2)
		usage_error("expected PATH VALUE");
	watch.path = argv[optind];
	watch.value = argv[optind + 1];
	start(&watch, &awaited);
	keep_watch(&watch, &awaited);
	end_samplers(&watch);
	if (watch.ended && WIFEXITED(watch.exit_status) && !watch.attempt->returned)
		fail(ECHILD, "the child ended before its write");
	print_result(&watch);
	return EXIT_DONE;
}
