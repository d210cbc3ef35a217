// SPDX-License-Identifier: GPL-2.0-only
/* Which call failed, how, and what to do about it. */
#include "holding.h"

#include <stdarg.h>
#include <stdio.h>

int failed(struct failure *why, int error, const char *call, ...)
{
	va_list arguments;

	va_start(arguments, call);
	vsnprintf(why->call, sizeof(why->call), call, arguments);
	va_end(arguments);
	why->error = error;
	why->advice[0] = '\0';
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
