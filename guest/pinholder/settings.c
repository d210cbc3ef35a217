// SPDX-License-Identifier: GPL-2.0-only
/* Writes settings of the kernel, and what was in them before. */
#include "settings.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "file.h"
#include "undo.h"

/* More than the sizes of huge pages that a kernel has. */
#define MOST_SETTINGS 24

struct setting {
	char path[128];
	char value[24];
	char before[24];
};

static struct {
	struct setting setting[MOST_SETTINGS];
	size_t count;
	struct undo undo;
} settings;

/* What is in force, of "always [madvise] never" or of a text without brackets. */
static void in_force(char *text)
{
	char *begin = strchr(text, '['), *end = begin ? strchr(begin, ']') : NULL;

	text[strcspn(text, "\n")] = '\0';
	if (end) {
		*end = '\0';
		memmove(text, begin + 1, strlen(begin + 1) + 1);
	}
}

int settings_add(const char *path, const char *value, const char *before, struct failure *why)
{
	struct setting *one = &settings.setting[settings.count];
	char text[256];
	ssize_t length;

	if (settings.count == MOST_SETTINGS)
		return failed(why, E2BIG, "changing %s", path);
	if (!before) {
		length = read_text(path, text, sizeof(text));
		if (length < 0)
			return unsupported(why, (int)-length, "read(%s)", path);
		in_force(text);
		before = text;
	}
	if (snprintf(one->path, sizeof(one->path), "%s", path) >= (int)sizeof(one->path) ||
	    snprintf(one->value, sizeof(one->value), "%s", value) >= (int)sizeof(one->value) ||
	    snprintf(one->before, sizeof(one->before), "%s", before) >= (int)sizeof(one->before))
		return failed(why, ENAMETOOLONG, "changing %s", path);
	settings.count++;
	return 0;
}

/* Goes on after a failure, and returns it. */
static int write_before(void)
{
	int result = 0, error;
	size_t i;

	for (i = settings.count; i-- > 0;) {
		error = write_text(settings.setting[i].path, settings.setting[i].before);
		result = error ? error : result;
	}
	return result;
}

int settings_keep(struct failure *why)
{
	return undo_later(&settings.undo, write_before, why);
}

int settings_change(struct failure *why)
{
	const struct setting *one;
	size_t i;
	int error;

	for (i = 0; i < settings.count; i++) {
		one = &settings.setting[i];
		error = write_text(one->path, one->value);
		if (error)
			return failed(why, error, "write(%s, %s)", one->path, one->value);
	}
	return 0;
}

int settings_restore(struct failure *why)
{
	return undo_now(&settings.undo, "restoring the kernel's settings", why);
}
