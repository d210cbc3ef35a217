// SPDX-License-Identifier: GPL-2.0-only
/* `pinguest read`: many files in one call, each framed so that its content needs no escaping. */
#include "pinguest.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "clock.h"
#include "number.h"

static void interrupt(int number)
{
	(void)number;	/* read() then returns EINTR */
}

/* A file that blocks is given up after the budget. */
static void set_alarm(double seconds)
{
	struct itimerval timer = { .it_value.tv_sec = (time_t)seconds };

	timer.it_value.tv_usec = (suseconds_t)((seconds - (double)timer.it_value.tv_sec) * 1e6);
	if (setitimer(ITIMER_REAL, &timer, NULL) < 0)
		fail(errno, "setitimer()");
}

/* Fills content with up to limit bytes; *truncated if there was more. An errno, or 0. */
static int take(const char *path, char *content, size_t limit, size_t *length, bool *truncated)
{
	int fd, error = 0;
	ssize_t got;
	char more;

	*length = 0;
	*truncated = false;
	/* O_NONBLOCK: a FIFO that nobody writes is not waited for. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return errno;
	do {
		/* One byte besides tells a file of just the limit from a longer one. */
		got = *length < limit ? read(fd, content + *length, limit - *length) :
					read(fd, &more, 1);
		if (got < 0)
			error = errno;
		else if (*length == limit)
			*truncated = got > 0;
		else
			*length += (size_t)got;
	} while (got > 0 && !*truncated);
	close(fd);
	if (error && *length)
		*truncated = true;
	return error;
}

static void frame(const char *path, int error, const char *content, size_t length, bool truncated)
{
	struct json json;

	json_begin(&json);
	json_string(&json, "path", path);
	json_uint(&json, "bytes", length);
	json_errno(&json, error);
	json_bool(&json, "truncated", truncated);
	print_json(&json);
	print_bytes(content, length);
	print_bytes("\n", 1);
}

static size_t read_pattern(const char *pattern, char *content, size_t limit, double budget)
{
	struct paths paths;
	size_t length, i, count;
	bool truncated;
	int error;

	error = expand(pattern, &paths);
	if (error || !paths.count)
		frame(pattern, error ? error : ENOENT, NULL, 0, false);
	for (i = 0; i < paths.count && !error; i++) {
		set_alarm(budget);
		error = take(paths.path[i], content, limit, &length, &truncated);
		set_alarm(0);
		frame(paths.path[i], error, content, length, truncated);
		error = 0;
	}
	count = paths.count ? paths.count : 1;
	free_paths(&paths);
	return count;
}

int command_read(int argc, char **argv)
{
	static const struct option options[] = {
		{ "limit", required_argument, NULL, 'l' },
		{ "budget", required_argument, NULL, 'b' },
		{ NULL, 0, NULL, 0 },
	};
	struct sigaction on_alarm = { .sa_handler = interrupt };	/* no SA_RESTART */
	unsigned long long limit = 1 << 20;
	double budget = 5;
	size_t files = 0;
	struct json json;
	char *content;
	int option;

	while ((option = next_option(argc, argv, options)) != -1) {
		if (option == 'l' && (!parse_size(optarg, &limit) || !limit || limit > 1 << 30))
			usage_error("--limit '%s' is not a size up to 1G", optarg);
		if (option == 'b' && (!parse_seconds(optarg, &budget) || budget == 0))
			usage_error("--budget '%s' is not a time in seconds", optarg);
	}
	if (optind == argc)
		usage_error("which files?");
	content = malloc(limit);
	if (!content)
		fail(errno, "malloc(%llu)", limit);
	if (sigaction(SIGALRM, &on_alarm, NULL) < 0)
		fail(errno, "sigaction(SIGALRM)");
	json_begin(&json);
	json_seconds(&json, "boottime", boottime());
	print_json(&json);
	for (; optind < argc; optind++)
		files += read_pattern(argv[optind], content, limit, budget);
	json_begin(&json);
	json_bool(&json, "end", true);
	json_seconds(&json, "boottime", boottime());
	json_uint(&json, "files", files);
	print_json(&json);
	free(content);
	return EXIT_DONE;
}
