/* SPDX-License-Identifier: GPL-2.0-only */
/* Settings of the kernel (files of sysfs) that are other than they were for a while. */
#ifndef PINHOLE_SETTINGS_H
#define PINHOLE_SETTINGS_H

#include "holding.h"

/*
 * One more that settings_change() is to write: value, and when they are restored, before; a
 * before of NULL is what stands in the file now, of a choice the word in brackets. 0 or -1;
 * a file that cannot be read is a lack of the kernel's.
 */
int settings_add(const char *path, const char *value, const char *before, struct failure *why);
/*
 * Sees to it that all that were added are restored when this process ends, however it does; from
 * before there is memory (undo.h). 0 or -1.
 */
int settings_keep(struct failure *why);
/* Writes them all, in the order in which they were added; 0 or -1. */
int settings_change(struct failure *why);
/* Writes what stood in them before, the last first; 0 or -1. */
int settings_restore(struct failure *why);

#endif
