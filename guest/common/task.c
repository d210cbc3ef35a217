// SPDX-License-Identifier: GPL-2.0-only
/* What another task is doing: its state, its time on a CPU, its stack in the kernel. */
#include "task.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "file.h"

#define STACK_TRIES 100

bool task_stat(pid_t pid, struct task_stat *stat)
{
	unsigned long long user, kernel;
	char name[64], text[1024];
	const char *at;
	int field;

	snprintf(name, sizeof(name), "/proc/%d/stat", pid);
	if (read_text(name, text, sizeof(text)) <= 0)
		return false;
	at = strrchr(text, ')');	/* the command's name may hold anything else */
	if (!at || sscanf(at, ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
			  &stat->state, &user, &kernel) != 3)
		return false;
	stat->cpu_seconds = (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
	for (field = 2; at && field < 39; field++)
		at = strchr(at + 1, ' ');
	return at && sscanf(at, " %u", &stat->cpu) == 1;
}

bool task_ending(pid_t pid)
{
	char path[32], text[32];

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	return read_text(path, text, sizeof(text)) <= 0 || !strncmp(text, "0 ", 2);
}

long long task_sleeps(pid_t pid)
{
	static const char key[] = "\nvoluntary_ctxt_switches:";
	char name[64], text[4096];
	long long sleeps;
	const char *at;

	snprintf(name, sizeof(name), "/proc/%d/status", pid);
	if (read_text(name, text, sizeof(text)) <= 0)
		return -1;
	at = strstr(text, key);
	return at && sscanf(at + sizeof(key) - 1, "%lld", &sleeps) == 1 ? sleeps : -1;
}

/* On the CPU of the task we run only when it does not. */
static void move_beside(pid_t pid)
{
	struct task_stat stat;
	cpu_set_t cpus;

	if (!task_stat(pid, &stat) || stat.cpu >= CPU_SETSIZE)
		return;
	CPU_ZERO(&cpus);
	CPU_SET(stat.cpu, &cpus);
	/* A hint only: on failure the next tries are as good as without it. */
	if (sched_setaffinity(0, sizeof(cpus), &cpus) < 0)
		sched_yield();
}

void task_place(pid_t pid, struct task_place *place)
{
	cpu_set_t before;
	char name[64];
	bool known;
	int tries;

	memset(place, 0, sizeof(*place));
	snprintf(name, sizeof(name), "/proc/%d/wchan", pid);
	if (read_text(name, place->wchan, sizeof(place->wchan)) < 0)
		place->wchan[0] = '\0';
	known = sched_getaffinity(0, sizeof(before), &before) == 0;
	snprintf(name, sizeof(name), "/proc/%d/stack", pid);
	for (tries = 0; tries < STACK_TRIES; tries++) {
		move_beside(pid);
		if (read_text(name, place->stack, sizeof(place->stack)) > 0)
			break;
		pause_for(0.002);
	}
	if (known && sched_setaffinity(0, sizeof(before), &before) < 0)
		sched_yield();		/* we stay beside it: slower, not wrong */
}
