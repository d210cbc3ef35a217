// SPDX-License-Identifier: GPL-2.0-only
/* Pid 1 of the guest: steps through the start, then reaps children until it is told to end. */
#include "init.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "file.h"
#include "json.h"

static struct conf conf;
static pid_t sshd;

static int step_mounts(struct reason *reason)
{
	if (mount_all(reason) < 0)
		return -1;
	/* 10 lines in 5 s otherwise, and markers of the harness would be among the lost. */
	if (write_text("/proc/sys/kernel/printk_devkmsg", "on\n"))
		note("printk_devkmsg: the kernel goes on rate-limiting what is written to kmsg");
	return 0;
}

static int step_configuration(struct reason *reason)
{
	return conf_read(&conf, CONF_PATH, reason);
}

static int step_modules(struct reason *reason)
{
	size_t i;

	find_modprobe();
	for (i = 0; i < conf.count; i++)
		if (conf.lines[i].verb == VERB_MODULE &&
		    load_module(conf.lines[i].first, conf.lines[i].rest, reason) < 0)
			return -1;
	return 0;
}

/* After the modules, some of which bring the sysctls. */
static int step_settings(struct reason *reason)
{
	const struct conf_line *line;
	size_t i;

	for (i = 0; i < conf.count; i++) {
		line = &conf.lines[i];
		if (line->verb == VERB_SYSCTL && set_sysctl(line->first, line->rest, reason) < 0)
			return -1;
		if (line->verb == VERB_HOSTNAME &&
		    sethostname(line->first, strlen(line->first)) < 0)
			return because(reason, errno, "sethostname(%.60s)", line->first);
	}
	return 0;
}

static int step_network(struct reason *reason)
{
	const struct conf_line *line;
	size_t i;

	if (loopback_up(reason) < 0)
		note("%s: no loopback", reason->text);
	for (i = 0; i < conf.count; i++) {
		line = &conf.lines[i];
		if (line->verb == VERB_ADDRESS && set_address(line->first, line->rest, reason) < 0)
			return -1;
	}
	return 0;
}

static int step_dropbear(struct reason *reason)
{
	size_t i;

	for (i = 0; i < conf.count; i++)
		if (conf.lines[i].verb == VERB_NOSSH)
			return 0;
	return sshd_start(&sshd, reason);
}

static const struct step {
	const char *name;
	int (*run)(struct reason *reason);
} steps[] = {
	{ "mounts", step_mounts },
	{ "configuration", step_configuration },
	{ "modules", step_modules },
	{ "settings", step_settings },
	{ "network", step_network },
	{ "dropbear", step_dropbear },
};

static void say_failed(const char *what, const struct reason *reason)
{
	status("failed %s: %s", what, reason->text);
	note("failed: %s: %s", what, reason->text);
}

static void say_ready(void)
{
	struct utsname kernel;
	struct json json;

	memset(&kernel, 0, sizeof(kernel));
	uname(&kernel);
	json_begin(&json);
	json_seconds(&json, "boottime", boottime());
	json_int(&json, "page_size_bytes", sysconf(_SC_PAGESIZE));
	json_string(&json, "release", kernel.release);
	status("ready %s", json_finish(&json));
	json_free(&json);
	note("ready");
}

static void reap(void)
{
	struct reason reason;
	int exit_status;
	pid_t pid;

	while ((pid = waitpid(-1, &exit_status, WNOHANG)) > 0) {
		if (pid != sshd)
			continue;
		sshd = 0;
		describe_exit(exit_status, &reason);
		say_failed("dropbear", &reason);
	}
}

static void power_off(void)
{
	note("powering off");
	status_drain();
	sync();
	reboot(RB_POWER_OFF);
	note("reboot(RB_POWER_OFF): %s", strerror(errno));
}

/* A failed start ends here too: pid 1 that exits would panic the kernel and hide the reason. */
static void serve(const sigset_t *awaited)
{
	siginfo_t info;

	for (;;) {
		switch (sigwaitinfo(awaited, &info)) {
		case SIGCHLD:
			reap();
			break;
		case SIGTERM:
		case SIGINT:
		case SIGUSR1:	/* busybox halt */
		case SIGUSR2:	/* busybox poweroff */
			power_off();
			break;
		}
	}
}

static int bring_up_guest(void)
{
	struct reason reason;
	size_t i;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (i > 0)
			status("stage %s", steps[i].name);
		if (steps[i].run(&reason) < 0) {
			say_failed(steps[i].name, &reason);
			return -1;
		}
		if (i == 0)	/* the port came with the mounts */
			status("stage %s", steps[i].name);
	}
	return 0;
}

int main(int argc, char **argv)
{
	sigset_t awaited;

	if (argc == 3 && !strcmp(argv[1], "--check"))
		return conf_check(argv[2]);
	if (getpid() != 1) {
		fputs("usage: init --check FILE   (prints what " CONF_PATH " asks for)\n"
		      "Without arguments it runs as pid 1 of a pinhole guest only.\n", stderr);
		return 2;
	}
	sigemptyset(&awaited);
	sigaddset(&awaited, SIGCHLD);
	sigaddset(&awaited, SIGTERM);
	sigaddset(&awaited, SIGINT);
	sigaddset(&awaited, SIGUSR1);
	sigaddset(&awaited, SIGUSR2);
	sigprocmask(SIG_BLOCK, &awaited, NULL);
	umask(022);
	if (chdir("/") < 0)
		note("chdir(/): %s", strerror(errno));
	setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("HOME", "/root", 1);
	if (bring_up_guest() == 0)
		say_ready();
	serve(&awaited);
}
