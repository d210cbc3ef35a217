// SPDX-License-Identifier: GPL-2.0-only
/* An offliner that sleeps for good, with every page of a memory block isolated. */
#include "isolation.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "file.h"
#include "node.h"
#include "withheld.h"

#define MAX_READERS 16
/* TCG on a busy host takes seconds for what takes milliseconds otherwise. */
#define READ_SECONDS 20.0
#define OFFLINE_SECONDS 60.0
#define STEP_SECONDS 0.05
/* Asleep for so long without a break: nothing short-lived is what it waits for. */
#define ASLEEP_SECONDS 0.5

struct helper {
	struct isolation_order order;
	struct isolation_report report;
	struct withheld file;
	pid_t readers[MAX_READERS];
	size_t reader_count;
	pid_t offliner;
	bool busy;			/* there is something to undo */
};

long long count_isolated(int node, struct failure *why)
{
	static const char key[] = "nr_isolated_anon ";
	char path[64], text[32], *all, *at;
	long long count = -1;
	ssize_t length;

	/* Folds each CPU's part into the sum: the counter lags else (mm/vmstat.c). */
	length = read_text("/proc/sys/vm/stat_refresh", text, sizeof(text));
	if (length < 0)
		return failed(why, (int)-length, "read(/proc/sys/vm/stat_refresh)");
	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/vmstat", node);
	length = read_whole(path, &all);
	if (length < 0)
		return failed(why, (int)-length, "read(%s)", path);
	at = strstr(all, key);
	if (!at || sscanf(at + strlen(key), "%lld", &count) != 1 || count < 0)
		failed(why, ENODATA, "read(%s): no nr_isolated_anon", path);
	free(all);
	return count;
}

/* A child has none of our descriptors: the last one of /dev/fuse is to be ours. */
static pid_t start_child(struct helper *helper)
{
	struct failure *why = &helper->report.why;
	sigset_t none;
	pid_t child = fork();

	if (child < 0)
		return failed(why, errno, "fork()");
	if (child)
		return child;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || close(helper->file.device) < 0)
		_exit(errno);
	sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		_exit(errno);
	return 0;
}

static void read_file(const struct helper *helper, size_t number)
{
	unsigned long mask[MAX_NODES / 8 / sizeof(unsigned long)] = { 0 };
	const size_t bits = 8 * sizeof(mask[0]);
	int node = helper->order.node, fd;
	char byte;

	if (node >= 0) {
		mask[(size_t)node / bits] = 1UL << ((size_t)node % bits);
		if (syscall(SYS_set_mempolicy, MPOL_BIND, mask, MAX_NODES + 1) < 0)
			_exit(errno);
	}
	fd = open(helper->file.file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		_exit(errno);
	/* Returns only when the connection has ended. */
	if (pread(fd, &byte, 1, (off_t)(number * WITHHELD_STEP_BYTES)) < 0)
		_exit(errno);
	_exit(0);
}

/* Waits until a reader's folio is locked in the block, or was locked elsewhere. 1, 0 or -1. */
static int await_locked(struct helper *helper, uint64_t locked_before)
{
	struct isolation_report *report = &helper->report;
	size_t withheld = helper->file.withheld;
	double end = boottime() + READ_SECONDS;
	int status;

	while (boottime() < end) {
		if (withheld_serve(&helper->file, STEP_SECONDS, &report->why) < 0)
			return -1;
		if (waitpid(helper->readers[helper->reader_count - 1], &status, WNOHANG) > 0) {
			helper->reader_count--;
			return failed(&report->why, WIFEXITED(status) ? WEXITSTATUS(status) : EINTR,
				      "reading %s", helper->file.file);
		}
		if (helper->file.withheld == withheld)
			continue;
		if (find_locked(&helper->order.block, &report->locked_pfn, &report->locked_pages,
				&report->why) < 0)
			return -1;
		return report->locked_pages > locked_before;
	}
	return failed(&report->why, ETIMEDOUT, "reading %s for %g s", helper->file.file,
		      READ_SECONDS);
}

static int lock_folio(struct helper *helper)
{
	struct isolation_report *report = &helper->report;
	uint64_t pfn, before;
	pid_t reader;
	int found = 0;

	if (find_locked(&helper->order.block, &pfn, &before, &report->why) < 0)
		return -1;
	while (!found && helper->reader_count < MAX_READERS) {
		reader = start_child(helper);
		if (reader < 0)
			return -1;
		if (reader == 0)
			read_file(helper, helper->reader_count);
		helper->readers[helper->reader_count++] = reader;
		report->readers = helper->reader_count;
		found = await_locked(helper, before);
	}
	if (found < 0)
		return -1;
	if (!found) {
		failed(&report->why, ENOENT, "locking a folio in memory%llu by reading %s %d times",
		       (unsigned long long)helper->order.block.number, helper->file.file,
		       MAX_READERS);
		return advise(&report->why, "the kernel put all of them elsewhere: is the block full?");
	}
	return 0;
}

static void wake(int number)
{
	(void)number;	/* the write then returns EINTR */
}

static void take_offline(const struct helper *helper)
{
	struct sigaction on_signal = { .sa_handler = wake };	/* no SA_RESTART */
	char path[80];

	if (sigaction(SIGTERM, &on_signal, NULL) < 0)
		_exit(errno);
	_exit(write_text(block_file(&helper->order.block, "state", path, sizeof(path)), "offline"));
}

/* Whether the offliner has ended; its exit status is the errno of its write. */
static bool offliner_ended(struct helper *helper)
{
	struct isolation_report *report = &helper->report;
	int status;

	if (helper->offliner && waitpid(helper->offliner, &status, WNOHANG) > 0) {
		helper->offliner = 0;
		report->offliner_ended = true;
		report->offliner_error = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
	}
	return !helper->offliner;
}

/* Waits until the offliner sleeps and goes on sleeping, with the pages isolated. */
static int await_isolated(struct helper *helper)
{
	struct isolation_report *report = &helper->report;
	const struct isolation_order *order = &helper->order;
	double end = boottime() + OFFLINE_SECONDS, asleep_since = 0;
	long long sleeps = -1, now;
	struct task_stat stat;

	while (boottime() < end) {
		if (withheld_serve(&helper->file, STEP_SECONDS, &report->why) < 0)
			return -1;
		if (offliner_ended(helper))
			return failed(&report->why, report->offliner_error,
				      "offlining memory%llu, which was to sleep,",
				      (unsigned long long)order->block.number);
		report->isolated = count_isolated(order->node, &report->why);
		if (report->isolated < 0)
			return -1;
		now = task_sleeps(helper->offliner);
		if (!task_stat(helper->offliner, &stat) || stat.state != 'D' || now != sleeps ||
		    report->isolated < report->isolated_before + (long long)order->pages) {
			sleeps = now;
			asleep_since = boottime();
			continue;
		}
		if (boottime() - asleep_since < ASLEEP_SECONDS)
			continue;
		task_place(helper->offliner, &report->offliner);
		return 0;
	}
	failed(&report->why, ETIMEDOUT,
	       "offlining memory%llu for %g s: %lld pages were isolated before, %lld are now",
	       (unsigned long long)order->block.number, OFFLINE_SECONDS, report->isolated_before,
	       report->isolated);
	return advise(&report->why, "%llu were to be isolated, and the offliner to sleep",
		      (unsigned long long)order->pages);
}

static int isolate(struct helper *helper)
{
	struct isolation_report *report = &helper->report;

	helper->busy = true;
	report->isolated_before = count_isolated(helper->order.node, &report->why);
	if (report->isolated_before < 0 || withheld_open(&helper->file, &report->why) < 0 ||
	    lock_folio(helper) < 0)
		return -1;
	helper->offliner = start_child(helper);
	if (helper->offliner < 0) {
		helper->offliner = 0;
		return -1;
	}
	if (helper->offliner == 0)
		take_offline(helper);
	return await_isolated(helper);
}

/* Ends all that isolate() began, whatever became of it. */
static int undo(struct helper *helper)
{
	struct isolation_report *report = &helper->report;
	double end = boottime() + OFFLINE_SECONDS;
	char path[80], state[32] = "";
	int error;

	if (!helper->busy)
		return 0;
	helper->busy = false;
	/* First the signal, so that the offliner wakes with it and tries no second pass. */
	if (helper->offliner && kill(helper->offliner, SIGTERM) < 0)
		return failed(&report->why, errno, "kill(offliner, SIGTERM)");
	withheld_close(&helper->file);
	while (!offliner_ended(helper) && boottime() < end)
		pause_for(STEP_SECONDS);
	if (helper->offliner)
		return failed(&report->why, ETIMEDOUT, "ending the offliner by SIGTERM for %g s",
			      OFFLINE_SECONDS);
	for (; helper->reader_count; helper->reader_count--)
		if (waitpid(helper->readers[helper->reader_count - 1], NULL, 0) < 0)
			return failed(&report->why, errno, "waitpid(reader)");
	block_file(&helper->order.block, "state", path, sizeof(path));
	if (report->offliner_ended && read_text(path, state, sizeof(state)) > 0 &&
	    !strcmp(state, "offline\n")) {
		error = write_text(path, "online_movable");
		if (error)
			return failed(&report->why, error, "write(%s, online_movable)", path);
	}
	report->isolated = count_isolated(helper->order.node, &report->why);
	return report->isolated < 0 ? -1 : 0;
}

static void redirect(void)
{
	int null = open("/dev/null", O_RDWR);

	/* Whoever reads what the holder says is not to wait for the end of us. */
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(null, STDERR_FILENO) < 0)
		_exit(errno);
	if (null > STDERR_FILENO)
		close(null);
}

/* The next order; false where everybody who could give one has ended. */
static bool next_order(struct helper *helper, int socket, struct isolation_order *order)
{
	struct failure ignored;
	ssize_t got;

	for (;;) {
		got = recv(socket, order, sizeof(*order), MSG_DONTWAIT);
		if (got == (ssize_t)sizeof(*order))
			return true;
		if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
			return false;
		/* Meanwhile the file is served on: somebody may look at the mount. */
		if (!helper->busy || withheld_serve(&helper->file, STEP_SECONDS, &ignored) < 0)
			pause_for(STEP_SECONDS);
	}
}

void isolation_serve(int socket)
{
	struct helper helper = { .file = { .device = -1 } };
	struct isolation_order order;
	struct failure first;

	redirect();
	while (next_order(&helper, socket, &order)) {
		memset(&helper.report, 0, sizeof(helper.report));
		if (order.undo) {
			helper.report.failed = undo(&helper) < 0;
		} else {
			helper.order = order;
			helper.report.failed = isolate(&helper) < 0;
		}
		if (helper.report.failed && helper.busy) {
			first = helper.report.why;
			undo(&helper);
			helper.report.why = first;
		}
		helper.report.block = helper.order.block.number;
		helper.report.pages = helper.order.pages;
		if (send(socket, &helper.report, sizeof(helper.report), MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(undo(&helper) < 0 ? EIO : 0);
}
