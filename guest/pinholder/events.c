// SPDX-License-Identifier: GPL-2.0-only
/* pinholder's lines of output, and the orders it waits for. */
#include "events.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "clock.h"
#include "options.h"

static int signals = -1;

void event_begin(struct json *json, const char *name)
{
	json_begin(json);
	json_string(json, "event", name);
	json_seconds(json, "boottime", boottime());
}

void event_end(struct json *json)
{
	int error = json_print(json, STDOUT_FILENO);

	if (error) {
		fprintf(stderr, "pinholder: write(standard output): %s\n", strerror(error));
		exit(EXIT_FAILED);
	}
}

int say_error(const char *doing, const struct failure *why)
{
	char message[512];
	struct json json;

	snprintf(message, sizeof(message), "%s: %s: %s%s%s", doing, why->call,
		 why->error ? strerror(why->error) : "failed", why->advice[0] ? "; " : "",
		 why->advice);
	fprintf(stderr, "pinholder: %s\n", message);
	event_begin(&json, why->unsupported ? "unsupported" : "error");
	json_string(&json, "doing", doing);
	json_string(&json, "call", why->call);
	json_errno(&json, why->error);
	json_string(&json, "message", message);
	event_end(&json);
	return why->unsupported ? EXIT_UNSUPPORTED : EXIT_FAILED;
}

int orders_open(struct failure *why)
{
	sigset_t awaited;

	sigemptyset(&awaited);
	sigaddset(&awaited, SIGINT);
	sigaddset(&awaited, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &awaited, NULL) < 0)
		return failed(why, errno, "sigprocmask(SIG_BLOCK)");
	signals = signalfd(-1, &awaited, SFD_CLOEXEC);
	if (signals < 0)
		return failed(why, errno, "signalfd()");
	/* A reader that has gone is an error of write(), told on standard error. */
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return failed(why, errno, "signal(SIGPIPE)");
	return 0;
}

/* One line of standard input, without its newline; 0 at its end. What is too long is cut. */
static int read_line(char *line, size_t size)
{
	size_t length = 0;
	bool any = false;
	ssize_t got;
	char c;

	for (;;) {
		got = read(STDIN_FILENO, &c, 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0 || c == '\n')
			break;
		any = true;
		if (length < size - 1)
			line[length++] = c;
	}
	line[length] = '\0';
	return got > 0 || any;
}

int next_order(enum order *order, const char **by, struct failure *why)
{
	struct pollfd sources[] = {
		{ .fd = signals, .events = POLLIN },
		{ .fd = STDIN_FILENO, .events = POLLIN },
	};
	struct signalfd_siginfo info;
	char line[64];

	for (;;) {
		if (poll(sources, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return failed(why, errno, "poll()");
		}
		*order = ORDER_RELEASE;
		if (sources[0].revents) {
			if (read(signals, &info, sizeof(info)) != sizeof(info))
				return failed(why, errno, "read(signalfd)");
			*by = info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM";
			return 0;
		}
		if (!sources[1].revents)
			continue;
		*by = "eof";
		if (!read_line(line, sizeof(line)))
			return 0;
		*by = "release";
		if (!strcmp(line, "release"))
			return 0;
		*order = ORDER_PAGES;
		if (!strcmp(line, "pages"))
			return 0;
		fprintf(stderr, "pinholder: unknown order (write 'release' or 'pages')\n");
	}
}
