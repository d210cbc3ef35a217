// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds pages by direct I/O to a device-mapper device that is suspended. A watcher resumes and
 * removes the device when this process ends, which would wait for its I/O for good otherwise.
 */
#include "pinholder/holding.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pinholder/direct.h"
#include "task.h"

#define DIRECT_DM_NAME "pinholder"
#define DIRECT_DM_SECTOR 512
#define DIRECT_DM_LOOK_MS 100

static struct {
	int control;
	int file;
	int life;		/* a pipe: its end tells the watcher to undo everything */
	pid_t watcher;
	struct direct direct;
} direct_dm = { -1, -1, -1, 0, { 0 } };

/* A request, with room for one target and its (empty) parameters. */
struct direct_dm_request {
	struct dm_ioctl head;
	struct dm_target_spec target;
	char parameters[8];
};

/* Calls command for the device; 0 or an errno. target_bytes: the size of its table, 0: no table. */
static int direct_dm_call(unsigned long command, uint32_t flags, size_t target_bytes,
			  uint64_t *device)
{
	struct direct_dm_request request;

	memset(&request, 0, sizeof(request));
	request.head.version[0] = 4;
	request.head.data_size = sizeof(request);
	request.head.data_start = sizeof(request.head);
	request.head.flags = flags;
	snprintf(request.head.name, sizeof(request.head.name), DIRECT_DM_NAME);
	if (target_bytes) {
		request.head.target_count = 1;
		request.target.length = target_bytes / DIRECT_DM_SECTOR;
		/* Built into device-mapper itself; nothing ever gets to it before a resume. */
		snprintf(request.target.target_type, sizeof(request.target.target_type), "error");
		request.target.next = sizeof(request.target) + sizeof(request.parameters);
	}
	if (ioctl(direct_dm.control, command, &request) < 0)
		return errno;
	if (device)
		*device = request.head.dev;
	return 0;
}

/* Lets the I/O go on to its error, and takes the device away as soon as nobody has it open. */
static int direct_dm_undo(void)
{
	int error = direct_dm_call(DM_DEV_SUSPEND, 0, 0, NULL);

	if (error && error != ENXIO)
		return error;
	error = direct_dm_call(DM_DEV_REMOVE, DM_DEFERRED_REMOVE, 0, NULL);
	return error == ENXIO ? 0 : error;
}

static void direct_dm_watch(int life, pid_t holder) __attribute__((noreturn));

static void direct_dm_watch(int life, pid_t holder)
{
	struct pollfd end = { .fd = life, .events = POLLIN };
	sigset_t all;

	/* A signal to all of the terminal's processes must not end who undoes it. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	while (poll(&end, 1, DIRECT_DM_LOOK_MS) <= 0 && !task_ending(holder))
		;
	_exit(direct_dm_undo() ? 1 : 0);
}

static int direct_dm_start_watcher(struct failure *why)
{
	const pid_t holder = getpid();
	int life[2];

	if (pipe2(life, O_CLOEXEC) < 0)
		return failed(why, errno, "pipe2()");
	direct_dm.watcher = fork();
	if (direct_dm.watcher < 0)
		return failed(why, errno, "fork()");
	if (direct_dm.watcher == 0) {
		close(life[1]);
		direct_dm_watch(life[0], holder);
	}
	close(life[0]);
	direct_dm.life = life[1];
	return 0;
}

static int direct_dm_create(const struct holding *holding, struct failure *why)
{
	uint64_t device;
	char path[32];
	int error;

	error = direct_dm_undo();	/* what a predecessor left, if it did */
	if (!error)
		error = direct_dm_call(DM_DEV_CREATE, 0, 0, NULL);
	if (error)
		return failed(why, error, "ioctl(DM_DEV_CREATE)");
	error = direct_dm_call(DM_TABLE_LOAD, 0, holding->hold_bytes, NULL);
	if (error)
		return failed(why, error, "ioctl(DM_TABLE_LOAD, error)");
	error = direct_dm_call(DM_DEV_SUSPEND, 0, 0, &device);	/* which is a resume */
	if (error)
		return failed(why, error, "ioctl(DM_DEV_SUSPEND, resume)");
	snprintf(path, sizeof(path), "/dev/dm-%u", minor(device));
	direct_dm.file = open(path, O_WRONLY | O_DIRECT | O_CLOEXEC);
	if (direct_dm.file < 0)
		return failed(why, errno, "open(%s)", path);
	error = direct_dm_call(DM_DEV_SUSPEND, DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG, 0, NULL);
	return error ? failed(why, error, "ioctl(DM_DEV_SUSPEND)") : 0;
}

static int direct_dm_setup(struct holding *holding, struct failure *why)
{
	if (direct_prepare(&direct_dm.direct, holding, why) < 0)
		return -1;
	direct_dm.control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	if (direct_dm.control < 0) {
		unsupported(why, errno, "open(/dev/mapper/control)");
		return advise(why, "this takes CONFIG_BLK_DEV_DM, its module loaded");
	}
	if (direct_dm_start_watcher(why) < 0)
		return -1;
	return direct_dm_create(holding, why);
}

static int direct_dm_release(struct holding *holding, struct failure *why)
{
	int error = direct_dm_call(DM_DEV_SUSPEND, 0, 0, NULL), status;

	(void)holding;
	if (error)
		return failed(why, error, "ioctl(DM_DEV_SUSPEND, resume)");
	if (direct_end(&direct_dm.direct, why) < 0)
		return -1;
	close(direct_dm.file);
	close(direct_dm.life);		/* the watcher removes the device */
	while (waitpid(direct_dm.watcher, &status, 0) < 0)
		if (errno != EINTR)
			return failed(why, errno, "waitpid(watcher)");
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return failed(why, 0, "removing the device: status %d", status);
	return 0;
}

static void direct_dm_hold(struct holding *holding, struct hold_result *result)
{
	struct failure why;

	result->error = direct_begin(&direct_dm.direct, holding, direct_dm.file, true);
	if (result->error && direct_dm_release(holding, &why) < 0)
		fprintf(stderr, "pinholder: undoing a refused hold: %s\n", why.call);
	result->result = result->error ? -1 : 0;
	result->pages = result->error ? 0 : holding->hold_bytes / holding->page_size_bytes;
}

const struct hold_path hold_direct_dm = {
	.name = "direct_dm",
	.summary = "direct I/O to a suspended device-mapper device: short-term pins",
	.call = "io_submit(write to a suspended device)",
	.setup = direct_dm_setup,
	.hold = direct_dm_hold,
	.release = direct_dm_release,
};
