// SPDX-License-Identifier: GPL-2.0-only
/* The life of a holder: memory, hold, wait, verify, release. */
#include "life.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bounded.h"
#include "clock.h"
#include "events.h"
#include "file.h"
#include "number.h"
#include "options.h"

static int prepare_limits(struct life *life, struct rlimit *memlock)
{
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };

	life->doing = "limits";
	if (setrlimit(RLIMIT_MEMLOCK, &unlimited) < 0 && errno != EPERM)
		return failed(&life->why, errno, "setrlimit(RLIMIT_MEMLOCK)");
	if (getrlimit(RLIMIT_MEMLOCK, memlock) < 0)
		return failed(&life->why, errno, "getrlimit(RLIMIT_MEMLOCK)");
	return 0;
}

static void say_start(const struct holding *holding, const struct rlimit *memlock)
{
	struct json json;
	size_t i;

	event_begin(&json, "start");
	json_int(&json, "pid", getpid());
	json_string(&json, "version", PINHOLE_VERSION);
	json_uint(&json, "page_size_bytes", holding->page_size_bytes);
	json_string(&json, "way", holding->way->name);
	json_string(&json, "kind", holding->kind->name);
	json_array(&json, "tricks");
	for (i = 0; i < holding->trick_count; i++)
		json_string(&json, NULL, holding->tricks[i]->name);
	json_array_end(&json);
	json_uint(&json, "size_bytes", holding->size_bytes);
	json_uint(&json, "hold_bytes", holding->hold_bytes);
	if (holding->node < 0)
		json_null(&json, "node");
	else
		json_int(&json, "node", holding->node);
	if (memlock->rlim_cur == RLIM_INFINITY)
		json_null(&json, "memlock_limit_bytes");
	else
		json_uint(&json, "memlock_limit_bytes", memlock->rlim_cur);
	event_end(&json);
}

int play_tricks(struct life *life, enum trick_point point)
{
	struct holding *holding = &life->holding;
	const struct trick *trick;
	struct json json;
	double began;
	int result;
	size_t i;

	for (i = 0; i < holding->trick_count; i++) {
		trick = holding->tricks[i];
		if (!trick->at[point])
			continue;
		life->doing = trick->name;
		began = boottime();
		result = trick->at[point](holding, &life->why);
		event_begin(&json, "trick");
		json_string(&json, "trick", trick->name);
		json_string(&json, "point", trick_point_names[point]);
		json_string(&json, "call", trick->call);
		json_int(&json, "result", result);
		json_errno(&json, result ? life->why.error : 0);
		json_seconds(&json, "seconds", boottime() - began);
		if (trick->report && !result)
			trick->report(point, &json);
		event_end(&json);
		if (result)
			return -1;
	}
	return 0;
}

static int hold(struct life *life, struct hold_result *result)
{
	struct holding *holding = &life->holding;
	struct json json;
	double began = boottime(), ended;

	memset(result, 0, sizeof(*result));
	if (life->attempt)
		life->attempt->began = began;
	holding->way->hold(holding, result);
	ended = boottime();
	if (life->attempt)
		life->attempt->ended = ended;
	event_begin(&json, "hold");
	json_string(&json, "way", holding->way->name);
	json_string(&json, "call", holding->way->call);
	json_int(&json, "result", result->result);
	json_errno(&json, result->error);
	json_seconds(&json, "began", began);
	json_seconds(&json, "seconds", ended - began);
	json_uint(&json, "pages", result->pages);
	json_uint(&json, "first_page", result->first_page);
	if (holding->way->report)
		holding->way->report(holding, &json);
	event_end(&json);
	if (play_tricks(life, AFTER_ATTEMPT) < 0)
		return -1;
	if (result->error) {
		/* Clean refusal: the pages must still be fit for use. */
		renew_pattern(life);
		say_pattern(life, "usable");
	}
	return 0;
}

int await_release(struct life *life, const char **by)
{
	enum order order;

	for (;;) {
		life->doing = "waiting";
		if (next_order(&order, by, &life->why) < 0)
			return -1;
		if (order == ORDER_RELEASE)
			return 0;
		if (say_pages(life, "now") < 0)
			return -1;
	}
}

void say_released(bool held, const char *by, double seconds)
{
	struct json json;

	event_begin(&json, "released");
	json_bool(&json, "held", held);
	json_string(&json, "by", by);
	json_seconds(&json, "seconds", seconds);
	event_end(&json);
}

static int release(struct life *life, bool held, const char *by)
{
	struct holding *holding = &life->holding;
	double began;

	life->why.call[0] = '\0';
	say_pattern(life, "verify");
	life->doing = "release";
	began = boottime();
	if (held && holding->way->release(holding, &life->why) < 0)
		return -1;
	say_released(held, by, boottime() - began);
	if (held && play_tricks(life, AFTER_RELEASE) < 0)
		return -1;
	life->doing = "release";
	if (holding->kind->release && holding->kind->release(holding, &life->why) < 0)
		return -1;
	life->doing = "verify";
	return life->why.call[0] ? -1 : 0;
}

/* Ends the process as the trick wants it, with all that it holds; who watches it says so. */
static void leave(struct life *life) __attribute__((noreturn));

static void leave(struct life *life)
{
	say_pattern(life, "verify");
	life->attempt->leaving = boottime();
	if (life->holding.leaves_by)
		kill(getpid(), life->holding.leaves_by);
	_exit(EXIT_RELEASED);
}

/* From the memory to its release; the exit status, or -1 where life->why says what failed. */
static int live(struct life *life)
{
	struct holding *holding = &life->holding;
	struct hold_result result;
	struct json json;
	const char *by;
	int error;

	/* Should memory run out after all, the OOM killer is to take this and nothing else. */
	error = write_text("/proc/self/oom_score_adj", "1000");
	if (error)
		fprintf(stderr, "pinholder: write(/proc/self/oom_score_adj): %s\n",
			strerror(error));
	life->doing = "setup";
	if (holding->way->setup(holding, &life->why) < 0)
		return -1;
	if (holding->way->own_memory)
		holding->unmapped_by = holding->way->name;
	if (take_memory(life) < 0 || play_tricks(life, AFTER_MEMORY) < 0 ||
	    say_pages(life, "before") < 0)
		return -1;
	if (play_tricks(life, BEFORE_ATTEMPT) < 0 || hold(life, &result) < 0 ||
	    say_pages(life, "after") < 0)
		return -1;
	if (!result.error && holding->kind->held && holding->kind->held(holding, &life->why) < 0)
		return -1;
	if (!result.error && play_tricks(life, AFTER_HOLD) < 0)
		return -1;
	event_begin(&json, result.error ? "refused" : "holding");
	event_end(&json);
	if (await_release(life, &by) < 0)
		return -1;
	if (!result.error && play_tricks(life, BEFORE_RELEASE) < 0)
		return -1;
	if (holding->leaves)
		leave(life);
	if (release(life, !result.error, by) < 0)
		return -1;
	return result.error ? EXIT_REFUSED : EXIT_RELEASED;
}

static int begin(struct life *life, const struct hold_budget *budget)
{
	struct rlimit memlock;

	if (prepare_limits(life, &memlock) < 0)
		return -1;
	say_start(&life->holding, &memlock);
	life->doing = "setup";
	if (orders_open(&life->why) < 0 || play_tricks(life, BEFORE_SETUP) < 0)
		return -1;
	if (budget->seconds > 0)
		return live_bounded(life, budget->seconds, budget->grace_seconds, live);
	return live(life);
}

/*
 * The second life of a holder that has executed this program (trick exec): the memory is gone,
 * what held its pages is in descriptors that are still open.
 */
static int live_after_exec(struct life *life, double executed)
{
	struct json json;
	double began;
	const char *by;

	life->holding.unmapped_by = "exec";
	event_begin(&json, "trick");
	json_string(&json, "trick", "exec");
	json_string(&json, "point", trick_point_names[AFTER_HOLD]);
	json_string(&json, "call", "execv()");
	json_int(&json, "result", 0);
	json_errno(&json, 0);
	json_seconds(&json, "seconds", boottime() - executed);
	event_end(&json);
	if (orders_open(&life->why) < 0)
		return -1;
	event_begin(&json, "holding");
	event_end(&json);
	if (await_release(life, &by) < 0)
		return -1;
	say_pattern(life, "verify");
	began = boottime();
	if (close_range(STDERR_FILENO + 1, ~0U, 0) < 0)
		return failed(&life->why, errno, "close_range()");
	say_released(true, by, boottime() - began);
	return EXIT_RELEASED;
}

int main(int argc, char **argv)
{
	/* Static, so that what it points to at the end is no leak to who looks for leaks. */
	static struct life life = { .doing = "start" };
	struct hold_budget budget;
	unsigned long long executed;
	int exit_status;

	life.holding.page_size_bytes = (size_t)sysconf(_SC_PAGESIZE);
	if (argc == 3 && !strcmp(argv[1], AFTER_EXEC) && parse_count(argv[2], &executed)) {
		life.doing = "after exec";
		exit_status = live_after_exec(&life, (double)executed / 1e6);
	} else {
		parse_options(argc, argv, &life.holding, &budget);
		exit_status = begin(&life, &budget);
	}
	if (exit_status >= 0)
		return exit_status;
	/* Ending the process lets go of whatever it holds. */
	return say_error(life.doing, &life.why);
}
