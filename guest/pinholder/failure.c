// SPDX-License-Identifier: GPL-2.0-only
/* Which call failed, how, and what to do about it. */
#include "holding.h"

#include <stdarg.h>
#include <stdio.h>

static int fill(struct failure *why, int error, bool unsupported, const char *call,
		va_list arguments)
{
	vsnprintf(why->call, sizeof(why->call), call, arguments);
	why->error = error;
	why->unsupported = unsupported;
	why->advice[0] = '\0';
	return -1;
}

int failed(struct failure *why, int error, const char *call, ...)
{
	va_list arguments;

	va_start(arguments, call);
	fill(why, error, false, call, arguments);
	va_end(arguments);
	return -1;
}

int unsupported(struct failure *why, int error, const char *call, ...)
{
	va_list arguments;

	va_start(arguments, call);
	fill(why, error, true, call, arguments);
	va_end(arguments);
	return -1;
}

int advise(struct failure *why, const char *advice, ...)
{
	va_list arguments;

	va_start(arguments, advice);
	vsnprintf(why->advice, sizeof(why->advice), advice, arguments);
	va_end(arguments);
	return -1;
}
