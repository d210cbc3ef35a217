/* SPDX-License-Identifier: GPL-2.0-only */
/* pinholder's command line. */
#ifndef PINHOLE_OPTIONS_H
#define PINHOLE_OPTIONS_H

#include "holding.h"

#define EXIT_RELEASED 0
#define EXIT_REFUSED 1
#define EXIT_USAGE 2
#define EXIT_FAILED 3

/* Fills holding from the command line; ends the process for --help, --list and mistakes. */
void parse_options(int argc, char **argv, struct holding *holding);

#endif
