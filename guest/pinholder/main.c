// SPDX-License-Identifier: GPL-2.0-only
/* The life of a holder: memory, hold, wait, verify, release. */
#include "holding.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "clock.h"
#include "events.h"
#include "file.h"
#include "node.h"
#include "options.h"
#include "pages.h"
#include "pattern.h"

/* Everything that ends the run with status 3 comes through here. */
struct life {
	struct holding holding;
	struct failure why;
	const char *doing;
	uint64_t pattern;	/* the generation that the memory holds */
};

static int prepare_limits(struct life *life, struct rlimit *memlock)
{
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	int error;

	life->doing = "limits";
	/* Should memory run out after all, the OOM killer is to take this and nothing else. */
	error = write_text("/proc/self/oom_score_adj", "1000");
	if (error)
		fprintf(stderr, "pinholder: write(/proc/self/oom_score_adj): %s\n",
			strerror(error));
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

static int play_tricks(struct life *life, enum trick_point point)
{
	struct holding *holding = &life->holding;
	struct json json;
	double began;
	int result;
	size_t i;

	for (i = 0; i < holding->trick_count; i++) {
		if (!holding->tricks[i]->at[point])
			continue;
		life->doing = holding->tricks[i]->name;
		began = boottime();
		result = holding->tricks[i]->at[point](holding, &life->why);
		event_begin(&json, "trick");
		json_string(&json, "trick", holding->tricks[i]->name);
		json_string(&json, "point", trick_point_names[point]);
		json_string(&json, "call", holding->tricks[i]->call);
		json_int(&json, "result", result);
		json_errno(&json, result ? life->why.error : 0);
		json_seconds(&json, "seconds", boottime() - began);
		event_end(&json);
		if (result)
			return -1;
	}
	return 0;
}

/* Refuses what the node cannot give, for asking would wake the OOM killer. */
static int check_available(struct life *life)
{
	const struct holding *holding = &life->holding;
	struct node_memory memory;
	struct json json;

	life->doing = "available";
	if (node_memory(holding->node, &memory, &life->why) < 0)
		return -1;
	event_begin(&json, "available");
	json_uint(&json, "total_bytes", memory.total);
	json_uint(&json, "free_bytes", memory.free);
	json_uint(&json, "usable_bytes", memory.usable);
	event_end(&json);
	if (holding->size_bytes <= memory.usable)
		return 0;
	life->doing = "memory";
	failed(&life->why, ENOMEM, "allocating %zu bytes", holding->size_bytes);
	if (holding->node < 0)
		return advise(&life->why, "this machine has %" PRIu64 " bytes to give",
			      memory.usable);
	if (!memory.total)
		return advise(&life->why, "node %d has no memory online", holding->node);
	return advise(&life->why, "node %d has %" PRIu64 " of %" PRIu64 " bytes free, %" PRIu64
		      " of them above its watermarks", holding->node, memory.free, memory.total,
		      memory.usable);
}

static void say_memory(const struct holding *holding, const struct node_pages *pages,
		       double seconds)
{
	struct json json;
	char node[16];
	int i;

	event_begin(&json, "memory");
	json_address(&json, "address", (uintptr_t)holding->address);
	json_uint(&json, "bytes", holding->size_bytes);
	json_uint(&json, "pages", holding->size_bytes / holding->page_size_bytes);
	json_seconds(&json, "seconds", seconds);
	if (pages) {
		json_object(&json, "pages_by_node");
		for (i = 0; i < MAX_NODES; i++) {
			snprintf(node, sizeof(node), "%d", i);
			if (pages->on[i])
				json_uint(&json, node, pages->on[i]);
		}
		json_object_end(&json);
	} else {
		json_null(&json, "pages_by_node");	/* a kernel without NUMA */
	}
	event_end(&json);
}

static int take_memory(struct life *life)
{
	struct holding *holding = &life->holding;
	size_t total = holding->size_bytes / holding->page_size_bytes;
	struct node_pages pages;
	double began = boottime();
	int counted;

	life->doing = "memory";
	if (holding->kind->map(holding, &life->why) < 0 || play_tricks(life, AFTER_MAP) < 0)
		return -1;
	life->doing = "memory";
	if (holding->node >= 0 && node_bind(holding, &life->why) < 0)
		return -1;
	pattern_write(holding, ++life->pattern);
	counted = node_count_pages(holding, &pages, &life->why);
	if (counted < 0 && life->why.error != ENOSYS)
		return -1;
	say_memory(holding, counted < 0 ? NULL : &pages, boottime() - began);
	if (holding->node >= 0 && counted == 0 && pages.on[holding->node] != total) {
		failed(&life->why, 0, "only %zu of %zu pages are on node %d",
		       pages.on[holding->node], total, holding->node);
		return -1;
	}
	return play_tricks(life, AFTER_MEMORY);
}

static int say_pages(struct life *life, const char *when)
{
	struct page_places places;
	struct json json;

	life->doing = "pages";
	if (!life->holding.address) {
		event_begin(&json, "pages");
		json_string(&json, "when", when);
		json_null(&json, "runs");
		json_string(&json, "unmapped_by", life->holding.unmapped_by);
		event_end(&json);
		return 0;
	}
	if (find_pages(&life->holding, &places, &life->why) < 0)
		return -1;
	event_begin(&json, "pages");
	json_string(&json, "when", when);
	if (places.hidden)
		json_null(&json, "runs");	/* PFNs take CAP_SYS_ADMIN */
	else
		runs_json(&places.runs, &json, "runs");
	json_uint(&json, "absent", places.absent);
	json_uint(&json, "swapped", places.swapped);
	json_uint(&json, "hidden", places.hidden);
	event_end(&json);
	runs_free(&places.runs);
	return 0;
}

static void say_pattern(struct life *life, const char *event)
{
	struct json json;
	size_t bad;

	event_begin(&json, event);
	if (life->holding.address) {
		bad = pattern_bad_pages(&life->holding, life->pattern);
		json_bool(&json, "ok", bad == 0);
		json_uint(&json, "bad_pages", bad);
		if (bad)
			failed(&life->why, 0, "%zu pages lost their contents", bad);
	} else {
		json_null(&json, "ok");
		json_null(&json, "bad_pages");
		json_string(&json, "unmapped_by", life->holding.unmapped_by);
	}
	event_end(&json);
}

static void hold(struct life *life, struct hold_result *result)
{
	struct holding *holding = &life->holding;
	struct json json;
	double began = boottime();

	memset(result, 0, sizeof(*result));
	holding->way->hold(holding, result);
	event_begin(&json, "hold");
	json_string(&json, "way", holding->way->name);
	json_string(&json, "call", holding->way->call);
	json_int(&json, "result", result->result);
	json_errno(&json, result->error);
	json_seconds(&json, "began", began);
	json_seconds(&json, "seconds", boottime() - began);
	json_uint(&json, "pages", result->pages);
	if (holding->way->report)
		holding->way->report(holding, &json);
	event_end(&json);
	if (result->error) {
		/* Clean refusal: the pages must still be fit for use. */
		pattern_write(holding, ++life->pattern);
		say_pattern(life, "usable");
	}
}

static int await_release(struct life *life, const char **by)
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

static int release(struct life *life, bool held, const char *by)
{
	struct holding *holding = &life->holding;
	struct json json;
	double began;

	life->why.call[0] = '\0';
	say_pattern(life, "verify");
	life->doing = "release";
	began = boottime();
	if (held && holding->way->release(holding, &life->why) < 0)
		return -1;
	event_begin(&json, "released");
	json_bool(&json, "held", held);
	json_string(&json, "by", by);
	json_seconds(&json, "seconds", boottime() - began);
	event_end(&json);
	if (held && play_tricks(life, AFTER_RELEASE) < 0)
		return -1;
	life->doing = "verify";
	return life->why.call[0] ? -1 : 0;
}

static int live(struct life *life)
{
	struct holding *holding = &life->holding;
	struct hold_result result;
	struct rlimit memlock;
	struct json json;
	const char *by;

	if (prepare_limits(life, &memlock) < 0)
		return -1;
	say_start(holding, &memlock);
	life->doing = "setup";
	if (orders_open(&life->why) < 0 || holding->way->setup(holding, &life->why) < 0)
		return -1;
	if (check_available(life) < 0 || take_memory(life) < 0 || say_pages(life, "before") < 0)
		return -1;
	hold(life, &result);
	if (say_pages(life, "after") < 0)
		return -1;
	if (!result.error && play_tricks(life, AFTER_HOLD) < 0)
		return -1;
	event_begin(&json, result.error ? "refused" : "holding");
	event_end(&json);
	if (await_release(life, &by) < 0)
		return -1;
	if (!result.error && play_tricks(life, BEFORE_RELEASE) < 0)
		return -1;
	if (release(life, !result.error, by) < 0)
		return -1;
	return result.error ? EXIT_REFUSED : EXIT_RELEASED;
}

int main(int argc, char **argv)
{
	struct life life = { .doing = "start" };
	int exit_status;

	life.holding.page_size_bytes = (size_t)sysconf(_SC_PAGESIZE);
	parse_options(argc, argv, &life.holding);
	exit_status = live(&life);
	if (exit_status >= 0)
		return exit_status;
	/* Ending the process lets go of whatever it holds. */
	say_error(life.doing, &life.why);
	return EXIT_FAILED;
}
