// SPDX-License-Identifier: GPL-2.0-only
/*
 * Expands patterns of paths. glob(3) is not used: it drags the user database into a static
 * program (for ~) and sorts memory10 before memory2.
 */
#include "pinguest.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_PATHS 65536

static int add(struct paths *paths, const char *path)
{
	char **grown;

	if (paths->count == MAX_PATHS)
		return E2BIG;
	if (paths->count == paths->room) {
		grown = reallocarray(paths->path, paths->room * 2 + 16, sizeof(*grown));
		if (!grown)
			return ENOMEM;
		paths->path = grown;
		paths->room = paths->room * 2 + 16;
	}
	paths->path[paths->count] = strdup(path);
	if (!paths->path[paths->count])
		return ENOMEM;
	paths->count++;
	return 0;
}

/* Appends part to folder, with one slash between them; NULL if that is too long. */
static char *join(char *joined, const char *folder, const char *part, size_t length)
{
	size_t start = strlen(folder);
	bool slash = start && folder[start - 1] != '/';

	if (start + slash + length >= PATH_MAX)
		return NULL;
	sprintf(joined, "%s%s%.*s", folder, slash ? "/" : "", (int)length, part);
	return joined;
}

static int walk(const char *folder, const char *rest, struct paths *paths);

/* One component with wildcards: every name in the folder that matches, and on from there. */
static int match(const char *folder, const char *component, const char *rest,
		 struct paths *paths)
{
	char path[PATH_MAX];
	struct dirent **entries;
	int count, error = 0, i;

	count = scandir(*folder ? folder : ".", &entries, NULL, versionsort);
	if (count < 0)	/* no folder, no match */
		return errno == ENOMEM ? ENOMEM : 0;
	for (i = 0; i < count; i++) {
		if (!error && fnmatch(component, entries[i]->d_name, FNM_PERIOD) == 0 &&
		    join(path, folder, entries[i]->d_name, strlen(entries[i]->d_name)))
			error = walk(path, rest, paths);
		free(entries[i]);
	}
	free(entries);
	return error;
}

static int walk(const char *folder, const char *rest, struct paths *paths)
{
	char component[NAME_MAX + 1], path[PATH_MAX];
	size_t length;

	rest += strspn(rest, "/");
	if (!*rest)	/* a name after a wildcard may not be in every folder that matched */
		return access(folder, F_OK) == 0 ? add(paths, folder) : 0;
	length = strcspn(rest, "/");
	if (length > NAME_MAX)
		return ENAMETOOLONG;
	memcpy(component, rest, length);
	component[length] = '\0';
	if (strpbrk(component, "*?[\\"))
		return match(folder, component, rest + length, paths);
	if (!join(path, folder, component, length))
		return ENAMETOOLONG;
	return walk(path, rest + length, paths);
}

int expand(const char *pattern, struct paths *paths)
{
	memset(paths, 0, sizeof(*paths));
	/* Without wildcards the path is tried as it is, and has an errno if it is not there. */
	if (!strpbrk(pattern, "*?[\\"))
		return add(paths, pattern);
	return walk(pattern[0] == '/' ? "/" : "", pattern, paths);
}

void free_paths(struct paths *paths)
{
	while (paths->count)
		free(paths->path[--paths->count]);
	free(paths->path);
	memset(paths, 0, sizeof(*paths));
}
