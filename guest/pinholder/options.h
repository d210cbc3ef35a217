/* SPDX-License-Identifier: GPL-2.0-only */
/* pinholder's command line. */
#ifndef PINHOLE_OPTIONS_H
#define PINHOLE_OPTIONS_H

#include "holding.h"

#define EXIT_RELEASED 0
#define EXIT_REFUSED 1
#define EXIT_USAGE 2
#define EXIT_FAILED 3
#define EXIT_KILLED 4
#define EXIT_UNSUPPORTED 5

/*
 * The first argument of a holder's second life (trick exec), no option of the user's. The second
 * is when the first life ended, in microseconds of the boot's clock.
 */
#define AFTER_EXEC "--after-exec"

/* How long the call that holds may take until its process is killed; 0 seconds: as it likes. */
struct hold_budget {
	double seconds;
	double grace_seconds;	/* from then on, until the process counts as unkillable */
};

/* Fills both from the command line; ends the process for --help, --list and mistakes. */
void parse_options(int argc, char **argv, struct holding *holding, struct hold_budget *budget);

#endif
