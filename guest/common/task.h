/* SPDX-License-Identifier: GPL-2.0-only */
/* What another task is doing: its state, its time on a CPU, its stack in the kernel. */
#ifndef PINHOLE_TASK_H
#define PINHOLE_TASK_H

#include <stdbool.h>
#include <sys/types.h>

/* proc_pid_stat(5), fields 3, 14 + 15, 39. */
struct task_stat {
	char state;		/* R running, S sleeping, D uninterruptible, Z dead, ... */
	unsigned int cpu;	/* on which it runs or last ran */
	double cpu_seconds;	/* in user mode and in the kernel, since it began */
};

/* False where there is no such task any more. */
bool task_stat(pid_t pid, struct task_stat *stat);

/*
 * Whether a process has no memory any more, or is gone. A killed one gives its memory up before
 * its descriptors, and its death is told to its children last; where it has I/O outstanding it
 * waits for that in between (exit_aio() under exit_mm(), seen on 6.12): for who has to end that
 * I/O, all other signs come too late.
 */
bool task_ending(pid_t pid);

/* How often it went to sleep by itself; -1 where that cannot be read. */
long long task_sleeps(pid_t pid);

/* The whole stack in the kernel and where it sleeps; what was not to be had is empty. */
struct task_place {
	char stack[4096];
	char wchan[128];
};

/*
 * Looks for a fifth of a second at most, from the task's own CPU: the kernel shows no stack of
 * a task that runs on another CPU just now, and an offliner that loops hardly sleeps (5.10:
 * never in 0.4 s). The caller keeps the CPUs it may run on.
 */
void task_place(pid_t pid, struct task_place *place);

#endif
