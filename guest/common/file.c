// SPDX-License-Identifier: GPL-2.0-only
/* Whole small files, read and written at once. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int write_all(int fd, const void *data, size_t length)
{
	const char *at = data;
	ssize_t written;

	while (length) {
		written = write(fd, at, length);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return errno;
		at += written;
		length -= (size_t)written;
	}
	return 0;
}

/* Reads until the end of the file or of the room; the count of bytes, or -errno. */
static ssize_t fill(int fd, char *text, size_t room)
{
	size_t length = 0;
	ssize_t got;

	while (length < room) {
		got = read(fd, text + length, room - length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		length += (size_t)got;
	}
	return (ssize_t)length;
}

ssize_t read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length;

	if (fd < 0)
		return -errno;
	length = fill(fd, text, size - 1);
	text[length < 0 ? 0 : length] = '\0';
	close(fd);
	return length;
}

ssize_t read_whole(const char *path, char **text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0, room = 16384;
	ssize_t got;
	char *grown;

	*text = NULL;
	if (fd < 0)
		return -errno;
	do {
		grown = realloc(*text, room);
		got = grown ? 0 : -ENOMEM;
		if (!grown)
			break;
		*text = grown;
		got = fill(fd, *text + length, room - 1 - length);
		if (got < 0)
			break;
		length += (size_t)got;
		room *= 2;
	} while (got);
	close(fd);
	if (got < 0) {
		free(*text);
		*text = NULL;
		return got;
	}
	(*text)[length] = '\0';
	return (ssize_t)length;
}

int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t written;
	int error = 0;

	if (fd < 0)
		return errno;
	written = write(fd, text, strlen(text));
	if (written < 0)
		error = errno;
	else if ((size_t)written != strlen(text))
		error = EIO;
	if (close(fd) < 0 && !error)
		error = errno;
	return error;
}
