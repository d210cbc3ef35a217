// SPDX-License-Identifier: GPL-2.0-only
/*
 * How often a process failed to migrate pages: the offliner calls migrate_pages() once a pass,
 * which ends in the tracepoint migrate:mm_migrate_pages (5.10 to 7.3).
 *
 * A perf counter of one task is used rather than a tracefs instance: it has no ring buffer to
 * allocate or overrun, and nothing is left behind when the process is killed.
 */
#include "pinguest.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "file.h"
#include "number.h"

#define EVENT "events/migrate/mm_migrate_pages/id"

static int event_id(unsigned long long *id)
{
	char text[32];
	ssize_t length;

	length = read_text("/sys/kernel/tracing/" EVENT, text, sizeof(text));
	if (length == -ENOENT)
		length = read_text("/sys/kernel/debug/tracing/" EVENT, text, sizeof(text));
	if (length < 0)
		return (int)length;
	text[strcspn(text, "\n")] = '\0';
	return parse_count(text, id) ? 0 : -EPROTO;
}

int passes_open(pid_t pid, const char **call)
{
	struct perf_event_attr event = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof(event) };
	unsigned long long id;
	int counter, error;

	*call = "read(tracing/" EVENT ")";
	error = event_id(&id);
	if (error)
		return error;
	event.config = id;
	*call = "perf_event_open(migrate:mm_migrate_pages)";
	counter = (int)syscall(SYS_perf_event_open, &event, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (counter < 0)
		return -errno;
	*call = "ioctl(PERF_EVENT_IOC_SET_FILTER)";
	if (ioctl(counter, PERF_EVENT_IOC_SET_FILTER, "failed>0") < 0) {
		error = errno;
		close(counter);
		return -error;
	}
	return counter;
}

long long passes_read(int counter)
{
	long long count;
	ssize_t got = read(counter, &count, sizeof(count));

	if (got < 0)
		return -errno;
	return got == sizeof(count) ? count : -EIO;
}
