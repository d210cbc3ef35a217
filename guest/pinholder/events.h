/* SPDX-License-Identifier: GPL-2.0-only */
/* pinholder's lines of output, and the orders it waits for. */
#ifndef PINHOLE_EVENTS_H
#define PINHOLE_EVENTS_H

#include "holding.h"

/* Starts the line of an event: its name and the time. */
void event_begin(struct json *json, const char *name);
/* Writes the line; a reader that has gone ends the process, which lets go of everything. */
void event_end(struct json *json);

/* {"event":"error"} or {"event":"unsupported"}, and a line for people; returns the exit status. */
int say_error(const char *doing, const struct failure *why);

enum order { ORDER_PAGES, ORDER_RELEASE };

/* To be called before the hold: from then on SIGINT and SIGTERM only end the waiting. */
int orders_open(struct failure *why);
/* Waits; *by is what a release was ordered by: release, eof, SIGINT or SIGTERM. */
int next_order(enum order *order, const char **by, struct failure *why);

#endif
