// SPDX-License-Identifier: GPL-2.0-only
/* The memory of a holder: taken on its node, filled with a pattern, told page by page. */
#include "life.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "census.h"
#include "clock.h"
#include "events.h"
#include "node.h"
#include "pages.h"
#include "pattern.h"

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
	if (holding->kind->report)
		holding->kind->report(holding, &json);
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

static int check_node(struct life *life, const struct node_pages *pages)
{
	const struct holding *holding = &life->holding;
	size_t total = holding->size_bytes / holding->page_size_bytes;

	if (holding->node < 0 || pages->on[holding->node] == total)
		return 0;
	return failed(&life->why, 0, "only %zu of %zu pages are on node %d",
		      pages->on[holding->node], total, holding->node);
}

int take_memory(struct life *life)
{
	struct holding *holding = &life->holding;
	const struct memory_kind *kind = holding->kind;
	struct node_pages pages;
	double began;
	int counted;

	if (check_available(life) < 0)
		return -1;
	if (holding->way->own_memory)
		return 0;
	began = boottime();
	life->doing = "memory";
	if (kind->map(holding, &life->why) < 0 || play_tricks(life, AFTER_MAP) < 0)
		return -1;
	life->doing = "memory";
	if (holding->node >= 0 && (node_bind(holding, &life->why) < 0 ||
				   node_bind_thread(holding->node, &life->why) < 0))
		return -1;
	renew_pattern(life);
	counted = node_count_pages(holding, &pages, &life->why);
	if (counted < 0 && life->why.error != ENOSYS)
		return -1;
	say_memory(holding, counted < 0 ? NULL : &pages, boottime() - began);
	if (counted == 0 && check_node(life, &pages) < 0)
		return -1;
	if (kind->settle && kind->settle(holding, &life->why) < 0)
		return -1;
	if (holding->node >= 0 && node_bind_thread(-1, &life->why) < 0)
		return -1;
	return 0;
}

/* Where the memory's pages are, or those that the way made. */
static int find_places(struct life *life, struct page_places *places)
{
	const struct holding *holding = &life->holding;

	if (holding->way->own_memory)
		return holding->way->places(holding, places, &life->why);
	return find_pages(holding, places, &life->why);
}

int say_pages(struct life *life, const char *when)
{
	const struct holding *holding = &life->holding;
	struct page_places places;
	struct json json;

	life->doing = "pages";
	if (!holding->address && !(holding->way && holding->way->own_memory)) {
		event_begin(&json, "pages");
		json_string(&json, "when", when);
		json_null(&json, "runs");
		json_string(&json, "unmapped_by", holding->unmapped_by);
		event_end(&json);
		return 0;
	}
	if (find_places(life, &places) < 0)
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
	say_census(&places, &json);
	event_end(&json);
	runs_free(&places.runs);
	return 0;
}

void renew_pattern(struct life *life)
{
	if (life->holding.address)
		pattern_write(&life->holding, ++life->pattern);
}

void say_pattern(struct life *life, const char *event)
{
	const struct holding *holding = &life->holding;
	struct json json;
	size_t bad;

	event_begin(&json, event);
	if (holding->address) {
		bad = pattern_bad_pages(holding, life->pattern);
		json_bool(&json, "ok", bad == 0);
		json_uint(&json, "bad_pages", bad);
		if (bad)
			failed(&life->why, 0, "%zu pages lost their contents", bad);
	} else {
		json_null(&json, "ok");
		json_null(&json, "bad_pages");
		json_string(&json, "unmapped_by", holding->unmapped_by);
	}
	event_end(&json);
}
