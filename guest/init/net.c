// SPDX-License-Identifier: GPL-2.0-only
/* IPv4 addresses of interfaces, set by ioctl (netdevice(7)). */
#include "init.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "number.h"

#define INTERFACE_BUDGET 5.0

/* "10.0.2.15/24"; the address in network byte order. */
int parse_address(const char *text, unsigned int *address, unsigned int *prefix)
{
	const char *slash = strchr(text, '/');
	unsigned long long bits;
	char dotted[INET_ADDRSTRLEN];
	struct in_addr parsed;

	if (!slash || (size_t)(slash - text) >= sizeof(dotted))
		return -1;
	memcpy(dotted, text, (size_t)(slash - text));
	dotted[slash - text] = '\0';
	if (inet_pton(AF_INET, dotted, &parsed) != 1 || !parse_count(slash + 1, &bits) ||
	    bits > 32)
		return -1;
	*address = parsed.s_addr;
	*prefix = (unsigned int)bits;
	return 0;
}

static int named(struct ifreq *request, const char *interface, struct reason *reason)
{
	memset(request, 0, sizeof(*request));
	if (strlen(interface) >= sizeof(request->ifr_name))
		return because(reason, 0, "'%.40s' is too long for an interface", interface);
	strcpy(request->ifr_name, interface);
	return 0;
}

static int bring_up(int fd, struct ifreq *request, struct reason *reason)
{
	if (ioctl(fd, SIOCGIFFLAGS, request) < 0)
		return because(reason, errno, "ioctl(SIOCGIFFLAGS, %s)", request->ifr_name);
	request->ifr_flags |= IFF_UP | IFF_RUNNING;
	if (ioctl(fd, SIOCSIFFLAGS, request) < 0)
		return because(reason, errno, "ioctl(SIOCSIFFLAGS, %s)", request->ifr_name);
	return 0;
}

/* Also brings lo its 127.0.0.1: the kernel adds it when the interface goes up. */
int loopback_up(struct reason *reason)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request;
	int result;

	if (fd < 0)
		return because(reason, errno, "socket(AF_INET)");
	result = named(&request, "lo", reason);
	if (result == 0)
		result = bring_up(fd, &request, reason);
	close(fd);
	return result;
}

/* A driver may make its interface a moment after its module was loaded. */
static int await_interface(int fd, struct ifreq *request, struct reason *reason)
{
	double end = boottime() + INTERFACE_BUDGET;

	while (ioctl(fd, SIOCGIFINDEX, request) < 0) {
		if (errno != ENODEV)
			return because(reason, errno, "ioctl(SIOCGIFINDEX, %s)",
				       request->ifr_name);
		if (boottime() >= end)
			return because(reason, 0, "no interface %s after %.0f s: is its driver"
				       " among the modules?", request->ifr_name, INTERFACE_BUDGET);
		pause_for(0.002);
	}
	return 0;
}

static int put_address(int fd, struct ifreq *request, const char *text, struct reason *reason)
{
	struct sockaddr_in socket_address = { .sin_family = AF_INET };
	unsigned int address, prefix;

	if (parse_address(text, &address, &prefix) < 0)
		return because(reason, 0, "'%.40s' is no ADDRESS/PREFIX", text);
	socket_address.sin_addr.s_addr = address;
	memcpy(&request->ifr_addr, &socket_address, sizeof(socket_address));
	if (ioctl(fd, SIOCSIFADDR, request) < 0)
		return because(reason, errno, "ioctl(SIOCSIFADDR, %s, %s)", request->ifr_name,
			       text);
	socket_address.sin_addr.s_addr = htonl(prefix ? ~0U << (32 - prefix) : 0);
	memcpy(&request->ifr_netmask, &socket_address, sizeof(socket_address));
	if (ioctl(fd, SIOCSIFNETMASK, request) < 0)
		return because(reason, errno, "ioctl(SIOCSIFNETMASK, %s, %s)", request->ifr_name,
			       text);
	return bring_up(fd, request, reason);
}

int set_address(const char *interface, const char *address, struct reason *reason)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request;
	int result;

	if (fd < 0)
		return because(reason, errno, "socket(AF_INET)");
	result = named(&request, interface, reason);
	if (result == 0)
		result = await_interface(fd, &request, reason);
	if (result == 0)
		result = put_address(fd, &request, address, reason);
	close(fd);
	return result;
}
