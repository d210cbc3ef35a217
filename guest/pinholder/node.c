// SPDX-License-Identifier: GPL-2.0-only
/* NUMA nodes: what one has, binding to it, and where pages ended up. */
#include "node.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "file.h"

#define BITS (8 * sizeof(unsigned long))
#define BATCH 4096

/* The figure after "name" in a meminfo file, in bytes; -1 if it is not there. */
static int meminfo_value(const char *text, const char *name, uint64_t *bytes)
{
	const char *at = strstr(text, name);
	unsigned long long kib;

	if (!at || sscanf(at + strlen(name), " %llu kB", &kib) != 1)
		return -1;
	*bytes = (uint64_t)kib << 10;
	return 0;
}

/*
 * Free pages of node above the high watermark and the lowmem reserve of each zone: a bound
 * allocation that digs deeper wakes reclaim and in the end the OOM killer. 0 or -errno.
 */
static int free_above_watermarks(int node, size_t page_size_bytes, uint64_t *bytes)
{
	unsigned long long free_pages = 0, high = 0, reserve, greatest;
	int found, zone_node = -1, offset;
	char *text, *line, *next, *at;
	ssize_t length = read_whole("/proc/zoneinfo", &text);

	if (length < 0)
		return (int)length;
	*bytes = 0;
	for (line = text; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (sscanf(line, "Node %d, zone", &found) == 1) {
			zone_node = found;
			free_pages = high = 0;
		}
		sscanf(line, " pages free %llu", &free_pages);
		sscanf(line, " high %llu", &high);	/* "high:" is of a per-cpu list */
		at = strstr(line, "protection: (");
		if (!at || zone_node != node)
			continue;
		greatest = 0;
		for (at += strlen("protection: ("); sscanf(at, "%llu%n", &reserve, &offset) == 1;
		     at += offset + strspn(at + offset, ", "))
			greatest = reserve > greatest ? reserve : greatest;
		if (free_pages > high + greatest)
			*bytes += (free_pages - high - greatest) * page_size_bytes;
	}
	free(text);
	return 0;
}

int node_memory(int node, struct node_memory *memory, struct failure *why)
{
	char path[64] = "/proc/meminfo", text[8192];
	ssize_t length;
	int error;

	if (node >= 0)
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/meminfo", node);
	length = read_text(path, text, sizeof(text));
	if (length < 0) {
		failed(why, (int)-length, "read(%s)", path);
		return advise(why, length == -ENOENT ? "there is no node %d" : "node %d", node);
	}
	if (meminfo_value(text, "MemTotal:", &memory->total) < 0 ||
	    meminfo_value(text, "MemFree:", &memory->free) < 0)
		return failed(why, ENODATA, "read(%s): no MemTotal or MemFree", path);
	if (node < 0) {
		if (meminfo_value(text, "MemAvailable:", &memory->usable) < 0)
			memory->usable = memory->free;
		return 0;
	}
	error = -free_above_watermarks(node, (size_t)sysconf(_SC_PAGESIZE), &memory->usable);
	if (error)
		return failed(why, error, "read(/proc/zoneinfo)");
	return 0;
}

int node_bind(const struct holding *holding, struct failure *why)
{
	unsigned long mask[MAX_NODES / BITS] = { 0 };

	mask[(size_t)holding->node / BITS] = 1UL << ((size_t)holding->node % BITS);
	/* The kernel takes one node less than it is told: get_nodes(), mm/mempolicy.c. */
	if (syscall(SYS_mbind, holding->address, holding->size_bytes, MPOL_BIND, mask,
		    MAX_NODES + 1, 0) < 0)
		return failed(why, errno, "mbind(MPOL_BIND, node %d)", holding->node);
	return 0;
}

int node_bind_thread(int node, struct failure *why)
{
	unsigned long mask[MAX_NODES / BITS] = { 0 };

	if (node >= 0)
		mask[(size_t)node / BITS] = 1UL << ((size_t)node % BITS);
	if (syscall(SYS_set_mempolicy, node < 0 ? MPOL_DEFAULT : MPOL_BIND,
		    node < 0 ? NULL : mask, node < 0 ? 0 : MAX_NODES + 1) < 0)
		return failed(why, errno, "set_mempolicy(node %d)", node);
	return 0;
}

int node_drain(const struct holding *holding, struct failure *why)
{
	unsigned long nodes[MAX_NODES / BITS] = { 0 };
	size_t node = holding->node < 0 ? 0 : (size_t)holding->node;

	/* It moves nothing, from a node to itself, but empties the batches first. */
	nodes[node / BITS] = 1UL << (node % BITS);
	if (syscall(SYS_migrate_pages, 0, MAX_NODES + 1, nodes, nodes) < 0)
		return failed(why, errno, "migrate_pages(from node %zu to itself)", node);
	return 0;
}

int node_count_pages(const struct holding *holding, struct node_pages *pages, struct failure *why)
{
	size_t total = holding->size_bytes / holding->page_size_bytes;
	void *addresses[BATCH];
	int where[BATCH];
	size_t done, count, i;

	memset(pages, 0, sizeof(*pages));
	for (done = 0; done < total; done += count) {
		count = total - done < BATCH ? total - done : BATCH;
		for (i = 0; i < count; i++)
			addresses[i] = holding->address + (done + i) * holding->page_size_bytes;
		/* No target nodes: the call only says where each page is. */
		if (syscall(SYS_move_pages, 0, count, addresses, NULL, where, 0) < 0)
			return failed(why, errno, "move_pages(%zu pages)", count);
		for (i = 0; i < count; i++) {
			if (where[i] >= 0 && where[i] < MAX_NODES)
				pages->on[where[i]]++;
			else
				pages->nowhere++;
		}
	}
	return 0;
}
