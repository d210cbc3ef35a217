// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirties the page cache of a FUSE file (writeback_cache) and has it written back to a server that
 * does not answer. Kernels from 6.16 on write from the pages themselves, which stay under writeback;
 * older ones send copies (fuse_writepages_fill(), fs/fuse/file.c), and the pages are free at once.
 * So what is held is what the page flags show to be under writeback.
 */
#include "pinholder/holding.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "file.h"
#include "pinholder/census.h"
#include "pinholder/node.h"
#include "pinholder/pages.h"
#include "pinholder/withheld.h"

/* WRITE comes at once; that it does not come at all is a failure, after this long. */
#define FUSE_WRITEBACK_MS 10000

static struct {
	struct withheld withheld;
	pid_t server;
	int told;
	int file;
	/* Of the file; taking it away waits for all that is under writeback (fuse_vma_close()). */
	unsigned char *view;
	bool written;
	uint64_t flagged;	/* pages under writeback, once they were sent */
	long long copies;	/* pages of the kernel's own that were sent in their stead */
} fuse_writeback = { .file = -1 };

/*
 * A server that has written nothing as yet may have hardly a page dirty: the writer would sleep in
 * balance_dirty_pages() (6.12, 1 MiB) for as long as the server does not answer. The share goes
 * with the mount.
 */
static int fuse_writeback_allow(struct failure *why)
{
	static const struct {
		const char *name, *percent;
	} shares[] = { { "max_ratio", "100" }, { "min_ratio", "50" } };
	struct stat status;
	char path[64];
	int error;
	size_t i;

	if (fstat(fuse_writeback.file, &status) < 0)
		return failed(why, errno, "fstat(FUSE file)");
	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/%s", major(status.st_dev),
			 minor(status.st_dev), shares[i].name);
		error = write_text(path, shares[i].percent);
		if (error)
			return failed(why, error, "write(%s)", path);
	}
	return 0;
}

static int fuse_writeback_setup(struct holding *holding, struct failure *why)
{
	if (holding->hold_bytes > WITHHELD_BYTES) {
		failed(why, E2BIG, "fuse_writeback");
		return advise(why, "its file has %zu bytes: use --hold-size", WITHHELD_BYTES);
	}
	if (withheld_open_for_writing(&fuse_writeback.withheld, why) < 0)
		return -1;
	fuse_writeback.server = withheld_serve_in_child(&fuse_writeback.withheld,
							&fuse_writeback.told, why);
	if (fuse_writeback.server < 0)
		return -1;
	fuse_writeback.file = open(fuse_writeback.withheld.file, O_RDWR | O_CLOEXEC);
	if (fuse_writeback.file < 0)
		return failed(why, errno, "open(%s)", fuse_writeback.withheld.file);
	fuse_writeback.view = mmap(NULL, holding->hold_bytes, PROT_READ, MAP_SHARED,
				   fuse_writeback.file, 0);
	if (fuse_writeback.view == MAP_FAILED)
		return failed(why, errno, "mmap(FUSE file)");
	return fuse_writeback_allow(why);
}

/* Copies under way, of the whole machine; -1: the kernel does not say. */
static long long fuse_writeback_copies(void)
{
	static const char key[] = "\nnr_writeback_temp ";
	long long copies = -1;
	char *text;
	const char *at;

	/* The CPUs add what each has counted for itself (else 250 of 256 show: 5.10, 6.12). */
	if (write_text("/proc/sys/vm/stat_refresh", "1") || read_whole("/proc/vmstat", &text) < 0)
		return -1;
	at = strstr(text, key);
	if (!at || sscanf(at + sizeof(key) - 1, "%lld", &copies) != 1)
		copies = -1;
	free(text);
	return copies;
}

/* Dirty pages of the node, a page at a time, each whole: nothing has to be read for it. */
static int fuse_writeback_write(const struct holding *holding, struct failure *why)
{
	char *page = malloc(holding->page_size_bytes);
	size_t done;
	int result = 0;

	if (!page)
		return failed(why, errno, "malloc()");
	memset(page, 0x5a, holding->page_size_bytes);
	for (done = 0; done < holding->hold_bytes && !result; done += holding->page_size_bytes)
		if (pwrite(fuse_writeback.file, page, holding->page_size_bytes, (off_t)done) !=
		    (ssize_t)holding->page_size_bytes)
			result = failed(why, errno, "pwrite(FUSE file)");
	free(page);
	return result;
}

/*
 * The file's pages that are in page cache, through a mapping; which pages there are is asked
 * first, for READ would be asked for those that are not. flagged may be NULL.
 */
static int fuse_writeback_look(const struct holding *holding, struct page_places *places,
			       uint64_t *flagged, struct failure *why)
{
	const size_t page = holding->page_size_bytes, pages = holding->hold_bytes / page;
	struct holding view = *holding;
	unsigned char *there = malloc(pages);
	int result = 0;
	size_t i;

	if (!there)
		return failed(why, errno, "malloc()");
	view.address = fuse_writeback.view;
	view.size_bytes = 0;
	if (mincore(view.address, holding->hold_bytes, there) < 0)
		result = failed(why, errno, "mincore(FUSE file)");
	for (i = 0; !result && i < pages && there[i] & 1; i++) {
		(void)*(volatile unsigned char *)(view.address + i * page);
		view.size_bytes += page;
	}
	free(there);
	if (!result && view.size_bytes)
		result = find_pages(&view, places, why);
	if (!result && view.size_bytes && flagged)
		result = count_flagged(places, KPF_WRITEBACK, flagged, why);
	return result;
}

static int fuse_writeback_places(const struct holding *holding, struct page_places *places,
				 struct failure *why)
{
	memset(places, 0, sizeof(*places));
	if (!fuse_writeback.written)
		return 0;
	return fuse_writeback_look(holding, places, NULL, why);
}

static int fuse_writeback_begin(const struct holding *holding, struct failure *why)
{
	struct pollfd told = { .fd = fuse_writeback.told, .events = POLLIN };
	long long copies = fuse_writeback_copies();
	struct page_places places = { 0 };
	int result;

	if (node_bind_thread(holding->node, why) < 0 || fuse_writeback_write(holding, why) < 0 ||
	    node_bind_thread(-1, why) < 0)
		return -1;
	fuse_writeback.written = true;
	if (sync_file_range(fuse_writeback.file, 0, (off_t)holding->hold_bytes,
			    SYNC_FILE_RANGE_WRITE) < 0)
		return failed(why, errno, "sync_file_range(FUSE file)");
	if (poll(&told, 1, FUSE_WRITEBACK_MS) != 1)
		return failed(why, ETIMEDOUT, "waiting for a WRITE");
	fuse_writeback.copies = copies < 0 ? -1 : fuse_writeback_copies() - copies;
	result = fuse_writeback_look(holding, &places, &fuse_writeback.flagged, why);
	runs_free(&places.runs);
	return result;
}

static int fuse_writeback_release(struct holding *holding, struct failure *why)
{
	/* With the connection all that it was to write ends, in an error. */
	if (withheld_end_child(&fuse_writeback.withheld, fuse_writeback.server, why) < 0)
		return -1;
	fuse_writeback.written = false;
	if (munmap(fuse_writeback.view, holding->hold_bytes) < 0)
		return failed(why, errno, "munmap(FUSE file)");
	/* Closing tells that error, or that the server is gone. */
	if ((close(fuse_writeback.file) < 0 && errno != ENOTCONN && errno != EIO) ||
	    close(fuse_writeback.told) < 0)
		return failed(why, errno, "close(FUSE file)");
	return 0;
}

static void fuse_writeback_hold(struct holding *holding, struct hold_result *result)
{
	const size_t pages = holding->hold_bytes / holding->page_size_bytes;
	struct failure why;

	if (fuse_writeback_begin(holding, &why) < 0) {
		fprintf(stderr, "pinholder: %s\n", why.call);
		result->error = why.error;
	} else if (fuse_writeback.flagged && fuse_writeback.flagged != pages) {
		result->error = EAGAIN;		/* some: which, nobody would know */
	}
	result->result = result->error ? -1 : 0;
	result->pages = result->error ? 0 : fuse_writeback.flagged;
	if (result->error && fuse_writeback_release(holding, &why) < 0)
		fprintf(stderr, "pinholder: undoing a refused hold: %s\n", why.call);
}

static void fuse_writeback_report(const struct holding *holding, struct json *json)
{
	(void)holding;
	json_uint(json, "under_writeback", fuse_writeback.flagged);
	if (fuse_writeback.copies < 0)
		json_null(json, "nr_writeback_temp");
	else
		json_int(json, "nr_writeback_temp", fuse_writeback.copies);
}

const struct hold_path hold_fuse_writeback = {
	.name = "fuse_writeback",
	.summary = "page cache of a FUSE file whose WRITE gets no answer: under writeback from 6.16 on",
	.call = "sync_file_range(FUSE file)",
	.own_memory = true,
	.setup = fuse_writeback_setup,
	.hold = fuse_writeback_hold,
	.release = fuse_writeback_release,
	.places = fuse_writeback_places,
	.report = fuse_writeback_report,
};
