// SPDX-License-Identifier: GPL-2.0-only
/* Requests to the kernel by netlink, one at a time. */
#include "netlink.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int netlink_open(struct netlink *netlink, int protocol, struct failure *why)
{
	memset(netlink, 0, sizeof(*netlink));
	netlink->socket = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	if (netlink->socket >= 0)
		return 0;
	return errno == EPROTONOSUPPORT ?
		       unsupported(why, errno, "socket(AF_NETLINK, %d)", protocol) :
		       failed(why, errno, "socket(AF_NETLINK, %d)", protocol);
}

void netlink_close(struct netlink *netlink)
{
	close(netlink->socket);
}

static void append(struct netlink *netlink, const void *data, size_t size)
{
	size_t at = NLMSG_ALIGN(netlink->request->nlmsg_len);

	if (at + size > sizeof(netlink->room)) {
		netlink->request->nlmsg_len = sizeof(netlink->room) + 1;	/* refused below */
		return;
	}
	memcpy(netlink->room + at, data, size);
	netlink->request->nlmsg_len = (uint32_t)(at + size);
}

void netlink_begin(struct netlink *netlink, uint16_t type, const void *header, size_t size)
{
	memset(netlink->room, 0, sizeof(netlink->room));
	netlink->request = (struct nlmsghdr *)(void *)netlink->room;
	netlink->request->nlmsg_len = NLMSG_HDRLEN;
	netlink->request->nlmsg_type = type;
	netlink->request->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	netlink->request->nlmsg_seq = ++netlink->sequence;
	if (size)
		append(netlink, header, size);
}

void netlink_add(struct netlink *netlink, uint16_t attribute, const void *data, size_t size)
{
	struct nlattr head = {
		.nla_len = (uint16_t)(NLA_HDRLEN + size),
		.nla_type = attribute,
	};

	append(netlink, &head, sizeof(head));
	append(netlink, data, size);
}

void netlink_add_text(struct netlink *netlink, uint16_t attribute, const char *text)
{
	netlink_add(netlink, attribute, text, strlen(text) + 1);
}

/* The next message that answers the request; bytes or -errno. */
static ssize_t receive(struct netlink *netlink, void *answer, size_t size)
{
	struct nlmsghdr *head = answer;
	ssize_t got;

	do {
		got = recv(netlink->socket, answer, size, 0);
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got >= 0 && got < (ssize_t)sizeof(*head))
			return -EBADMSG;
	} while (got < 0 || head->nlmsg_seq != netlink->sequence);
	return got;
}

/* Sends the request and receives the first message that answers it; bytes or -errno. */
static ssize_t exchange(struct netlink *netlink, void *answer, size_t size)
{
	if (netlink->request->nlmsg_len > sizeof(netlink->room))
		return -E2BIG;
	if (send(netlink->socket, netlink->room, netlink->request->nlmsg_len, 0) < 0)
		return -errno;
	return receive(netlink, answer, size);
}

int netlink_talk(struct netlink *netlink)
{
	_Alignas(struct nlmsghdr) char answer[8192];
	struct nlmsghdr *head = (struct nlmsghdr *)(void *)answer;
	ssize_t got = exchange(netlink, answer, sizeof(answer));

	/* Some families answer with data before the acknowledgement. */
	while (got >= 0 && head->nlmsg_type != NLMSG_ERROR)
		got = receive(netlink, answer, sizeof(answer));
	if (got < 0)
		return (int)-got;
	return -((struct nlmsgerr *)NLMSG_DATA(head))->error;
}

int netlink_family(struct netlink *netlink, const char *name, uint16_t *type)
{
	const struct genlmsghdr command = { .cmd = CTRL_CMD_GETFAMILY, .version = 1 };
	_Alignas(struct nlmsghdr) char answer[8192];
	struct nlmsghdr *head = (struct nlmsghdr *)(void *)answer;
	struct nlattr *attribute;
	ssize_t got;
	size_t at;

	netlink_begin(netlink, GENL_ID_CTRL, &command, sizeof(command));
	netlink->request->nlmsg_flags = NLM_F_REQUEST;
	netlink_add_text(netlink, CTRL_ATTR_FAMILY_NAME, name);
	got = exchange(netlink, answer, sizeof(answer));
	if (got < 0)
		return (int)-got;
	if (head->nlmsg_type == NLMSG_ERROR)
		return -((struct nlmsgerr *)NLMSG_DATA(head))->error;
	for (at = NLMSG_HDRLEN + GENL_HDRLEN; at + NLA_HDRLEN <= (size_t)got;
	     at += NLA_ALIGN(attribute->nla_len)) {
		attribute = (struct nlattr *)(void *)(answer + at);
		if (attribute->nla_len < NLA_HDRLEN)
			break;
		if (attribute->nla_type == CTRL_ATTR_FAMILY_ID) {
			memcpy(type, answer + at + NLA_HDRLEN, sizeof(*type));
			return 0;
		}
	}
	return EBADMSG;
}
