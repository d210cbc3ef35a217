// SPDX-License-Identifier: GPL-2.0-only
/* What a process is doing, looked at by another process that may block instead of us. */
#include "pinguest.h"

#include <errno.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "clock.h"
#include "file.h"

#define STACK_TRIES 100

void *shared_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		fail(errno, "mmap(%zu, MAP_SHARED)", size);
	return memory;
}

/* The letter of the task's state and the CPU it is or was on (proc_pid_stat(5), 3 and 39). */
static bool task_state(pid_t pid, char *letter, unsigned int *cpu)
{
	char name[64], text[1024];
	const char *at;
	int field;

	snprintf(name, sizeof(name), "/proc/%d/stat", pid);
	if (read_text(name, text, sizeof(text)) <= 0)
		return false;
	at = strrchr(text, ')');	/* the command's name may hold anything else */
	if (!at || sscanf(at, ") %c", letter) != 1)
		return false;
	for (field = 2; at && field < 39; field++)
		at = strchr(at + 1, ' ');
	return at && sscanf(at, " %u", cpu) == 1;
}

/*
 * The kernel shows no stack of a task while it runs on another CPU, and an offliner that loops
 * hardly sleeps (5.10: never in 0.4 s). On its own CPU we run only when it does not.
 */
static void take_stack(struct sample *sample, pid_t pid)
{
	cpu_set_t cpus;
	unsigned int cpu;
	char name[64];
	char letter;
	int tries;

	snprintf(name, sizeof(name), "/proc/%d/stack", pid);
	for (tries = 0; tries < STACK_TRIES && !sample->stack_taken; tries++) {
		if (task_state(pid, &letter, &cpu) && cpu < CPU_SETSIZE) {
			sample->task_state[0] = letter;
			CPU_ZERO(&cpus);
			CPU_SET(cpu, &cpus);
			/* A hint only: on failure the next tries are as good as without it. */
			if (sched_setaffinity(0, sizeof(cpus), &cpus) < 0)
				sched_yield();
		}
		sample->stack_taken = read_text(name, sample->stack, sizeof(sample->stack)) > 0;
		if (!sample->stack_taken)
			pause_for(0.002);
	}
}

static void look(struct sample *sample, pid_t pid, const char *path)
{
	struct statfs where;
	char name[64];

	sample->at = boottime();
	/* Only sysfs: to open a FIFO would wake the writer that is being watched. */
	if (statfs(path, &where) == 0 && where.f_type == SYSFS_MAGIC &&
	    read_text(path, sample->state, sizeof(sample->state)) > 0) {
		sample->state[strcspn(sample->state, "\n")] = '\0';
		sample->state_taken = true;
	}
	snprintf(name, sizeof(name), "/proc/%d/wchan", pid);
	sample->wchan_taken = read_text(name, sample->wchan, sizeof(sample->wchan)) > 0;
	take_stack(sample, pid);
}

pid_t sample_start(struct sample *sample, pid_t pid, const char *path)
{
	pid_t sampler = fork();

	if (sampler != 0)
		return sampler;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	look(sample, pid, path);
	_exit(0);
}
