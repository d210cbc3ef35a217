// SPDX-License-Identifier: GPL-2.0-only
/* pinholder's command line. */
#include "options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "node.h"
#include "number.h"

static void usage_error(const char *format, ...)
	__attribute__((format(printf, 1, 2), noreturn));

static void usage_error(const char *format, ...)
{
	va_list arguments;

	fputs("pinholder: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputs(" (try pinholder --help)\n", stderr);
	exit(EXIT_USAGE);
}

static void help(void)
{
	size_t i;

	puts("pinholder: hold pages of memory until told to let go, and say where they are.\n"
	     "\n"
	     "usage: pinholder --hold WAY [--kind KIND] [--trick TRICK]... [--size SIZE]\n"
	     "                 [--hold-size SIZE] [--node NODE] [--hold-budget SECONDS]\n"
	     "       pinholder --list | --help | --version\n"
	     "\n"
	     "  --hold WAY         the way to hold (below)\n"
	     "  --kind KIND        the kind of memory (below; default anonymous)\n"
	     "  --trick TRICK      something done besides (below); repeatable\n"
	     "  --size SIZE        bytes of memory: 4096, 512K, 16M, 2G (default 16M)\n"
	     "  --hold-size SIZE   hold only the first SIZE bytes of it (default: all)\n"
	     "  --node NODE        take the memory from this NUMA node only\n"
	     "  --hold-budget S    kill the call that holds if it takes longer than S seconds\n"
	     "  --hold-grace S     and wait S seconds for its end (default 2)\n"
	     "  --list             print the tables below as one JSON object\n"
	     "\n"
	     "ways to hold:");
	for (i = 0; hold_paths[i]; i++)
		printf("  %-18s %s\n", hold_paths[i]->name, hold_paths[i]->summary);
	puts("\nkinds of memory:");
	for (i = 0; memory_kinds[i]; i++)
		printf("  %-18s %s\n", memory_kinds[i]->name, memory_kinds[i]->summary);
	puts("\ntricks:");
	for (i = 0; tricks[i]; i++)
		printf("  %-18s %s\n", tricks[i]->name, tricks[i]->summary);
	puts("\n"
	     "Each step is one JSON object on a line of standard output: start, available,\n"
	     "memory, pages (before), hold, pages (after), holding or refused; then, once told\n"
	     "to let go, verify and released (unanswered and killed where --hold-budget ended\n"
	     "the call; trick wherever a trick acts). An error is the object 'error' and a line\n"
	     "on standard error; 'unsupported' where the kernel or the machine has not what it\n"
	     "takes, with the call and its errno. In 'pages', runs are [first PFN, count, step],\n"
	     "in virtual order (step 1: ascending, -1: descending, 0: the same frame again); a\n"
	     "PFN of null means that the pages are not there. PFNs take root (CAP_SYS_ADMIN).\n"
	     "\n"
	     "It waits for a line on standard input: 'release' lets go, 'pages' says again where\n"
	     "the pages are. The end of standard input, SIGINT and SIGTERM let go too.\n"
	     "\n"
	     "examples:\n"
	     "  Pin 16 MiB of node 1; Enter 'release' or press Ctrl-C to let go:\n"
	     "    pinholder --hold io_uring --size 16M --node 1\n"
	     "  Leave pages behind that nothing maps, for a minute, in the background:\n"
	     "    sleep 60 | pinholder --hold vmsplice --size 1M --trick munmap > held.json &\n"
	     "  A kind of memory and a way that goes with it alone:\n"
	     "    pinholder --hold udmabuf --kind memfd --size 4M\n"
	     "    pinholder --hold fuse_locked --kind own --node 1\n"
	     "  What does this kernel say to a buffer of 2 MiB pages? (status 5: it has none)\n"
	     "    pinholder --hold io_uring --kind thp --size 4M < /dev/null; echo $?\n"
	     "  Tricks go together, each at its own time, those of one time as they are given:\n"
	     "    pinholder --hold vmsplice --trick extra-reference --trick munmap\n"
	     "  Have the holder killed instead of letting go ('by' of 'released' then says so):\n"
	     "    pinholder --hold af_xdp --trick sigkill --hold-budget 10 < /dev/null\n"
	     "  Which memory block holds a page (PFN p; sizes from the kernel):\n"
	     "    echo $((p * $(getconf PAGESIZE) / 0x$(cat "
	     "/sys/devices/system/memory/block_size_bytes)))\n"
	     "\n"
	     "exit status: 0 held and released; 1 the kernel refused the hold; 2 usage;\n"
	     "3 something else failed; 4 the call that holds was killed (--hold-budget, or OOM);\n"
	     "5 this kernel or machine has not what the way or the kind takes.");
}

static void list(void)
{
	struct json json;
	size_t i;
	int point;

	json_begin(&json);
	json_string(&json, "version", PINHOLE_VERSION);
	json_array(&json, "ways");
	for (i = 0; hold_paths[i]; i++) {
		json_object(&json, NULL);
		json_string(&json, "name", hold_paths[i]->name);
		json_string(&json, "summary", hold_paths[i]->summary);
		json_string(&json, "call", hold_paths[i]->call);
		json_object_end(&json);
	}
	json_array_end(&json);
	json_array(&json, "kinds");
	for (i = 0; memory_kinds[i]; i++) {
		json_object(&json, NULL);
		json_string(&json, "name", memory_kinds[i]->name);
		json_string(&json, "summary", memory_kinds[i]->summary);
		json_object_end(&json);
	}
	json_array_end(&json);
	json_array(&json, "tricks");
	for (i = 0; tricks[i]; i++) {
		json_object(&json, NULL);
		json_string(&json, "name", tricks[i]->name);
		json_string(&json, "summary", tricks[i]->summary);
		json_string(&json, "call", tricks[i]->call);
		json_array(&json, "points");
		for (point = 0; point < TRICK_POINTS; point++)
			if (tricks[i]->at[point])
				json_string(&json, NULL, trick_point_names[point]);
		json_array_end(&json);
		json_object_end(&json);
	}
	json_array_end(&json);
	if (json_print(&json, STDOUT_FILENO))
		exit(EXIT_FAILED);
}

static size_t size_option(const char *option, const char *text, size_t page_size_bytes)
{
	unsigned long long bytes;

	if (!parse_size(text, &bytes) || bytes == 0)
		usage_error("%s '%s' is not a size: write 16M, 2G or a count of bytes", option,
			    text);
	if (bytes % page_size_bytes)
		usage_error("%s '%s' is not a multiple of the page size, %zu bytes", option, text,
			    page_size_bytes);
	if (bytes > (1ULL << 46))
		usage_error("%s '%s' is more than an address space holds", option, text);
	return (size_t)bytes;
}

static void add_trick(struct holding *holding, const char *name)
{
	const struct trick *trick = find_trick(name);

	if (!trick)
		usage_error("unknown trick '%s'", name);
	if (holding->trick_count == MAX_TRICKS)
		usage_error("more than %d tricks", MAX_TRICKS);
	holding->tricks[holding->trick_count++] = trick;
}

static double seconds_option(const char *option, const char *text)
{
	double seconds;

	if (!parse_seconds(text, &seconds) || seconds <= 0)
		usage_error("%s '%s' is not a time in seconds, more than 0", option, text);
	return seconds;
}

static void set_node(struct holding *holding, const char *text)
{
	unsigned long long node;

	if (!parse_count(text, &node) || node >= MAX_NODES)
		usage_error("--node '%s' is not the number of a node", text);
	holding->node = (int)node;
}

void parse_options(int argc, char **argv, struct holding *holding, struct hold_budget *budget)
{
	static const struct option options[] = {
		{ "hold", required_argument, NULL, 'w' },
		{ "kind", required_argument, NULL, 'k' },
		{ "trick", required_argument, NULL, 't' },
		{ "size", required_argument, NULL, 's' },
		{ "hold-size", required_argument, NULL, 'p' },
		{ "node", required_argument, NULL, 'n' },
		{ "hold-budget", required_argument, NULL, 'b' },
		{ "hold-grace", required_argument, NULL, 'g' },
		{ "list", no_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	size_t page = holding->page_size_bytes;
	int option;

	holding->kind = find_memory_kind("anonymous");
	holding->size_bytes = (size_t)16 << 20;
	holding->node = -1;
	holding->file = -1;
	budget->seconds = 0;
	budget->grace_seconds = 2;
	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'w':
			holding->way = find_hold_path(optarg);
			if (!holding->way)
				usage_error("unknown way to hold '%s'", optarg);
			break;
		case 'k':
			holding->kind = find_memory_kind(optarg);
			if (!holding->kind)
				usage_error("unknown kind of memory '%s'", optarg);
			break;
		case 't':
			add_trick(holding, optarg);
			break;
		case 's':
			holding->size_bytes = size_option("--size", optarg, page);
			break;
		case 'p':
			holding->hold_bytes = size_option("--hold-size", optarg, page);
			break;
		case 'n':
			set_node(holding, optarg);
			break;
		case 'b':
			budget->seconds = seconds_option("--hold-budget", optarg);
			break;
		case 'g':
			budget->grace_seconds = seconds_option("--hold-grace", optarg);
			break;
		case 'l':
			list();
			exit(EXIT_RELEASED);
		case 'h':
			help();
			exit(fflush(stdout) ? EXIT_FAILED : EXIT_RELEASED);
		case 'V':
			puts("pinholder " PINHOLE_VERSION);
			exit(fflush(stdout) ? EXIT_FAILED : EXIT_RELEASED);
		default:	/* getopt_long() has said what is wrong */
			exit(EXIT_USAGE);
		}
	}
	if (optind < argc)
		usage_error("unexpected argument '%s'", argv[optind]);
	if (!holding->way)
		usage_error("--hold WAY is missing");
	if (holding->way->own_memory != (holding->kind == find_memory_kind("own")))
		usage_error("%s", holding->way->own_memory ?
			    "this way holds pages that it makes itself: --kind own" :
			    "--kind own goes with ways that make the pages they hold");
	if (!holding->hold_bytes)
		holding->hold_bytes = holding->size_bytes;
	if (holding->hold_bytes > holding->size_bytes)
		usage_error("--hold-size is more than --size");
}
