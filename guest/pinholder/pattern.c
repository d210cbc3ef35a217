// SPDX-License-Identifier: GPL-2.0-only
/* A pattern in every word of the memory, to show that no page lost its contents. */
#include "pattern.h"

/* Odd multiplier: words at different places never agree, and a generation changes each word. */
static uint64_t word(size_t index, uint64_t generation)
{
	return ((uint64_t)index + 1) * 0x9e3779b97f4a7c15u ^ generation;
}

/* How many words lie between two places with the same contents. */
static size_t period(const struct holding *holding)
{
	size_t bytes = holding->kind->uniform ? holding->page_size_bytes : holding->size_bytes;

	return bytes / sizeof(uint64_t);
}

void pattern_write(const struct holding *holding, uint64_t generation)
{
	volatile uint64_t *words = (volatile uint64_t *)(void *)holding->address;
	size_t count = holding->size_bytes / sizeof(*words), same = period(holding), i;

	for (i = 0; i < count; i++)
		words[i] = word(i % same, generation);
}

size_t pattern_bad_pages(const struct holding *holding, uint64_t generation)
{
	volatile const uint64_t *words = (volatile const uint64_t *)(void *)holding->address;
	size_t in_page = holding->page_size_bytes / sizeof(*words);
	size_t pages = holding->size_bytes / holding->page_size_bytes;
	size_t same = period(holding), page, i, bad = 0;

	for (page = 0; page < pages; page++) {
		for (i = page * in_page; i < (page + 1) * in_page; i++) {
			if (words[i] != word(i % same, generation)) {
				bad++;
				break;
			}
		}
	}
	return bad;
}
