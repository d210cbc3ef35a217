// SPDX-License-Identifier: GPL-2.0-only
/* What a process is doing, looked at by another process that may block instead of us. */
#include "pinguest.h"

#include <errno.h>
#include <linux/magic.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "clock.h"
#include "file.h"
#include "task.h"

void *shared_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		fail(errno, "mmap(%zu, MAP_SHARED)", size);
	return memory;
}

static void look(struct sample *sample, pid_t pid, const char *path)
{
	struct task_stat stat;
	struct statfs where;

	sample->at = boottime();
	/* Only sysfs: to open a FIFO would wake the writer that is being watched. */
	if (statfs(path, &where) == 0 && where.f_type == SYSFS_MAGIC &&
	    read_text(path, sample->state, sizeof(sample->state)) > 0) {
		sample->state[strcspn(sample->state, "\n")] = '\0';
		sample->state_taken = true;
	}
	task_place(pid, &sample->place);
	if (task_stat(pid, &stat))
		sample->task_state[0] = stat.state;
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
