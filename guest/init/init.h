/* SPDX-License-Identifier: GPL-2.0-only */
/* Pid 1 of the guest: brings it up without a shell and says on the status port when it is ready. */
#ifndef PINHOLE_INIT_H
#define PINHOLE_INIT_H

#include <stdarg.h>
#include <stddef.h>
#include <sys/types.h>

#define CONF_PATH "/etc/pinhole/init.conf"
#define STATUS_PORT "/dev/ttyS1"
#define SSH_PORT 22

/* Why a step failed, for the status port: one line. */
struct reason {
	char text[256];
};

/* Sets the reason and returns -1; error is an errno, or 0 where there is none. */
int because(struct reason *reason, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

enum verb { VERB_MODULE, VERB_SYSCTL, VERB_HOSTNAME, VERB_ADDRESS, VERB_NOSSH };

struct conf_line {
	enum verb verb;
	char *first;	/* path, sysctl, hostname, interface; NULL for nossh */
	char *rest;	/* parameters, value, address; "" where there is none */
};

struct conf {
	struct conf_line *lines;
	size_t count;
};

/* conf.c */
int conf_read(struct conf *conf, const char *path, struct reason *reason);
int conf_check(const char *path);

/* mounts.c */
int mount_all(struct reason *reason);

/* settings.c: one line of the configuration each */
int load_module(const char *path, const char *parameters, struct reason *reason);
int set_sysctl(const char *name, const char *value, struct reason *reason);
void find_modprobe(void);

/* net.c */
int parse_address(const char *text, unsigned int *address, unsigned int *prefix);
int loopback_up(struct reason *reason);
int set_address(const char *interface, const char *address, struct reason *reason);

/* sshd.c */
int sshd_start(pid_t *pid, struct reason *reason);
void describe_exit(int status, struct reason *reason);

/* say.c */
void status_open(void);
void status(const char *format, ...) __attribute__((format(printf, 1, 2)));
void status_drain(void);
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
