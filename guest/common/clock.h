/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest's clock: seconds of CLOCK_BOOTTIME, onto which all other times are mapped. */
#ifndef PINHOLE_CLOCK_H
#define PINHOLE_CLOCK_H

#include <time.h>

static inline double boottime(void)
{
	struct timespec now = { 0, 0 };

	/* Cannot fail: CLOCK_BOOTTIME is in every kernel since 2.6.39. */
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static inline struct timespec duration(double seconds)
{
	struct timespec span;

	span.tv_sec = (time_t)seconds;
	span.tv_nsec = (long)((seconds - (double)span.tv_sec) * 1e9);
	return span;
}

static inline void pause_for(double seconds)
{
	struct timespec span = duration(seconds);

	/* A signal may cut it short: every caller asks the clock again. */
	nanosleep(&span, NULL);
}

#endif
