// SPDX-License-Identifier: GPL-2.0-only
/* Modules and sysctls. */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "file.h"

#define MODPROBE_SETTING "/proc/sys/kernel/modprobe"

int load_module(const char *path, const char *parameters, struct reason *reason)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int error;

	if (fd < 0)
		return because(reason, errno, "open(%s)", path);
	error = syscall(SYS_finit_module, fd, parameters, 0) < 0 ? errno : 0;
	close(fd);
	/* EEXIST: it is loaded, or built into the kernel. */
	if (error && error != EEXIST)
		return because(reason, error, "finit_module(%s, \"%s\")", path, parameters);
	return 0;
}

int set_sysctl(const char *name, const char *value, struct reason *reason)
{
	char path[256] = "/proc/sys/";
	size_t prefix = strlen(path);
	int error;
	char *at;

	if (strlen(name) >= sizeof(path) - prefix)
		return because(reason, 0, "the name '%.60s...' is too long", name);
	strcpy(path + prefix, name);
	/* As sysctl(8) does: the first separator in the name says which of the two it uses. */
	at = strpbrk(path + prefix, "./");
	if (at && *at == '.')
		for (at = path + prefix; *at; at++) {
			if (*at == '.')
				*at = '/';
			else if (*at == '/')
				*at = '.';
		}
	error = write_text(path, value);
	if (error)
		return because(reason, error, "write(%s, \"%.60s\")", path, value);
	return 0;
}

/* The kernel asks this program for modules; point it at one that exists. */
void find_modprobe(void)
{
	static const char *const candidates[] = {
		"/sbin/modprobe", "/usr/sbin/modprobe", "/bin/modprobe", "/usr/bin/modprobe",
	};
	char current[256];
	ssize_t length = read_text(MODPROBE_SETTING, current, sizeof(current));
	size_t i;
	int error;

	if (length < 0) {
		note("read(%s): %s: the kernel cannot ask for modules", MODPROBE_SETTING,
		     strerror((int)-length));
		return;
	}
	current[strcspn(current, "\n")] = '\0';
	if (access(current, X_OK) == 0)
		return;
	for (i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++) {
		if (access(candidates[i], X_OK) < 0)
			continue;
		error = write_text(MODPROBE_SETTING, candidates[i]);
		if (error)
			note("write(%s): %s", MODPROBE_SETTING, strerror(error));
		return;
	}
	note("no modprobe in the image: modules that the kernel asks for will be missing");
}
