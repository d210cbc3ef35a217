/* SPDX-License-Identifier: GPL-2.0-only */
/* A memory region of a software RDMA device (rxe, siw) over the first network interface. */
#ifndef PINHOLE_RDMA_H
#define PINHOLE_RDMA_H

#include "holding.h"

/* Adds a link of that type, opens it and makes a protection domain; 0 or -1. */
int rdma_open(const char *type, struct failure *why);
/* Registers the memory; 0, or the errno. */
int rdma_register(const struct holding *holding);
/* Gives back what rdma_open() and rdma_register() made. */
int rdma_close(struct failure *why);

#endif
