// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds one page by a core dump that does not come to its end: dump_user_range() (fs/coredump.c)
 * refers to a page (FOLL_GET) while it writes that, and the pipe it writes to is full.
 *
 * A fork dumps: it has the same pages.
 */
#include "pinholder/holding.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "file.h"
#include "pinholder/core_pipe.h"
#include "task.h"

/* A pipe's slots, as it is made; each takes a page of the core at most. */
#define COREDUMP_SLOTS 16
/* In both the kernel works all the time; emulated that takes a second. */
#define COREDUMP_MS 20000

static struct {
	struct core_pipe core;
	pid_t dumper;		/* 0: none */
	int pipe;		/* what it dumps into */
	int written;		/* bytes of the core in the pipe */
} coredump = { .pipe = -1 };

static int coredump_setup(struct holding *holding, struct failure *why)
{
	const size_t least = 2 * COREDUMP_SLOTS * holding->page_size_bytes;

	if (holding->hold_bytes < least) {
		failed(why, EINVAL, "coredump");
		return advise(why, "so little fits into the pipe: hold %zu bytes or more", least);
	}
	return core_pipe_prepare(&coredump.core, why);
}

static bool coredump_leave_out(uintptr_t start, uintptr_t end)
{
	/* ENOMEM: [vsyscall], which is listed and is no mapping of the process. */
	return start >= end || madvise((void *)start, end - start, MADV_DONTDUMP) == 0 ||
	       errno == ENOMEM;
}

/* All that the core is to have is the memory to hold. */
static bool coredump_leave_out_others(const struct holding *holding)
{
	const uintptr_t first = (uintptr_t)holding->address, last = first + holding->hold_bytes;
	uintptr_t start, end;
	char *maps, *line;

	if (read_whole("/proc/self/maps", &maps) < 0)
		return false;
	for (line = strtok(maps, "\n"); line; line = strtok(NULL, "\n")) {
		if (sscanf(line, "%lx-%lx", &start, &end) != 2 ||
		    !coredump_leave_out(start, end < first ? end : first) ||
		    !coredump_leave_out(start > last ? start : last, end))
			return false;
	}
	return true;	/* maps goes with the process */
}

static void coredump_dump(const struct holding *holding, pid_t holder)
	__attribute__((noreturn));

static void coredump_dump(const struct holding *holding, pid_t holder)
{
	/* SIGKILL is the one signal that ends a dump. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != holder)
		_exit(1);
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	if (prctl(PR_SET_DUMPABLE, 1) < 0 || signal(SIGABRT, SIG_DFL) == SIG_ERR ||
	    write_text("/proc/self/coredump_filter", "0x1ff") ||
	    !coredump_leave_out_others(holding))
		_exit(1);
	abort();
}

/* Whether nothing more can be written to the pipe; -1: it cannot be told. */
static int coredump_is_full(void)
{
	struct pollfd room = { .events = POLLOUT };
	char path[32];
	int result;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", coredump.pipe);
	room.fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (room.fd < 0)
		return -1;
	result = poll(&room, 1, 0);
	close(room.fd);
	return result < 0 ? -1 : !(room.revents & POLLOUT);
}

/* The dumper sleeps nowhere else interruptibly than on the full pipe. */
static int coredump_await_full(void)
{
	const double end = boottime() + COREDUMP_MS / 1000.0;
	struct task_stat stat;
	int full;

	while (boottime() < end) {
		full = coredump_is_full();
		if (full < 0)
			return errno;
		if (!task_stat(coredump.dumper, &stat) || stat.state == 'Z')
			return ESRCH;
		if (full && stat.state == 'S')
			return ioctl(coredump.pipe, FIONREAD, &coredump.written) < 0 ? errno : 0;
		pause_for(0.01);
	}
	return ETIMEDOUT;
}

/* The core's first bytes, which stay in the pipe; how many, or -1. */
static ssize_t coredump_look(void *head, size_t size)
{
	ssize_t got = -1;
	int copy[2];

	if (pipe2(copy, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	if (tee(coredump.pipe, copy[1], size, SPLICE_F_NONBLOCK) > 0)
		got = read(copy[0], head, size);
	close(copy[0]);
	close(copy[1]);
	return got;
}

/* The page that the kernel is to write next: the core's headers say where it belongs. */
static int coredump_find_page(const struct holding *holding, size_t *page)
{
	union {
		ElfW(Ehdr) header;
		char bytes[4096];
	} head;
	const ssize_t got = coredump_look(&head, sizeof(head));
	const size_t written = (size_t)coredump.written;
	ElfW(Phdr) segment;
	size_t i, at;

	if (got < (ssize_t)sizeof(head.header) || memcmp(head.bytes, ELFMAG, SELFMAG))
		return EBADMSG;
	for (i = 0; i < head.header.e_phnum; i++) {
		at = head.header.e_phoff + i * sizeof(segment);
		if (at + sizeof(segment) > (size_t)got)
			return EMSGSIZE;
		memcpy(&segment, head.bytes + at, sizeof(segment));
		if (segment.p_type != PT_LOAD || written < segment.p_offset ||
		    written >= segment.p_offset + segment.p_filesz)
			continue;
		at = segment.p_vaddr + (written - segment.p_offset) - (uintptr_t)holding->address;
		if (at >= holding->hold_bytes)	/* or before it: wrapped */
			return ERANGE;
		*page = at / holding->page_size_bytes;
		return 0;
	}
	return ENODATA;
}

static int coredump_end(struct failure *why)
{
	/* With its last reader gone, the dump fails (EPIPE); without a dump there is SIGKILL. */
	if (coredump.pipe >= 0 && close(coredump.pipe) < 0)
		return failed(why, errno, "close(core's pipe)");
	coredump.pipe = -1;
	if (!coredump.dumper)
		return 0;
	if (kill(coredump.dumper, SIGKILL) < 0)
		return failed(why, errno, "kill(dumper)");
	while (waitpid(coredump.dumper, NULL, 0) < 0)
		if (errno != EINTR)
			return failed(why, errno, "waitpid(dumper)");
	coredump.dumper = 0;
	return 0;
}

static int coredump_begin(const struct holding *holding, struct failure *why)
{
	const pid_t holder = getpid();

	if (core_pipe_redirect(&coredump.core, why) < 0)
		return -1;
	coredump.dumper = fork();
	if (coredump.dumper < 0) {
		coredump.dumper = 0;
		return failed(why, errno, "fork()");
	}
	if (coredump.dumper == 0)
		coredump_dump(holding, holder);
	coredump.pipe = core_pipe_receive(&coredump.core, COREDUMP_MS, why);
	return coredump.pipe < 0 ? -1 : 0;
}

static void coredump_hold(struct holding *holding, struct hold_result *result)
{
	struct failure why = { .error = 0 }, restoring;

	if (coredump_begin(holding, &why) < 0)
		result->error = why.error;
	if (core_pipe_restore(&coredump.core, &restoring) < 0) {
		fprintf(stderr, "pinholder: %s\n", restoring.call);
		result->error = restoring.error ? restoring.error : EIO;
	}
	if (!result->error)
		result->error = coredump_await_full();
	if (!result->error)
		result->error = coredump_find_page(holding, &result->first_page);
	if (result->error && coredump_end(&why) < 0)
		fprintf(stderr, "pinholder: undoing a refused hold: %s\n", why.call);
	result->result = result->error ? -1 : 0;
	result->pages = result->error ? 0 : 1;
	/* Where the dumper had to bring the page back from swap, it is mapped here only now. */
	if (!result->error)
		(void)*(volatile unsigned char *)(holding->address +
						  result->first_page * holding->page_size_bytes);
}

static int coredump_release(struct holding *holding, struct failure *why)
{
	(void)holding;
	return coredump_end(why);
}

static void coredump_report(const struct holding *holding, struct json *json)
{
	(void)holding;
	json_int(json, "core_bytes", coredump.written);
}

const struct hold_path hold_coredump = {
	.name = "coredump",
	.summary = "a core dump into a pipe that nobody reads: a reference to one page",
	.call = "abort()",
	.setup = coredump_setup,
	.hold = coredump_hold,
	.release = coredump_release,
	.report = coredump_report,
};
