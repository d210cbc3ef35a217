// SPDX-License-Identifier: GPL-2.0-only
/* Starts dropbear and waits until it listens, so that nobody connects too early. */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "file.h"

#define SSHD "/usr/sbin/dropbear"
#define HOST_KEY "/etc/pinhole/ssh_host_key"
#define LISTEN_BUDGET 60.0
#define TCP_LISTEN 0x0a		/* include/net/tcp_states.h, as /proc/net/tcp prints it */

/* Whether a socket listens on port, by one of /proc/net/tcp and tcp6 (proc(5)). */
static bool listens_in(const char *path, unsigned int port)
{
	unsigned int local, state;
	char *table, *line;
	bool found = false;

	if (read_whole(path, &table) < 0)
		return false;	/* no IPv6 in this kernel */
	for (line = table; line && !found; line = strchr(line, '\n')) {
		line += strspn(line, "\n");
		found = sscanf(line, " %*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", &local,
			       &state) == 2 &&
			local == port && state == TCP_LISTEN;
	}
	free(table);
	return found;
}

static void exec_sshd(void)
{
	static char *const arguments[] = {
		/* -F stay, -E log to stderr, -s no passwords, -r the host key */
		"dropbear", "-F", "-E", "-s", "-p", "22", "-r", HOST_KEY, NULL,
	};
	sigset_t none;
	int console;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	console = open("/dev/console", O_RDWR | O_NOCTTY);
	if (console >= 0) {
		dup2(console, STDIN_FILENO);
		dup2(console, STDOUT_FILENO);
		dup2(console, STDERR_FILENO);
		if (console > STDERR_FILENO)
			close(console);
	}
	execv(SSHD, arguments);
	note("execv(%s): %s", SSHD, strerror(errno));
	_exit(127);
}

void describe_exit(int exit_status, struct reason *reason)
{
	if (WIFSIGNALED(exit_status))
		because(reason, 0, "killed by signal %d", WTERMSIG(exit_status));
	else
		because(reason, 0, "exit status %d", WEXITSTATUS(exit_status));
}

int sshd_start(pid_t *pid, struct reason *reason)
{
	double end = boottime() + LISTEN_BUDGET;
	int exit_status;

	if (access(SSHD, X_OK) < 0)
		return because(reason, errno, "access(%s)", SSHD);
	if (access(HOST_KEY, R_OK) < 0)
		return because(reason, errno, "access(%s)", HOST_KEY);
	*pid = fork();
	if (*pid < 0)
		return because(reason, errno, "fork()");
	if (*pid == 0)
		exec_sshd();
	while (!listens_in("/proc/net/tcp", SSH_PORT) && !listens_in("/proc/net/tcp6", SSH_PORT)) {
		if (waitpid(*pid, &exit_status, WNOHANG) == *pid) {
			*pid = 0;
			describe_exit(exit_status, reason);
			return -1;
		}
		if (boottime() >= end)
			return because(reason, 0, "nothing listens on port %d after %.0f s",
				       SSH_PORT, LISTEN_BUDGET);
		pause_for(0.005);
	}
	return 0;
}
