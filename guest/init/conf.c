// SPDX-License-Identifier: GPL-2.0-only
/* Reads /etc/pinhole/init.conf, which the host wrote: a verb and its arguments a line. */
#include "init.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "json.h"

static const struct grammar {
	const char *word;
	const char *usage;
	int required;	/* arguments: the last one runs to the end of the line */
	int allowed;
} grammar[] = {
	[VERB_MODULE] = { "module", "module PATH [PARAMETERS]", 1, 2 },
	[VERB_SYSCTL] = { "sysctl", "sysctl NAME VALUE", 2, 2 },
	[VERB_HOSTNAME] = { "hostname", "hostname NAME", 1, 1 },
	[VERB_ADDRESS] = { "address", "address INTERFACE ADDRESS/PREFIX", 2, 2 },
	[VERB_NOSSH] = { "nossh", "nossh", 0, 0 },
};

#define VERBS (sizeof(grammar) / sizeof(grammar[0]))

/* Cuts the next word off *text; NULL at the end. */
static char *word(char **text)
{
	char *start = *text + strspn(*text, " \t");

	if (!*start)
		return NULL;
	*text = start + strcspn(start, " \t");
	if (**text)
		*(*text)++ = '\0';
	return start;
}

static int parse_line(struct conf_line *line, char *text, const char *where,
		      struct reason *reason)
{
	unsigned int address, prefix;
	char *verb = word(&text);
	size_t i;

	for (i = 0; i < VERBS && strcmp(verb, grammar[i].word); i++)
		;
	if (i == VERBS)
		return because(reason, 0, "%s: unknown word '%.40s'", where, verb);
	line->verb = (enum verb)i;
	line->first = grammar[i].allowed ? word(&text) : NULL;
	line->rest = text + strspn(text, " \t");
	if ((grammar[i].required >= 1 && !line->first) ||
	    (grammar[i].required == 2 && !*line->rest) ||
	    (grammar[i].allowed < 2 && *line->rest))
		return because(reason, 0, "%s: expected '%s'", where, grammar[i].usage);
	if (i == VERB_ADDRESS && parse_address(line->rest, &address, &prefix) < 0)
		return because(reason, 0, "%s: '%.40s' is no ADDRESS/PREFIX", where, line->rest);
	return 0;
}

int conf_read(struct conf *conf, const char *path, struct reason *reason)
{
	char *text, *line, *next, *end, where[128];
	struct conf_line *lines;
	size_t number = 0;
	ssize_t length;

	memset(conf, 0, sizeof(*conf));
	length = read_whole(path, &text);
	if (length < 0)
		return because(reason, (int)-length, "read(%s)", path);
	/* The lines of conf point into text, which stays. */
	for (line = text; line; line = next) {
		number++;
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		end = line + strlen(line);
		while (end > line && strchr(" \t\r", end[-1]))
			*--end = '\0';
		line += strspn(line, " \t");
		if (!*line || *line == '#')
			continue;
		lines = reallocarray(conf->lines, conf->count + 1, sizeof(*lines));
		if (!lines)
			return because(reason, 0, "%s: out of memory", path);
		conf->lines = lines;
		snprintf(where, sizeof(where), "%s:%zu", path, number);
		if (parse_line(&conf->lines[conf->count], line, where, reason) < 0)
			return -1;
		conf->count++;
	}
	return 0;
}

/* `init --check FILE`: what init would do, a JSON object a line, without doing it. */
int conf_check(const char *path)
{
	struct reason reason;
	struct json json;
	struct conf conf;
	size_t i;

	if (conf_read(&conf, path, &reason) < 0) {
		fprintf(stderr, "init: %s\n", reason.text);
		return 2;
	}
	for (i = 0; i < conf.count; i++) {
		json_begin(&json);
		json_string(&json, "verb", grammar[conf.lines[i].verb].word);
		json_string(&json, "first", conf.lines[i].first);
		json_string(&json, "rest", conf.lines[i].rest);
		if (json_print(&json, STDOUT_FILENO))
			return 3;
	}
	return 0;
}
