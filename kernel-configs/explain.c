// SPDX-License-Identifier: GPL-2.0-only
/*
 * Says of kernel options what the kernel's own parser knows of them: value, prompt, where they
 * are defined, what they depend on and what selects them, each with its present value.
 *
 * Linked with the objects of a tree's scripts/kconfig, so that it understands that tree's
 * Kconfig language, whatever its age.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lkc.h"

/* What the parser says while it reads .config is for those who make one. */
static void quiet(const char *message)
{
	(void)message;
}

static int explain(const char *name)
{
	char pattern[256];
	struct symbol **symbols;
	struct gstr text;

	if (snprintf(pattern, sizeof(pattern), "^%s$", name) >= (int)sizeof(pattern))
		return -1;
	printf("option %s\n", name);
	symbols = sym_re_search(pattern);
	if (symbols && *symbols) {
		text = get_relations_str(symbols, NULL);
		fputs(str_get(&text), stdout);
		str_free(&text);
	} else {
		puts("unknown");
	}
	puts("end");
	free(symbols);
	return 0;
}

int main(int argc, char **argv)
{
	int i;

	if (argc < 3) {
		fprintf(stderr, "usage: explain KCONFIG OPTION...\n");
		return 2;
	}
	conf_set_message_callback(quiet);
	conf_parse(argv[1]);
	if (conf_read(NULL)) {
		fprintf(stderr, "explain: there is no .config here\n");
		return 1;
	}
	for (i = 2; i < argc; i++)
		if (explain(argv[i]))
			return 1;
	return fflush(stdout) ? 1 : 0;
}
