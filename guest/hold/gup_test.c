// SPDX-License-Identifier: GPL-2.0-only
/* Holds pages by the kernel's own test of pinning (mm/gup_test.c, 6.2 and later). */
#include "pinholder/holding.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ioctl.h>
#include <linux/types.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define GUP_TEST_FILE "/sys/kernel/debug/gup_test"

/* mm/gup_test.h, which is not among the headers for programs. */
struct gup_test_longterm {
	__u64 addr;
	__u64 size;
	__u32 flags;
};
#define GUP_TEST_WRITE 1
#define GUP_TEST_START _IOW('g', 7, struct gup_test_longterm)
#define GUP_TEST_STOP _IO('g', 8)

static int gup_test_file = -1;

static int gup_test_setup(struct holding *holding, struct failure *why)
{
	(void)holding;
	gup_test_file = open(GUP_TEST_FILE, O_RDWR | O_CLOEXEC);
	if (gup_test_file < 0 && errno != ENOENT)
		return failed(why, errno, "open(" GUP_TEST_FILE ")");
	if (gup_test_file < 0) {
		unsupported(why, errno, "open(" GUP_TEST_FILE ")");
		return advise(why, "this takes CONFIG_GUP_TEST and a mounted debugfs");
	}
	/* That of 5.11 to 6.1 knows no START, and cannot hold: it unpins before it returns. */
	if (ioctl(gup_test_file, GUP_TEST_STOP) == 0)
		return 0;
	if (errno != EINVAL)
		return failed(why, errno, "ioctl(PIN_LONGTERM_TEST_STOP)");
	unsupported(why, errno, "ioctl(PIN_LONGTERM_TEST_STOP)");
	return advise(why, "this takes 6.2 or later");
}

static void gup_test_hold(struct holding *holding, struct hold_result *result)
{
	struct gup_test_longterm range = {
		.addr = (uintptr_t)holding->address,
		.size = holding->hold_bytes,
		.flags = GUP_TEST_WRITE,
	};

	result->result = ioctl(gup_test_file, GUP_TEST_START, &range);
	result->error = result->result < 0 ? errno : 0;
	result->pages = result->error ? 0 : holding->hold_bytes / holding->page_size_bytes;
}

static int gup_test_release(struct holding *holding, struct failure *why)
{
	(void)holding;
	if (ioctl(gup_test_file, GUP_TEST_STOP) < 0)
		return failed(why, errno, "ioctl(PIN_LONGTERM_TEST_STOP)");
	if (close(gup_test_file) < 0)
		return failed(why, errno, "close(gup_test)");
	return 0;
}

const struct hold_path hold_gup_test = {
	.name = "gup_test",
	.summary = "the kernel's own test of long-term pins (CONFIG_GUP_TEST)",
	.call = "ioctl(PIN_LONGTERM_TEST_START)",
	.setup = gup_test_setup,
	.hold = gup_test_hold,
	.release = gup_test_release,
};
