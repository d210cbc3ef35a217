// SPDX-License-Identifier: GPL-2.0-only
/*
 * Executes another program (this one, in its second life) once the pages are held: the memory is
 * gone, and what holds its pages lives on in descriptors that are open across the exec.
 */
#include "pinholder/holding.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"

static int exec_keep_open(struct failure *why)
{
	DIR *open_files = opendir("/proc/self/fd");
	struct dirent *entry;
	int fd;

	if (!open_files)
		return failed(why, errno, "opendir(/proc/self/fd)");
	while ((entry = readdir(open_files))) {
		fd = atoi(entry->d_name);
		if (fd > STDERR_FILENO && fd != dirfd(open_files) && fcntl(fd, F_SETFD, 0) < 0) {
			closedir(open_files);
			return failed(why, errno, "fcntl(%d, F_SETFD)", fd);
		}
	}
	closedir(open_files);
	return 0;
}

static int exec_second_life(struct holding *holding, struct failure *why)
{
	char now[32], *arguments[] = { "pinholder", "--after-exec", now, NULL };

	(void)holding;
	if (exec_keep_open(why) < 0)
		return -1;
	snprintf(now, sizeof(now), "%.0f", boottime() * 1e6);
	execv("/proc/self/exe", arguments);
	return failed(why, errno, "execv(/proc/self/exe)");
}

const struct trick trick_exec = {
	.name = "exec",
	.summary = "execute another program once the pages are held; its descriptors stay open",
	.call = "execv()",
	.at = { [AFTER_HOLD] = exec_second_life },
};
