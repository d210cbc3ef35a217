/* SPDX-License-Identifier: GPL-2.0-only */
/* Addresses for the memory of a holder. */
#ifndef PINHOLE_SPACE_H
#define PINHOLE_SPACE_H

#include <stddef.h>

#include "holding.h"

/*
 * Reserves size_bytes of addresses, aligned to align bytes (a power of two), and sets
 * holding->address to them. They can be neither read nor written until a kind maps over them
 * with MAP_FIXED. The page behind them is reserved too and stays so: a way may map over it.
 */
int reserve_addresses(struct holding *holding, size_t align, struct failure *why);
/*
 * 0, or -1 where the memory has no addresses: a way made it itself, or a trick took them. Address 0
 * is no answer to that: a static program lies at 4 MiB, within the size of the memory.
 */
int require_addresses(const struct holding *holding, struct failure *why);

#endif
