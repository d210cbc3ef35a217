// SPDX-License-Identifier: GPL-2.0-only
/*
 * Has zsmalloc take pages of the node: what is written to a zram device and cannot be compressed
 * takes a page each. Its pages come from ZONE_MOVABLE, for zsmalloc can move them (struct
 * movable_operations): they are no memory of any process, and no hold either.
 */
#include "pinholder/holding.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kernel-page-flags.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "file.h"
#include "pinholder/frames.h"
#include "pinholder/node.h"
#include "pinholder/pages.h"
#include "pinholder/undo.h"

#define ZSMALLOC_CONTROL "/sys/class/zram-control/"
#define ZSMALLOC_REFRESH "/proc/sys/vm/stat_refresh"

/* The kernel's own include/linux/kernel-page-flags.h; not in the header for programs. */
#ifndef KPF_PRIVATE
#define KPF_PRIVATE 35
#endif

static struct {
	char number[16];	/* of the zram device */
	int file;
	struct undo undo;
	uint64_t zspages;	/* by which the node's count grew */
} zsmalloc = { .file = -1 };

static int zsmalloc_set(const char *name, const char *value)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/block/zram%s/%s", zsmalloc.number, name);
	return write_text(path, value);
}

static int zsmalloc_remove(void)
{
	int error = zsmalloc_set("reset", "1");

	return error ? error : write_text(ZSMALLOC_CONTROL "hot_remove", zsmalloc.number);
}

static int zsmalloc_device(size_t bytes, struct failure *why)
{
	char text[32], path[32];
	ssize_t length = read_text(ZSMALLOC_CONTROL "hot_add", text, sizeof(text));
	int error;

	if (length < 0) {
		unsupported(why, (int)-length, "read(" ZSMALLOC_CONTROL "hot_add)");
		return advise(why, "this takes CONFIG_ZRAM, its module loaded");
	}
	text[strcspn(text, "\n")] = '\0';
	snprintf(zsmalloc.number, sizeof(zsmalloc.number), "%.15s", text);
	if (undo_later(&zsmalloc.undo, zsmalloc_remove, why) < 0)
		return -1;
	snprintf(text, sizeof(text), "%zu", bytes);
	error = zsmalloc_set("disksize", text);
	if (error)
		return failed(why, error, "write(/sys/block/zram%s/disksize, %s)",
			      zsmalloc.number, text);
	snprintf(path, sizeof(path), "/dev/zram%s", zsmalloc.number);
	zsmalloc.file = open(path, O_WRONLY | O_DIRECT | O_CLOEXEC);
	if (zsmalloc.file < 0)
		return failed(why, errno, "open(%s)", path);
	return 0;
}

/* nr_zspages of all zones of a node (/proc/zoneinfo). */
static int zsmalloc_count(int node, uint64_t *zspages, struct failure *why)
{
	bool known = false;
	int zone_node = -1;
	char *text, *line;
	uint64_t count;
	ssize_t length;

	/* Has the CPUs add what each has counted for itself (without it the count lags: 6.18). */
	if (access(ZSMALLOC_REFRESH, F_OK) == 0 && write_text(ZSMALLOC_REFRESH, "1"))
		return failed(why, EIO, "write(" ZSMALLOC_REFRESH ")");
	length = read_whole("/proc/zoneinfo", &text);
	if (length < 0)
		return failed(why, (int)-length, "read(/proc/zoneinfo)");
	*zspages = 0;
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		sscanf(line, "Node %d, zone", &zone_node);
		if (zone_node != node || sscanf(line, " nr_zspages %" SCNu64, &count) != 1)
			continue;
		known = true;
		*zspages += count;
	}
	free(text);
	if (known)
		return 0;
	unsupported(why, 0, "read(/proc/zoneinfo): no nr_zspages on node %d", node);
	return advise(why, "this takes CONFIG_ZSMALLOC");
}

/* A zspage of one page: private to something, and on no list of pages that processes have. */
static int zsmalloc_places(const struct holding *holding, struct page_places *places,
			   struct failure *why)
{
	return find_node_flagged(holding->node, holding->page_size_bytes, 1ULL << KPF_PRIVATE,
				 1ULL << KPF_LRU | 1ULL << KPF_BUDDY | 1ULL << KPF_SLAB, places,
				 why);
}

static int zsmalloc_setup(struct holding *holding, struct failure *why)
{
	if (holding->node < 0) {
		failed(why, EINVAL, "finding zsmalloc's pages on no node in particular");
		return advise(why, "say which one with --node");
	}
	/* Whether the kernel counts them; how many there are is of no interest before the hold. */
	if (zsmalloc_count(holding->node, &zsmalloc.zspages, why) < 0)
		return -1;
	zsmalloc.zspages = 0;
	return zsmalloc_device(holding->hold_bytes, why);
}

static int zsmalloc_write(const struct holding *holding, struct failure *why)
{
	const size_t page = holding->page_size_bytes;
	unsigned char *data = aligned_alloc(page, page);
	size_t done, got;
	int result = 0;

	if (!data)
		return failed(why, errno, "aligned_alloc()");
	for (done = 0; done < holding->hold_bytes && !result; done += page) {
		for (got = 0; got < page; got += 256)	/* so much comes uninterrupted */
			if (getrandom(data + got, 256, 0) != 256)
				result = failed(why, errno, "getrandom()");
		if (!result && pwrite(zsmalloc.file, data, page, (off_t)done) != (ssize_t)page)
			result = failed(why, errno, "pwrite(zram)");
	}
	free(data);
	return result;
}

/* How many pages look like zsmalloc's on the node. */
static int zsmalloc_look(const struct holding *holding, uint64_t *pages, struct failure *why)
{
	struct page_places places;
	size_t i;

	if (zsmalloc_places(holding, &places, why) < 0)
		return -1;
	*pages = 0;
	for (i = 0; i < places.runs.count; i++)
		*pages += places.runs.run[i].count;
	runs_free(&places.runs);
	return 0;
}

/* The kernel does not name its pages: what is told of them is what two sources agree on. */
static int zsmalloc_begin(const struct holding *holding, struct failure *why)
{
	uint64_t before, zspages, others, pages;

	if (zsmalloc_count(holding->node, &before, why) < 0 ||
	    zsmalloc_look(holding, &others, why) < 0)
		return -1;
	if (others)
		return failed(why, EBUSY, "telling pages from %" PRIu64 " others", others);
	if (node_bind_thread(holding->node, why) < 0 || zsmalloc_write(holding, why) < 0 ||
	    node_bind_thread(-1, why) < 0 ||
	    zsmalloc_count(holding->node, &zspages, why) < 0 ||
	    zsmalloc_look(holding, &pages, why) < 0)
		return -1;
	zsmalloc.zspages = zspages - before;
	if (zsmalloc.zspages == holding->hold_bytes / holding->page_size_bytes &&
	    zsmalloc.zspages == pages)
		return 0;
	return failed(why, EBADMSG, "%" PRIu64 " pages are there, %" PRIu64 " zspages more", pages,
		      zsmalloc.zspages);
}

static int zsmalloc_release(struct holding *holding, struct failure *why)
{
	(void)holding;
	if (close(zsmalloc.file) < 0)
		return failed(why, errno, "close(zram)");
	return undo_now(&zsmalloc.undo, "taking the zram device back", why);
}

/* Nobody refers to the pages but who can move them: they are there (places), none is held. */
static void zsmalloc_hold(struct holding *holding, struct hold_result *result)
{
	struct failure why;

	if (zsmalloc_begin(holding, &why) < 0) {
		fprintf(stderr, "pinholder: %s\n", why.call);
		result->error = why.error;
		if (zsmalloc_release(holding, &why) < 0)
			fprintf(stderr, "pinholder: undoing a refused hold: %s\n", why.call);
	}
	result->result = result->error ? -1 : 0;
}

static void zsmalloc_report(const struct holding *holding, struct json *json)
{
	(void)holding;
	json_uint(json, "nr_zspages", zsmalloc.zspages);
}

const struct hold_path hold_zsmalloc = {
	.name = "zsmalloc",
	.summary = "pages of zsmalloc behind a zram device: movable",
	.call = "pwrite(zram)",
	.own_memory = true,
	.setup = zsmalloc_setup,
	.hold = zsmalloc_hold,
	.release = zsmalloc_release,
	.places = zsmalloc_places,
	.report = zsmalloc_report,
};
