/* SPDX-License-Identifier: GPL-2.0-only */
/* The harness's errands in the guest, one subcommand each. */
#ifndef PINHOLE_PINGUEST_H
#define PINHOLE_PINGUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "json.h"
#include "task.h"

#define EXIT_DONE 0
#define EXIT_USAGE 2
#define EXIT_FAILED 3

int command_read(int argc, char **argv);
int command_kmsg(int argc, char **argv);
int command_mark(int argc, char **argv);
int command_remove(int argc, char **argv);
int command_boottime(int argc, char **argv);

/* Ends the process with status 2 and the message. */
void usage_error(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* Ends the process with status 3: which call failed, with which errno. */
void fail(int error, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
/* The next option of argv[1..] (see getopt_long(3)); mistakes end the process. */
struct option;
int next_option(int argc, char **argv, const struct option *options);

/* Standard output: a line of JSON, or bytes as they are. A reader that has gone ends us. */
void print_json(struct json *json);
void print_bytes(const void *bytes, size_t length);

/* expand.c: the paths that match pattern, sorted with numbers by value; 0 or an errno. */
struct paths {
	char **path;
	size_t count;
	size_t room;
};
int expand(const char *pattern, struct paths *paths);
void free_paths(struct paths *paths);

/* passes.c: how often a process failed to migrate pages, counted at a tracepoint. */
#define PASSES_SOURCE "migrate:mm_migrate_pages failed>0"
/* A counter for process pid, or -errno; *call is the call that failed. */
int passes_open(pid_t pid, const char **call);
/* The count so far, or -errno. */
long long passes_read(int counter);

/* sample.c: what a process is doing, looked at by another process that may block instead of us. */
struct sample {
	bool state_taken;
	double at;		/* boottime */
	char task_state[2];	/* R running, D uninterruptible, ...; empty: not taken */
	struct task_place place;
	char state[64];
};
/* Memory that forked children share with us, zeroed. */
void *shared_memory(size_t size);
/* Starts a process that fills sample (shared memory) with what pid does and path reads. */
pid_t sample_start(struct sample *sample, pid_t pid, const char *path);

#endif
