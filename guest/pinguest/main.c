// SPDX-License-Identifier: GPL-2.0-only
/* pinguest: the harness's errands in the guest, one subcommand each. */
#include "pinguest.h"

#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "file.h"

static const struct command {
	const char *name;
	const char *arguments;
	const char *summary;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "read", "[--limit SIZE] [--budget S] GLOB...",
	  "print files, each framed by a line of JSON; at most SIZE (1M) a file", command_read },
	{ "kmsg", "[--from SEQ] [--limit SIZE]",
	  "print the kernel log's records from SEQ on, raw, at most SIZE (4M)", command_kmsg },
	{ "mark", "TEXT", "write TEXT into the kernel log", command_mark },
	{ "remove", "PATH VALUE [--budget S] [--grace S] [--count-passes]",
	  "write VALUE into PATH; after the budget (8) SIGTERM, after the grace (2) SIGKILL",
	  command_remove },
	{ "boottime", "", "print CLOCK_BOOTTIME", command_boottime },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const char *name = "pinguest";

static void help(FILE *stream)
{
	size_t i;

	fputs("pinguest: errands of the pinhole harness inside a guest\n\nusage:\n", stream);
	for (i = 0; i < COMMANDS; i++)
		fprintf(stream, "  pinguest %s %s\n      %s\n", commands[i].name,
			commands[i].arguments, commands[i].summary);
	fputs("  pinguest --help | --version\n\n"
	      "Output is one JSON object a line; after a line with \"bytes\":N come N raw bytes and\n"
	      "a newline. Exit status: 0 done (see the JSON for what came of it), 2 usage,\n"
	      "3 the errand itself failed.\n", stream);
}

static void complain(const char *format, va_list arguments)
{
	fprintf(stderr, "%s: ", name);
	vfprintf(stderr, format, arguments);
}

void usage_error(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	complain(format, arguments);
	va_end(arguments);
	fputs(" (try pinguest --help)\n", stderr);
	exit(EXIT_USAGE);
}

void fail(int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	complain(format, arguments);
	va_end(arguments);
	fprintf(stderr, ": %s (%s)\n", strerrorname_np(error), strerror(error));
	exit(EXIT_FAILED);
}

int next_option(int argc, char **argv, const struct option *options)
{
	int option = getopt_long(argc, argv, "", options, NULL);

	if (option == '?')	/* getopt_long() has said what is wrong */
		exit(EXIT_USAGE);
	return option;
}

void print_json(struct json *json)
{
	int error = json_print(json, STDOUT_FILENO);

	if (error)
		fail(error, "write(standard output)");
}

void print_bytes(const void *bytes, size_t length)
{
	int error = write_all(STDOUT_FILENO, bytes, length);

	if (error)
		fail(error, "write(standard output)");
}

int command_boottime(int argc, char **argv)
{
	struct json json;

	if (argc > 1)
		usage_error("unexpected argument '%s'", argv[1]);
	json_begin(&json);
	json_seconds(&json, "boottime", boottime());
	print_json(&json);
	return EXIT_DONE;
}

int main(int argc, char **argv)
{
	char full_name[64];
	size_t i;

	/* A reader that has gone is an error of write(), told on standard error. */
	signal(SIGPIPE, SIG_IGN);
	if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		help(stdout);
		return fflush(stdout) ? EXIT_FAILED : EXIT_DONE;
	}
	if (argc == 2 && !strcmp(argv[1], "--version")) {
		puts("pinguest " PINHOLE_VERSION);
		return fflush(stdout) ? EXIT_FAILED : EXIT_DONE;
	}
	if (argc < 2)
		usage_error("what is to be done?");
	for (i = 0; i < COMMANDS && strcmp(argv[1], commands[i].name); i++)
		;
	if (i == COMMANDS)
		usage_error("unknown errand '%s'", argv[1]);
	snprintf(full_name, sizeof(full_name), "pinguest %s", commands[i].name);
	name = argv[1] = full_name;
	return commands[i].run(argc - 1, argv + 1);
}
