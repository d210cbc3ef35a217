// SPDX-License-Identifier: GPL-2.0-only
/*
 * A memory region of a software RDMA device (rxe, siw) over the first network interface.
 *
 * libibverbs opens the device; where pinholder was compiled without it, that is a lack.
 */
#include "rdma.h"

#include <errno.h>

#ifdef HAVE_LIBIBVERBS

#include <infiniband/verbs.h>
#include <net/if.h>
#include <netdb.h>
#include <rdma/rdma_netlink.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netlink.h"

/*
 * libnl names these, of glibc, which a static program cannot use: the linker warns of it. Nobody
 * calls them here.
 */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		struct addrinfo **found)
{
	(void)node;
	(void)service;
	(void)hints;
	(void)found;
	return EAI_FAIL;
}

void freeaddrinfo(struct addrinfo *found)
{
	(void)found;
}

struct protoent *getprotobyname(const char *name)
{
	(void)name;
	return NULL;
}

struct protoent *getprotobynumber(int number)
{
	(void)number;
	return NULL;
}

static struct {
	char name[32];
	struct netlink netlink;
	struct ibv_context *context;
	struct ibv_pd *domain;
	struct ibv_mr *region;
} rdma;

/* The first interface that is up and leads somewhere. */
static int first_interface(char *name, struct failure *why)
{
	struct if_nameindex *all = if_nameindex(), *one;
	int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request;

	*name = '\0';
	for (one = all; one && one->if_index && !*name; one++) {
		memset(&request, 0, sizeof(request));
		snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", one->if_name);
		if (ioctl(any, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP) &&
		    !(request.ifr_flags & IFF_LOOPBACK))
			snprintf(name, IF_NAMESIZE, "%s", one->if_name);
	}
	if (all)
		if_freenameindex(all);
	if (any >= 0)
		close(any);
	return *name ? 0 : unsupported(why, ENODEV, "finding a network interface that is up");
}

static uint16_t message(int command)
{
	return (uint16_t)RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, command);
}

/* Takes the link of that name away, if there is one; 0 or an errno. */
static int remove_link(void)
{
	struct ibv_device **all = ibv_get_device_list(NULL), **one;
	uint32_t index;
	int error = 0;

	if (!all)
		return errno;
	for (one = all; *one; one++) {
		if (strcmp(ibv_get_device_name(*one), rdma.name))
			continue;
		index = (uint32_t)ibv_get_device_index(*one);
		netlink_begin(&rdma.netlink, message(RDMA_NLDEV_CMD_DELLINK), NULL, 0);
		netlink_add(&rdma.netlink, RDMA_NLDEV_ATTR_DEV_INDEX, &index, sizeof(index));
		error = netlink_talk(&rdma.netlink);
	}
	ibv_free_device_list(all);
	return error;
}

static int add_link(const char *type, struct failure *why)
{
	char interface[IF_NAMESIZE];
	int error;

	if (first_interface(interface, why) < 0)
		return -1;
	netlink_begin(&rdma.netlink, message(RDMA_NLDEV_CMD_NEWLINK), NULL, 0);
	netlink_add_text(&rdma.netlink, RDMA_NLDEV_ATTR_DEV_NAME, rdma.name);
	netlink_add_text(&rdma.netlink, RDMA_NLDEV_ATTR_LINK_TYPE, type);
	netlink_add_text(&rdma.netlink, RDMA_NLDEV_ATTR_NDEV_NAME, interface);
	error = netlink_talk(&rdma.netlink);
	if (error == EINVAL) {
		unsupported(why, error, "RDMA_NLDEV_CMD_NEWLINK(%s over %s)", type, interface);
		return advise(why, "this takes the kernel's RDMA driver %s", type);
	}
	return error ? failed(why, error, "RDMA_NLDEV_CMD_NEWLINK(%s over %s)", type, interface) :
		       0;
}

static int open_link(struct failure *why)
{
	struct ibv_device **all = ibv_get_device_list(NULL), **one;

	if (!all)
		return failed(why, errno, "ibv_get_device_list()");
	for (one = all; *one && !rdma.context; one++) {
		if (strcmp(ibv_get_device_name(*one), rdma.name))
			continue;
		errno = 0;
		rdma.context = ibv_open_device(*one);
		if (!rdma.context)
			failed(why, errno, "ibv_open_device(%s)", rdma.name);
	}
	if (!*one && !rdma.context && !why->call[0])
		failed(why, ENODEV, "finding %s among the RDMA devices", rdma.name);
	ibv_free_device_list(all);
	if (!rdma.context)
		return -1;
	rdma.domain = ibv_alloc_pd(rdma.context);
	return rdma.domain ? 0 : failed(why, errno, "ibv_alloc_pd(%s)", rdma.name);
}

/* Nobody releases what was never held, and the link would outlive the process. */
static void close_link(void)
{
	struct failure why;

	if (rdma_close(&why) < 0)
		fprintf(stderr, "pinholder: %s: %s\n", why.call, strerror(why.error));
}

int rdma_open(const char *type, struct failure *why)
{
	int error;

	snprintf(rdma.name, sizeof(rdma.name), "pinholder_%.16s", type);
	if (netlink_open(&rdma.netlink, NETLINK_RDMA, why) < 0)
		return -1;
	/* What a killed process left would be in the way. */
	error = remove_link();
	if (error == ENOSYS) {
		unsupported(why, error, "ibv_get_device_list()");
		return advise(why, "this takes CONFIG_INFINIBAND_USER_ACCESS");
	}
	if (error)
		return failed(why, error, "RDMA_NLDEV_CMD_DELLINK(%s)", rdma.name);
	why->call[0] = '\0';
	if (add_link(type, why) < 0)
		return -1;
	if (open_link(why) == 0)
		return 0;
	close_link();
	return -1;
}

int rdma_register(const struct holding *holding)
{
	int error;

	rdma.region = ibv_reg_mr(rdma.domain, holding->address, holding->hold_bytes,
				 IBV_ACCESS_LOCAL_WRITE);
	if (rdma.region)
		return 0;
	error = errno;
	close_link();
	return error;
}

int rdma_close(struct failure *why)
{
	int error = rdma.region ? ibv_dereg_mr(rdma.region) : 0;

	if (error)
		return failed(why, error, "ibv_dereg_mr()");
	error = rdma.domain ? ibv_dealloc_pd(rdma.domain) : 0;
	if (error)
		return failed(why, error, "ibv_dealloc_pd()");
	if (rdma.context && ibv_close_device(rdma.context))
		return failed(why, errno, "ibv_close_device()");
	error = remove_link();
	if (error)
		return failed(why, error, "RDMA_NLDEV_CMD_DELLINK(%s)", rdma.name);
	netlink_close(&rdma.netlink);
	return 0;
}

#else

int rdma_open(const char *type, struct failure *why)
{
	unsupported(why, ENOSYS, "opening an RDMA device (%s)", type);
	return advise(why, "pinholder was compiled without libibverbs: apt-get install "
		      "libibverbs-dev");
}

int rdma_register(const struct holding *holding)
{
	(void)holding;
	return ENOSYS;
}

int rdma_close(struct failure *why)
{
	return failed(why, ENOSYS, "closing an RDMA device");
}

#endif
