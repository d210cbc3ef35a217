// SPDX-License-Identifier: GPL-2.0-only
/* A FUSE server that answers everything except READ or WRITE (include/uapi/linux/fuse.h). */
#include "withheld.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "task.h"

/* The kernel makes this folder where it has FUSE: nobody has to take one away afterwards. */
#define MOUNT_POINT "/sys/fs/fuse/connections"
#define FILE_NODE 2		/* the root is FUSE_ROOT_ID, 1 */
/* A reader locks no more than these at once, so that what it takes from the node is little. */
#define READAHEAD_BYTES 65536
#define ATTRIBUTES_SECONDS 3600
/* Pages that are written back go in pieces of this size: a page of any architecture at least. */
#define WRITE_BYTES 65536
#define MOST_WAITING (WITHHELD_BYTES / WRITE_BYTES)

static int answer(const struct withheld *withheld, const struct fuse_in_header *request, int error,
		  const void *body, size_t length, struct failure *why)
{
	struct fuse_out_header header = {
		.len = (uint32_t)(sizeof(header) + length),
		.error = -error,
		.unique = request->unique,
	};
	struct iovec parts[] = {
		{ .iov_base = &header, .iov_len = sizeof(header) },
		{ .iov_base = (void *)(uintptr_t)body, .iov_len = length },
	};

	/* ENOENT: whoever asked has given up meanwhile. */
	if (writev(withheld->device, parts, length ? 2 : 1) < 0 && errno != ENOENT)
		return failed(why, errno, "writev(/dev/fuse, answer to request %u)",
			      request->opcode);
	return 0;
}

static int refuse(const struct withheld *withheld, const struct fuse_in_header *request, int error,
		  struct failure *why)
{
	return answer(withheld, request, error, NULL, 0, why);
}

static void attributes(uint64_t node, struct fuse_attr *attr)
{
	memset(attr, 0, sizeof(*attr));
	attr->ino = node;
	attr->mode = node == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644;
	attr->nlink = 1;
	attr->size = node == FUSE_ROOT_ID ? 0 : WITHHELD_BYTES;
	attr->blksize = 4096;
}

static int start(const struct withheld *withheld, const struct fuse_in_header *request,
		 const struct fuse_init_in *init, struct failure *why)
{
	struct fuse_init_out out;

	memset(&out, 0, sizeof(out));
	out.major = FUSE_KERNEL_VERSION;
	/* The kernel speaks the older of both versions; so do we, having no need of a new one. */
	out.minor = init->minor < FUSE_KERNEL_MINOR_VERSION ? init->minor :
							      FUSE_KERNEL_MINOR_VERSION;
	out.max_readahead = READAHEAD_BYTES;
	/* Direct I/O that is not waited for asks for all of its pieces at once. */
	out.flags = init->flags & (FUSE_ASYNC_READ | FUSE_ASYNC_DIO);
	if (withheld->writes)
		out.flags |= init->flags & FUSE_WRITEBACK_CACHE;
	out.max_write = WRITE_BYTES;
	/* Reads ahead and pages that are written back, which wait at once. */
	out.max_background = withheld->writes ? MOST_WAITING : 64;
	out.congestion_threshold = out.max_background;
	return answer(withheld, request, 0, &out, sizeof(out), why);
}

static int look_up(const struct withheld *withheld, const struct fuse_in_header *request,
		   const char *name, struct failure *why)
{
	struct fuse_entry_out out;

	if (request->nodeid != FUSE_ROOT_ID || strcmp(name, "withheld"))
		return refuse(withheld, request, ENOENT, why);
	memset(&out, 0, sizeof(out));
	out.nodeid = FILE_NODE;
	out.entry_valid = ATTRIBUTES_SECONDS;
	out.attr_valid = ATTRIBUTES_SECONDS;
	attributes(FILE_NODE, &out.attr);
	return answer(withheld, request, 0, &out, sizeof(out), why);
}

static int serve(struct withheld *withheld, const void *request, struct failure *why)
{
	const struct fuse_in_header *header = request;
	const void *body = header + 1;
	struct fuse_open_out open_out;
	struct fuse_attr_out attr_out;

	switch (header->opcode) {
	case FUSE_INIT:
		return start(withheld, header, body, why);
	case FUSE_LOOKUP:
		return look_up(withheld, header, body, why);
	case FUSE_GETATTR:
		memset(&attr_out, 0, sizeof(attr_out));
		attr_out.attr_valid = ATTRIBUTES_SECONDS;
		attributes(header->nodeid, &attr_out.attr);
		return answer(withheld, header, 0, &attr_out, sizeof(attr_out), why);
	case FUSE_OPEN:
		memset(&open_out, 0, sizeof(open_out));
		return answer(withheld, header, 0, &open_out, sizeof(open_out), why);
	case FUSE_READ:
	case FUSE_WRITE:
		if (withheld->writes != (header->opcode == FUSE_WRITE))
			return refuse(withheld, header, EIO, why);
		withheld->withheld++;
		return 0;
	case FUSE_RELEASE:
	case FUSE_FLUSH:
	case FUSE_DESTROY:
		return refuse(withheld, header, 0, why);
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return 0;	/* wants no answer */
	default:
		return refuse(withheld, header, ENOSYS, why);
	}
}

static int open_it(struct withheld *withheld, struct failure *why)
{
	char options[128];

	withheld->device = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (withheld->device < 0) {
		(errno == ENOENT || errno == ENODEV ? unsupported : failed)(why, errno,
									   "open(/dev/fuse)");
		return advise(why, "this takes CONFIG_FUSE_FS, its module loaded, and root");
	}
	/* Nobody else is to walk into it, and it is to go with this process at the latest. */
	if (unshare(CLONE_NEWNS) < 0)
		return failed(why, errno, "unshare(CLONE_NEWNS)");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return failed(why, errno, "mount(/, MS_PRIVATE)");
	snprintf(withheld->file, sizeof(withheld->file), MOUNT_POINT "/withheld");
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0",
		 withheld->device);
	if (mount("pinholder", MOUNT_POINT, "fuse", MS_NOSUID | MS_NODEV, options) < 0)
		return failed(why, errno, "mount(fuse on " MOUNT_POINT ")");
	withheld->mounted = true;
	return 0;
}

int withheld_open(struct withheld *withheld, struct failure *why)
{
	memset(withheld, 0, sizeof(*withheld));
	return open_it(withheld, why);
}

int withheld_open_for_writing(struct withheld *withheld, struct failure *why)
{
	memset(withheld, 0, sizeof(*withheld));
	withheld->writes = true;
	return open_it(withheld, why);
}

int withheld_serve(struct withheld *withheld, double seconds, struct failure *why)
{
	/* The kernel wants room for the longest WRITE with its headers (fuse_dev_do_read()). */
	static union {
		struct fuse_in_header header;
		char bytes[FUSE_MIN_READ_BUFFER + WRITE_BYTES];
	} request;
	struct pollfd source = { .fd = withheld->device, .events = POLLIN };
	double end = boottime() + seconds, left;
	ssize_t got;

	while ((left = end - boottime()) > 0) {
		if (poll(&source, 1, (int)(left * 1000) + 1) < 0 && errno != EINTR)
			return failed(why, errno, "poll(/dev/fuse)");
		got = read(withheld->device, &request, sizeof(request) - 1);
		if (got < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOENT))
			continue;	/* ENOENT: the request was taken back */
		if (got < (ssize_t)sizeof(request.header))
			return failed(why, got < 0 ? errno : EIO, "read(/dev/fuse)");
		request.bytes[got] = '\0';
		if (serve(withheld, &request, why) < 0)
			return -1;
	}
	return 0;
}

static void serve_for(pid_t holder, struct withheld *withheld, int told)
	__attribute__((noreturn));

static void serve_for(pid_t holder, struct withheld *withheld, int told)
{
	struct failure why;
	size_t said = 0;

	while (withheld_serve(withheld, 0.02, &why) == 0) {
		if (task_ending(holder))
			_exit(0);
		for (; said < withheld->withheld; said++)
			if (write(told, "", 1) != 1)
				_exit(1);
	}
	fprintf(stderr, "pinholder: the FUSE server: %s: %s\n", why.call, strerror(why.error));
	_exit(1);
}

pid_t withheld_serve_in_child(struct withheld *withheld, int *told, struct failure *why)
{
	pid_t parent = getpid(), child;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return failed(why, errno, "pipe2()");
	child = fork();
	if (child < 0)
		return failed(why, errno, "fork()");
	if (child == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
			_exit(1);
		close(STDIN_FILENO);
		close(STDOUT_FILENO);
		close(ends[0]);
		serve_for(parent, withheld, ends[1]);
	}
	close(ends[1]);
	/* The connection is to end with the child. */
	close(withheld->device);
	withheld->device = -1;
	*told = ends[0];
	return child;
}

int withheld_end_child(struct withheld *withheld, pid_t child, struct failure *why)
{
	if (kill(child, SIGKILL) < 0)
		return failed(why, errno, "kill(FUSE server)");
	while (waitpid(child, NULL, 0) < 0)
		if (errno != EINTR)
			return failed(why, errno, "waitpid(FUSE server)");
	withheld_close(withheld);
	return 0;
}

void withheld_close(struct withheld *withheld)
{
	/* The last descriptor of /dev/fuse ends the connection (fuse_dev_release()). */
	if (withheld->device >= 0 && close(withheld->device) < 0)
		perror("pinholder: close(/dev/fuse)");
	withheld->device = -1;
	if (withheld->mounted && umount2(MOUNT_POINT, MNT_DETACH) < 0)
		perror("pinholder: umount2()");
	withheld->mounted = false;
}
