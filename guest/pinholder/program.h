/* SPDX-License-Identifier: GPL-2.0-only */
/* Running another program: what is not worth a second writing, such as mkfs. */
#ifndef PINHOLE_PROGRAM_H
#define PINHOLE_PROGRAM_H

#include "holding.h"

/*
 * Runs argv, found in PATH, with nothing but standard error open, and waits for it; 0, or -1 if it
 * is not there (unsupported) or did not end with status 0. keep_fd stays open in it; -1: none.
 */
int run_program(char *const argv[], int keep_fd, struct failure *why);

#endif
