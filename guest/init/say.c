// SPDX-License-Identifier: GPL-2.0-only
/* Where init speaks: the status port for the host, the kernel log for people. */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "file.h"

#define STATUS_BUDGET_MS 5000

static int status_fd = -1;

int because(struct reason *reason, int error, const char *format, ...)
{
	va_list arguments;
	size_t length;

	va_start(arguments, format);
	vsnprintf(reason->text, sizeof(reason->text), format, arguments);
	va_end(arguments);
	length = strlen(reason->text);
	if (error)
		snprintf(reason->text + length, sizeof(reason->text) - length, ": %s (%s)",
			 strerrorname_np(error), strerror(error));
	return -1;
}

void note(const char *format, ...)
{
	char line[512] = "<14>pinhole: init: ";
	size_t prefix = strlen(line);
	va_list arguments;
	int fd;

	va_start(arguments, format);
	vsnprintf(line + prefix, sizeof(line) - prefix - 1, format, arguments);
	va_end(arguments);
	/* Without a newline the kernel keeps the record open, unseen, until the next one. */
	strcat(line, "\n");
	/* Opened anew each time: the kernel rate-limits writes to /dev/kmsg per open file. */
	fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		write_all(fd, line, strlen(line));
		close(fd);
	} else {
		fputs(line + 4, stderr);
	}
}

void status_open(void)
{
	struct termios raw;

	/* O_NONBLOCK: a host that does not read must not stop the boot. */
	status_fd = open(STATUS_PORT, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (status_fd < 0) {
		note("open(%s): %s: nobody will hear that the guest is ready", STATUS_PORT,
		     strerror(errno));
		return;
	}
	if (tcgetattr(status_fd, &raw) < 0) {
		note("tcgetattr(%s): %s: no such port in this machine", STATUS_PORT,
		     strerror(errno));
		close(status_fd);
		status_fd = -1;
		return;
	}
	cfmakeraw(&raw);
	cfsetspeed(&raw, B115200);
	raw.c_cflag |= CLOCAL;
	raw.c_cflag &= ~(tcflag_t)HUPCL;
	if (tcsetattr(status_fd, TCSANOW, &raw) < 0)
		note("tcsetattr(%s): %s", STATUS_PORT, strerror(errno));
}

static void status_write(const char *at, size_t length)
{
	struct pollfd port = { .fd = status_fd, .events = POLLOUT };
	ssize_t written;

	while (length) {
		written = write(status_fd, at, length);
		if (written >= 0) {
			at += written;
			length -= (size_t)written;
		} else if (errno == EAGAIN) {
			if (poll(&port, 1, STATUS_BUDGET_MS) == 0) {
				note("%s: the host did not read for %d ms, a line is lost",
				     STATUS_PORT, STATUS_BUDGET_MS);
				return;
			}
		} else if (errno != EINTR) {
			note("write(%s): %s", STATUS_PORT, strerror(errno));
			return;
		}
	}
}

void status(const char *format, ...)
{
	char line[512] = "pinhole ";
	size_t prefix = strlen(line);
	va_list arguments;
	char *at;

	va_start(arguments, format);
	vsnprintf(line + prefix, sizeof(line) - prefix - 1, format, arguments);
	va_end(arguments);
	for (at = line; *at; at++)
		if ((unsigned char)*at < 0x20)
			*at = ' ';	/* one message stays one line */
	*at++ = '\n';
	if (status_fd >= 0)
		status_write(line, (size_t)(at - line));
}

void status_drain(void)
{
	if (status_fd >= 0)
		tcdrain(status_fd);
}
