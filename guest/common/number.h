/* SPDX-License-Identifier: GPL-2.0-only */
/* Numbers as people write them on a command line; all refuse what they do not wholly read. */
#ifndef PINHOLE_NUMBER_H
#define PINHOLE_NUMBER_H

#include <stdbool.h>

/* A count: decimal digits only. */
bool parse_count(const char *text, unsigned long long *value);
/* Bytes: digits with K, M, G or T (powers of 1024), an optional B or iB after the letter. */
bool parse_size(const char *text, unsigned long long *bytes);
/* Seconds, 0 to a day, with decimals. */
bool parse_seconds(const char *text, double *seconds);

#endif
