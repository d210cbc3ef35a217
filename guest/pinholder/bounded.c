// SPDX-License-Identifier: GPL-2.0-only
/* A hold with a budget: the holder lives in a child, watched from here. */
#include "bounded.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "events.h"
#include "options.h"

/* Between two looks at a child whose call to hold has not come to its end. */
#define LOOK_SECONDS 0.02

struct watched {
	struct life *life;
	struct attempt *attempt;
	pid_t pid;
	bool gone;			/* reaped */
	int exit_status;
	double budget;
	double grace;
	double sampled_at;		/* since began; negative: not yet */
	double sigkill_at;
	double seconds;			/* until it was gone, or was given up */
	struct task_stat first;		/* half-way through the budget */
	struct task_stat last;		/* just before SIGKILL */
	struct task_place place;
	struct task_place late;		/* where SIGKILL was of no use */
};

static int be_child(struct life *life, pid_t parent, int (*live)(struct life *))
{
	sigset_t child;
	int status;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	if (sigprocmask(SIG_UNBLOCK, &child, NULL) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) {
		failed(&life->why, errno, "preparing the holder's process");
		status = -1;
	} else if (getppid() != parent) {
		_exit(EXIT_FAILED);	/* it ended before the signal was set */
	} else {
		status = live(life);
	}
	return status < 0 ? say_error(life->doing, &life->why) : status;
}

/* Waits for the child's end or a signal for it, for seconds at most; negative: for good. */
static void wait_for(struct watched *watched, double seconds)
{
	struct timespec span = duration(seconds < 0 ? 0 : seconds);
	sigset_t awaited;
	int number;

	sigemptyset(&awaited);
	sigaddset(&awaited, SIGCHLD);
	sigaddset(&awaited, SIGINT);
	sigaddset(&awaited, SIGTERM);
	number = seconds < 0 ? sigwaitinfo(&awaited, NULL) : sigtimedwait(&awaited, NULL, &span);
	if ((number == SIGINT || number == SIGTERM) && kill(watched->pid, number) < 0)
		perror("pinholder: kill(holder)");
	/* Other children may have ended too: the tricks' helpers. */
	if (waitpid(watched->pid, &watched->exit_status, WNOHANG) == watched->pid)
		watched->gone = true;
}

/* Kills it and waits the grace for its end. */
static void end_child(struct watched *watched, double began)
{
	double end;

	if (!task_stat(watched->pid, &watched->last))
		memset(&watched->last, 0, sizeof(watched->last));
	task_place(watched->pid, &watched->place);
	if (watched->attempt->ended)	/* at the last moment */
		return;
	watched->sigkill_at = boottime() - began;
	if (kill(watched->pid, SIGKILL) < 0)
		perror("pinholder: kill(holder, SIGKILL)");
	end = boottime() + watched->grace;
	while (!watched->gone && boottime() < end)
		wait_for(watched, LOOK_SECONDS);
	watched->seconds = boottime() - began;
	if (!watched->gone)
		task_place(watched->pid, &watched->late);
}

/* Watches until the child is gone or was given up. */
static void watch(struct watched *watched)
{
	double began, now;

	while (!watched->gone && watched->sigkill_at < 0) {
		began = watched->attempt->began;
		if (watched->attempt->ended) {
			wait_for(watched, -1);
			continue;
		}
		wait_for(watched, LOOK_SECONDS);
		if (!began || watched->gone)
			continue;
		now = boottime() - began;
		if (watched->sampled_at < 0 && now >= watched->budget / 2 &&
		    task_stat(watched->pid, &watched->first))
			watched->sampled_at = now;
		if (now >= watched->budget)
			end_child(watched, began);
	}
	if (watched->gone && watched->sigkill_at < 0 && watched->attempt->began)
		watched->seconds = boottime() - watched->attempt->began;
}

static void print_time(struct json *json, const char *key, double at)
{
	if (at < 0)
		json_null(json, key);
	else
		json_seconds(json, key, at);
}

static void print_text(struct json *json, const char *key, const char *text)
{
	json_string(json, key, *text ? text : NULL);
}

static void say_unanswered(const struct watched *watched)
{
	const struct hold_path *way = watched->life->holding.way;
	const bool sampled = watched->sampled_at >= 0, killed = watched->sigkill_at >= 0;
	char state[2] = { watched->last.state, '\0' };
	struct json json;

	event_begin(&json, "unanswered");
	json_string(&json, "way", way->name);
	json_string(&json, "call", way->call);
	json_int(&json, "pid", watched->pid);
	json_seconds(&json, "began", watched->attempt->began);
	json_seconds(&json, "budget_seconds", watched->budget);
	json_seconds(&json, "grace_seconds", watched->grace);
	print_time(&json, "sampled_at", watched->sampled_at);
	print_time(&json, "cpu_seconds_sampled", sampled ? watched->first.cpu_seconds : -1);
	print_time(&json, "sigkill_at", watched->sigkill_at);
	print_time(&json, "cpu_seconds", killed ? watched->last.cpu_seconds : -1);
	print_text(&json, "task_state", state);
	print_text(&json, "wchan", watched->place.wchan);
	print_text(&json, "stack", watched->place.stack);
	json_bool(&json, "ended", watched->gone);
	if (watched->gone)
		json_int(&json, "signal", WTERMSIG(watched->exit_status));
	else
		json_null(&json, "signal");
	json_seconds(&json, "seconds", watched->seconds);
	print_text(&json, "wchan_after_sigkill", watched->late.wchan);
	print_text(&json, "stack_after_sigkill", watched->late.stack);
	event_end(&json);
}

/* The holder is gone, or will never be; its memory is not ours to look at. */
static int live_on(struct life *life)
{
	struct json json;
	const char *by;

	life->holding.address = NULL;
	life->holding.unmapped_by = "kill";
	if (play_tricks(life, AFTER_ATTEMPT) < 0)
		return -1;
	event_begin(&json, "killed");
	event_end(&json);
	if (await_release(life, &by) < 0)
		return -1;
	say_pattern(life, "verify");
	say_released(false, by, 0);
	return EXIT_KILLED;
}

/* A child that was to end without letting go: its end is its release. */
static int say_left(const struct watched *watched)
{
	char by[16] = "exit";

	if (WIFSIGNALED(watched->exit_status))
		snprintf(by, sizeof(by), "SIG%s", sigabbrev_np(WTERMSIG(watched->exit_status)));
	say_released(true, by, boottime() - watched->attempt->leaving);
	return EXIT_RELEASED;
}

/* What became of a child that ended by a signal. */
static int outlive(struct watched *watched)
{
	struct life *life = watched->life;
	int number = WTERMSIG(watched->exit_status), status;

	if (!watched->attempt->began || watched->attempt->ended) {
		life->doing = "holder";
		failed(&life->why, EINTR, "the holder's process was ended by SIG%s",
		       sigabbrev_np(number));
		return say_error(life->doing, &life->why);
	}
	say_unanswered(watched);
	status = live_on(life);
	return status < 0 ? say_error(life->doing, &life->why) : status;
}

int live_bounded(struct life *life, double budget, double grace, int (*live)(struct life *))
{
	struct watched watched = { .life = life, .budget = budget, .grace = grace,
				   .sampled_at = -1, .sigkill_at = -1 };
	pid_t parent = getpid();
	sigset_t child;

	life->doing = "supervision";
	watched.attempt = mmap(NULL, sizeof(*watched.attempt), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (watched.attempt == MAP_FAILED)
		return failed(&life->why, errno, "mmap(MAP_SHARED)");
	life->attempt = watched.attempt;
	life->holding.watched = true;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &child, NULL) < 0)
		return failed(&life->why, errno, "sigprocmask(SIG_BLOCK)");
	watched.pid = fork();
	if (watched.pid < 0)
		return failed(&life->why, errno, "fork()");
	if (watched.pid == 0)
		exit(be_child(life, parent, live));
	watch(&watched);
	if (watched.gone && watched.attempt->leaving)
		return say_left(&watched);
	if (watched.gone && WIFEXITED(watched.exit_status))
		return WEXITSTATUS(watched.exit_status);
	return outlive(&watched);
}
