/* SPDX-License-Identifier: GPL-2.0-only */
/* Whole small files, read and written at once. */
#ifndef PINHOLE_FILE_H
#define PINHOLE_FILE_H

#include <stddef.h>
#include <sys/types.h>

/* Writes all of data; 0, or the errno that ended it. */
int write_all(int fd, const void *data, size_t length);

/*
 * Reads up to size - 1 bytes of path and ends them with a NUL; the count of bytes, or -errno.
 * What does not fit is left out.
 */
ssize_t read_text(const char *path, char *text, size_t size);

/* Like read_text(), for a file of any size: the text is *text, to be freed. */
ssize_t read_whole(const char *path, char **text);

/* Writes text to an existing file with one write(), as sysfs and sysctl want it; 0 or an errno. */
int write_text(const char *path, const char *text);

#endif
