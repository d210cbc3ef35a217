// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds pages in the send queue of a TCP connection whose peer does not read (MSG_ZEROCOPY).
 *
 * Over the loopback the kernel copies what it delivers, so that the pages of what is delivered are
 * let go. One page is sent a call: the notifications then say which pages are held no more.
 */
#include "pinholder/holding.h"

#include <errno.h>
#include <time.h>	/* errqueue.h takes it and does not say so */
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_ZEROCOPY
#define SO_ZEROCOPY 60
#define MSG_ZEROCOPY 0x4000000
#endif

/* Nothing more is delivered once the peer's window is full, which takes no time worth telling. */
#define MSG_ZEROCOPY_QUIET_MS 300

static struct {
	int sender;
	int peer;
	size_t sent;		/* pages */
	size_t delivered;	/* of them, the first ones: let go */
} msg_zerocopy = { .sender = -1, .peer = -1 };

static int msg_zerocopy_connect(int listener, struct failure *why)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t length = sizeof(address);
	int least = 1;

	/* Before the connection is made: its window comes from it. */
	if (setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least)) < 0)
		return failed(why, errno, "setsockopt(SO_RCVBUF)");
	if (bind(listener, (struct sockaddr *)&address, length) < 0 || listen(listener, 1) < 0)
		return failed(why, errno, "bind(127.0.0.1) or listen()");
	if (getsockname(listener, (struct sockaddr *)&address, &length) < 0)
		return failed(why, errno, "getsockname()");
	if (connect(msg_zerocopy.sender, (struct sockaddr *)&address, length) < 0)
		return failed(why, errno, "connect(127.0.0.1)");
	msg_zerocopy.peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	return msg_zerocopy.peer < 0 ? failed(why, errno, "accept()") : 0;
}

static int msg_zerocopy_setup(struct holding *holding, struct failure *why)
{
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, error;
	/* The kernel counts its own overhead in, several times what a page holds. */
	int queue = holding->hold_bytes > (1U << 26) ? 1 << 29 : (int)holding->hold_bytes * 8;

	msg_zerocopy.sender = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || msg_zerocopy.sender < 0)
		return unsupported(why, errno, "socket(AF_INET)");
	if (setsockopt(msg_zerocopy.sender, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)) < 0)
		return errno == ENOPROTOOPT || errno == EOPNOTSUPP ?
			       unsupported(why, errno, "setsockopt(SO_ZEROCOPY)") :
			       failed(why, errno, "setsockopt(SO_ZEROCOPY)");
	if (setsockopt(msg_zerocopy.sender, SOL_SOCKET, SO_SNDBUFFORCE, &queue,
		       sizeof(queue)) < 0)
		return failed(why, errno, "setsockopt(SO_SNDBUFFORCE)");
	error = msg_zerocopy_connect(listener, why);
	close(listener);
	return error;
}

/* Reads what notifications there are: calls number ee_info to ee_data are done with. */
static int msg_zerocopy_notified(void)
{
	union {
		char bytes[CMSG_SPACE(sizeof(struct sock_extended_err)) + 256];
		struct cmsghdr align;
	} control;
	struct sock_extended_err err;
	struct cmsghdr *part;
	struct msghdr head;

	for (;;) {
		memset(&head, 0, sizeof(head));
		head.msg_control = &control;
		head.msg_controllen = sizeof(control);
		if (recvmsg(msg_zerocopy.sender, &head, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
			return errno == EAGAIN ? 0 : errno;
		part = CMSG_FIRSTHDR(&head);
		if (!part)
			return EBADMSG;
		memcpy(&err, CMSG_DATA(part), sizeof(err));
		if (err.ee_origin != SO_EE_ORIGIN_ZEROCOPY)
			return EBADMSG;
		if (err.ee_data + 1 > msg_zerocopy.delivered)
			msg_zerocopy.delivered = err.ee_data + 1;
	}
}

static int msg_zerocopy_send(const struct holding *holding)
{
	size_t page = holding->page_size_bytes, total = holding->hold_bytes / page;
	ssize_t sent;

	while (msg_zerocopy.sent < total) {
		sent = send(msg_zerocopy.sender, holding->address + msg_zerocopy.sent * page, page,
			    MSG_ZEROCOPY | MSG_DONTWAIT | MSG_NOSIGNAL);
		/* The queue, or the room for notifications (net.core.optmem_max), is full. */
		if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS) && msg_zerocopy.sent)
			return 0;
		if (sent < 0)
			return errno;
		if ((size_t)sent != page)
			return 0;	/* the queue is full in the middle of a page */
		msg_zerocopy.sent++;
	}
	return 0;
}

static void msg_zerocopy_hold(struct holding *holding, struct hold_result *result)
{
	/* Notifications show as POLLERR, which is always waited for. */
	struct pollfd queue = { .fd = msg_zerocopy.sender, .events = 0 };

	result->error = msg_zerocopy_send(holding);
	while (!result->error && poll(&queue, 1, MSG_ZEROCOPY_QUIET_MS) > 0)
		result->error = msg_zerocopy_notified();
	result->result = result->error ? -1 : (long)(msg_zerocopy.sent * holding->page_size_bytes);
	if (result->error)
		return;
	result->first_page = msg_zerocopy.delivered;
	result->pages = msg_zerocopy.sent - msg_zerocopy.delivered;
}

static int msg_zerocopy_release(struct holding *holding, struct failure *why)
{
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	(void)holding;
	/* Without it the queue would outlive the socket until the peer's silence is given up. */
	if (setsockopt(msg_zerocopy.sender, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) < 0)
		return failed(why, errno, "setsockopt(SO_LINGER)");
	if (close(msg_zerocopy.sender) < 0 || close(msg_zerocopy.peer) < 0)
		return failed(why, errno, "close(connection)");
	return 0;
}

static void msg_zerocopy_report(const struct holding *holding, struct json *json)
{
	(void)holding;
	json_uint(json, "sent", msg_zerocopy.sent);
	json_uint(json, "delivered", msg_zerocopy.delivered);
}

const struct hold_path hold_msg_zerocopy = {
	.name = "msg_zerocopy",
	.summary = "MSG_ZEROCOPY to a peer that does not read: references, no pin",
	.call = "send(MSG_ZEROCOPY)",
	.setup = msg_zerocopy_setup,
	.hold = msg_zerocopy_hold,
	.release = msg_zerocopy_release,
	.report = msg_zerocopy_report,
};
