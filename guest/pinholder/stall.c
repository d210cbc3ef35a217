// SPDX-License-Identifier: GPL-2.0-only
/* A call that the kernel cannot finish: its last page is missing (userfaultfd). */
#include "stall.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int stall_prepare(struct stall *stall, struct failure *why)
{
	struct uffdio_api api = { .api = UFFD_API };

	stall->faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (stall->faults < 0 && errno == EPERM) {
		failed(why, errno, "userfaultfd()");
		return advise(why, "this takes root, or vm.unprivileged_userfaultfd=1");
	}
	if (stall->faults < 0) {
		unsupported(why, errno, "userfaultfd()");
		return advise(why, "this takes CONFIG_USERFAULTFD");
	}
	if (ioctl(stall->faults, UFFDIO_API, &api) < 0)
		return failed(why, errno, "ioctl(UFFDIO_API)");
	if (pipe2(stall->done, O_CLOEXEC) < 0)
		return failed(why, errno, "pipe2()");
	return 0;
}

static void *make_call(void *argument)
{
	struct stall *stall = argument;

	stall->call(stall->holding, &stall->result);
	if (write(stall->done[1], "", 1) != 1)
		perror("pinholder: write(pipe)");
	return NULL;
}

/* The page behind the memory: there, but missing until the fault is answered. */
static int make_missing(struct stall *stall)
{
	size_t bytes = stall->holding->page_size_bytes;
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	stall->page = stall->holding->address + stall->holding->size_bytes;
	if (mmap(stall->page, bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		return errno;
	range.range.start = (uintptr_t)stall->page;
	range.range.len = bytes;
	return ioctl(stall->faults, UFFDIO_REGISTER, &range) < 0 ? errno : 0;
}

int stall_begin(struct stall *stall, struct holding *holding,
		void (*call)(struct holding *holding, struct hold_result *result))
{
	struct pollfd sources[] = {
		{ .fd = stall->faults, .events = POLLIN },
		{ .fd = stall->done[0], .events = POLLIN },
	};
	struct uffd_msg message;
	pthread_t thread;
	int error;

	stall->holding = holding;
	stall->call = call;
	memset(&stall->result, 0, sizeof(stall->result));
	error = make_missing(stall);
	if (!error)
		error = pthread_create(&thread, NULL, make_call, stall);
	if (error)
		return error;
	stall->thread = (unsigned long)thread;
	while (poll(sources, 2, -1) < 0)
		if (errno != EINTR)
			return errno;
	if (sources[1].revents) {
		pthread_join(thread, NULL);
		return stall->result.error ? stall->result.error : EALREADY;
	}
	if (read(stall->faults, &message, sizeof(message)) != sizeof(message))
		return errno;
	return message.event == UFFD_EVENT_PAGEFAULT ? 0 : EBADMSG;
}

int stall_end(struct stall *stall, struct failure *why)
{
	struct uffdio_zeropage zero = {
		.range = { .start = (uintptr_t)stall->page,
			   .len = stall->holding->page_size_bytes },
	};
	int error;

	if (ioctl(stall->faults, UFFDIO_ZEROPAGE, &zero) < 0)
		return failed(why, errno, "ioctl(UFFDIO_ZEROPAGE)");
	error = pthread_join((pthread_t)stall->thread, NULL);
	if (error)
		return failed(why, error, "pthread_join()");
	if (close(stall->faults) < 0)
		return failed(why, errno, "close(userfaultfd)");
	return 0;
}
