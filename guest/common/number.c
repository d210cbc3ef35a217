// SPDX-License-Identifier: GPL-2.0-only
/* Numbers as people write them on a command line. */
#include "number.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool leading_count(const char *text, char **end, unsigned long long *value)
{
	if (!isdigit((unsigned char)text[0]))
		return false;	/* strtoull() takes a sign and blanks: -1 would be 2^64 - 1 */
	errno = 0;
	*value = strtoull(text, end, 10);
	return errno == 0;
}

bool parse_count(const char *text, unsigned long long *value)
{
	char *end;

	return leading_count(text, &end, value) && *end == '\0';
}

bool parse_size(const char *text, unsigned long long *bytes)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end;
	int shift = 0;

	if (!leading_count(text, &end, bytes))
		return false;
	if (*end) {
		unit = strchr(units, toupper((unsigned char)*end));
		if (!unit)
			return false;
		shift = 10 * (int)(unit - units + 1);
		end++;
		if (*end && strcasecmp(end, "B") && strcasecmp(end, "iB"))
			return false;
	}
	if (*bytes > (~0ULL >> shift))
		return false;
	*bytes <<= shift;
	return true;
}

bool parse_seconds(const char *text, double *seconds)
{
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	*seconds = strtod(text, &end);
	return errno == 0 && *end == '\0' && *seconds >= 0 && *seconds <= 86400;
}
