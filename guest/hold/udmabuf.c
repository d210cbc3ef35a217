// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds a memfd's pages as a dma-buf: long-term pins since memfd_pin_folios() (6.11), plain
 * references before. Memory of no memfd gets the kernel's own errno.
 */
#include "pinholder/holding.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

static struct {
	int device;
	int buffer;
} udmabuf = { -1, -1 };

static int udmabuf_setup(struct holding *holding, struct failure *why)
{
	(void)holding;
	udmabuf.device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	if (udmabuf.device >= 0)
		return 0;
	if (errno != ENOENT && errno != ENODEV)
		return failed(why, errno, "open(/dev/udmabuf)");
	unsupported(why, errno, "open(/dev/udmabuf)");
	return advise(why, "this takes CONFIG_UDMABUF");
}

static void udmabuf_hold(struct holding *holding, struct hold_result *result)
{
	struct udmabuf_create create = {
		.memfd = (uint32_t)holding->file,
		.flags = UDMABUF_FLAGS_CLOEXEC,
		.size = holding->hold_bytes,
	};

	/* Only a memfd can be sealed; for all else the kernel says below what it thinks of it. */
	if (holding->file >= 0 && fcntl(holding->file, F_ADD_SEALS, F_SEAL_SHRINK) < 0 &&
	    errno != EINVAL) {
		result->result = -1;
		result->error = errno;
		return;
	}
	udmabuf.buffer = ioctl(udmabuf.device, UDMABUF_CREATE, &create);
	result->result = udmabuf.buffer;
	result->error = udmabuf.buffer < 0 ? errno : 0;
	result->pages = result->error ? 0 : holding->hold_bytes / holding->page_size_bytes;
}

static int udmabuf_release(struct holding *holding, struct failure *why)
{
	(void)holding;
	if (close(udmabuf.buffer) < 0)
		return failed(why, errno, "close(dma-buf)");
	return 0;
}

const struct hold_path hold_udmabuf = {
	.name = "udmabuf",
	.summary = "a dma-buf over a memfd: a long-term pin (plain references before 6.11)",
	.call = "ioctl(UDMABUF_CREATE)",
	.setup = udmabuf_setup,
	.hold = udmabuf_hold,
	.release = udmabuf_release,
};
