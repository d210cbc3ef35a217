/* SPDX-License-Identifier: GPL-2.0-only */
/* A pattern in every word of the memory, to show that no page lost its contents. */
#ifndef PINHOLE_PATTERN_H
#define PINHOLE_PATTERN_H

#include <stdint.h>

#include "holding.h"

/* generation makes two patterns differ in every word. */
void pattern_write(const struct holding *holding, uint64_t generation);
/* The number of pages with a word that is not as written. */
size_t pattern_bad_pages(const struct holding *holding, uint64_t generation);

#endif
