// SPDX-License-Identifier: GPL-2.0-only
/* `pinguest kmsg` and `pinguest mark`: the kernel log (Documentation/ABI/testing/dev-kmsg). */
#include "pinguest.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "file.h"
#include "number.h"

#define KMSG "/dev/kmsg"
#define RECORD_BYTES 16384	/* a record is at most 8192 (PRINTKRB_RECORD_MAX 1024 later) */
#define MARK_BYTES 900		/* the kernel refuses more than 992 with EINVAL (5.10) */

struct log {
	char *text;
	size_t length;
	size_t limit;
	unsigned long long from;
	bool from_given;
	bool any;		/* a record was seen, whether wanted or not */
	bool wanted;		/* one that is wanted was taken */
	unsigned long long first;
	unsigned long long last;
	bool overrun;
	bool truncated;
};

/* Takes a record "prio,seq,usec,flag;text" if it is wanted. */
static int take(struct log *log, const char *record, size_t length)
{
	unsigned long long seq;

	if (sscanf(record, "%*u,%llu,", &seq) != 1)
		return EPROTO;
	if (!log->any && log->from_given && seq > log->from)
		log->overrun = true;	/* the log no longer holds what was asked for */
	log->any = true;
	if (seq < log->from)
		return 0;
	if (log->length + length > log->limit) {
		log->truncated = true;
		return 0;
	}
	if (!log->wanted)
		log->first = seq;
	log->wanted = true;
	log->last = seq;
	memcpy(log->text + log->length, record, length);
	log->length += length;
	return 0;
}

/* All records there are now; an errno, or 0. */
static int collect(struct log *log)
{
	int fd = open(KMSG, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char record[RECORD_BYTES];
	int error = 0;
	ssize_t got;

	if (fd < 0)
		return errno;
	while (!error && !log->truncated) {
		got = read(fd, record, sizeof(record) - 1);
		if (got > 0) {
			record[got] = '\0';
			error = take(log, record, (size_t)got);
		} else if (got == 0 || errno == EAGAIN) {
			break;		/* the end of the log */
		} else if (errno == EPIPE) {
			log->overrun = true;	/* overtaken while reading: goes on at the oldest */
		} else if (errno != EINTR) {
			error = errno;
		}
	}
	close(fd);
	return error;
}

static void print_log(const struct log *log, int error)
{
	struct json json;

	json_begin(&json);
	json_string(&json, "path", KMSG);
	json_uint(&json, "bytes", log->length);
	json_errno(&json, error);
	json_bool(&json, "truncated", log->truncated);
	print_json(&json);
	print_bytes(log->text, log->length);
	print_bytes("\n", 1);
	json_begin(&json);
	json_bool(&json, "end", true);
	json_seconds(&json, "boottime", boottime());
	json_uint(&json, "files", 1);
	if (log->wanted) {
		json_uint(&json, "first_seq", log->first);
		json_uint(&json, "last_seq", log->last);
	} else {
		json_null(&json, "first_seq");
		json_null(&json, "last_seq");
	}
	json_bool(&json, "overrun", log->overrun);
	print_json(&json);
}

int command_kmsg(int argc, char **argv)
{
	static const struct option options[] = {
		{ "from", required_argument, NULL, 'f' },
		{ "limit", required_argument, NULL, 'l' },
		{ NULL, 0, NULL, 0 },
	};
	struct log log = { 0 };
	unsigned long long limit = 4 << 20;
	struct json json;
	int option, error;

	while ((option = next_option(argc, argv, options)) != -1) {
		if (option == 'f' && !parse_count(optarg, &log.from))
			usage_error("--from '%s' is not a sequence number", optarg);
		log.from_given |= option == 'f';
		if (option == 'l' && (!parse_size(optarg, &limit) || !limit || limit > 1 << 30))
			usage_error("--limit '%s' is not a size up to 1G", optarg);
	}
	if (optind < argc)
		usage_error("unexpected argument '%s'", argv[optind]);
	log.limit = limit;
	log.text = malloc(limit);
	if (!log.text)
		fail(errno, "malloc(%llu)", limit);
	json_begin(&json);
	json_seconds(&json, "boottime", boottime());
	print_json(&json);
	error = collect(&log);
	print_log(&log, error);
	free(log.text);
	return error ? EXIT_FAILED : EXIT_DONE;
}

int command_mark(int argc, char **argv)
{
	char line[MARK_BYTES + 16];
	struct json json;
	double before;
	int fd, error;

	if (argc != 2)
		usage_error("expected one argument, the text");
	if (strlen(argv[1]) > MARK_BYTES || strpbrk(argv[1], "\n\r"))
		usage_error("the text is one line of at most %d bytes", MARK_BYTES);
	/*
	 * 14: facility user, level info. Without the newline the kernel keeps the record open,
	 * unseen by readers, until the next one.
	 */
	snprintf(line, sizeof(line), "<14>%s\n", argv[1]);
	fd = open(KMSG, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		fail(errno, "open(%s)", KMSG);
	before = boottime();
	error = write_all(fd, line, strlen(line));
	if (error)
		fail(error, "write(%s)", KMSG);
	json_begin(&json);
	json_string(&json, "marked", argv[1]);
	json_seconds(&json, "began", before);
	json_seconds(&json, "boottime", boottime());
	print_json(&json);
	close(fd);
	return EXIT_DONE;
}
