/* SPDX-License-Identifier: GPL-2.0-only */
/* Requests to the kernel by netlink, one at a time. */
#ifndef PINHOLE_NETLINK_H
#define PINHOLE_NETLINK_H

#include <linux/netlink.h>
#include <stdint.h>

#include "holding.h"

struct netlink {
	int socket;
	uint32_t sequence;
	struct nlmsghdr *request;	/* points into room */
	_Alignas(struct nlmsghdr) char room[4096];
};

/* protocol: NETLINK_GENERIC and so on; 0, or -1 (unsupported where there is none such). */
int netlink_open(struct netlink *netlink, int protocol, struct failure *why);
void netlink_close(struct netlink *netlink);

/* Begins a request of type, with so many bytes of a fixed header (may be NULL). */
void netlink_begin(struct netlink *netlink, uint16_t type, const void *header, size_t size);
void netlink_add(struct netlink *netlink, uint16_t attribute, const void *data, size_t size);
void netlink_add_text(struct netlink *netlink, uint16_t attribute, const char *text);
/* Sends it and waits for the answer; 0, or the errno that the kernel gave. */
int netlink_talk(struct netlink *netlink);

/* The type of a generic netlink family; 0, or an errno (ENOENT: there is none such). */
int netlink_family(struct netlink *netlink, const char *name, uint16_t *type);

#endif
