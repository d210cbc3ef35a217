// SPDX-License-Identifier: GPL-2.0-only
/* Writes one JSON object a line: valid JSON and valid UTF-8 whatever bytes the strings hold. */
#include "json.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"

static void reserve(struct json *json, size_t more)
{
	size_t room = json->room ? json->room : 256;
	char *text;

	if (json->room - json->length > more)
		return;
	while (room - json->length <= more)
		room *= 2;
	text = realloc(json->text, room);
	if (!text) {
		fprintf(stderr, "realloc(%zu) for a line of output: out of memory\n", room);
		exit(3);
	}
	json->text = text;
	json->room = room;
}

static void append(struct json *json, const char *text, size_t length)
{
	reserve(json, length);
	memcpy(json->text + json->length, text, length);
	json->length += length;
	json->text[json->length] = '\0';
}

static void appendf(struct json *json, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void appendf(struct json *json, const char *format, ...)
{
	char text[64];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	append(json, text, (size_t)length);
}

/* The length of the well-formed UTF-8 sequence at text, or 0 (RFC 3629: no overlong forms). */
static size_t utf8_sequence(const unsigned char *text)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t length, i;

	if (text[0] < 0x80)
		return 1;
	if (text[0] >= 0xc2 && text[0] <= 0xdf)
		length = 2;
	else if (text[0] >= 0xe0 && text[0] <= 0xef)
		length = 3;
	else if (text[0] >= 0xf0 && text[0] <= 0xf4)
		length = 4;
	else
		return 0;
	if (text[0] == 0xe0)
		low = 0xa0;
	else if (text[0] == 0xed)
		high = 0x9f;		/* no surrogates */
	else if (text[0] == 0xf0)
		low = 0x90;
	else if (text[0] == 0xf4)
		high = 0x8f;
	for (i = 1; i < length; i++) {
		if (text[i] < low || text[i] > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return length;
}

static void quote(struct json *json, const char *value)
{
	const unsigned char *at = (const unsigned char *)value;
	size_t length;

	append(json, "\"", 1);
	for (; *at; at += length) {
		length = utf8_sequence(at);
		if (!length) {
			append(json, "\\ufffd", 6);
			length = 1;
		} else if (*at == '"' || *at == '\\') {
			appendf(json, "\\%c", *at);
		} else if (*at == '\n') {
			append(json, "\\n", 2);
		} else if (*at == '\t') {
			append(json, "\\t", 2);
		} else if (*at < 0x20 || *at == 0x7f) {
			appendf(json, "\\u%04x", *at);
		} else {
			append(json, (const char *)at, length);
		}
	}
	append(json, "\"", 1);
}

static void member(struct json *json, const char *key)
{
	if (json->comma)
		append(json, ",", 1);
	json->comma = true;
	if (key) {
		quote(json, key);
		append(json, ":", 1);
	}
}

void json_begin(struct json *json)
{
	memset(json, 0, sizeof(*json));
	append(json, "{", 1);
}

void json_string(struct json *json, const char *key, const char *value)
{
	if (!value) {
		json_null(json, key);
		return;
	}
	member(json, key);
	quote(json, value);
}

void json_int(struct json *json, const char *key, long long value)
{
	member(json, key);
	appendf(json, "%lld", value);
}

void json_uint(struct json *json, const char *key, unsigned long long value)
{
	member(json, key);
	appendf(json, "%llu", value);
}

void json_address(struct json *json, const char *key, uintptr_t value)
{
	member(json, key);
	appendf(json, "\"0x%" PRIxPTR "\"", value);
}

void json_seconds(struct json *json, const char *key, double value)
{
	member(json, key);
	appendf(json, "%.6f", value);
}

void json_bool(struct json *json, const char *key, bool value)
{
	member(json, key);
	appendf(json, "%s", value ? "true" : "false");
}

void json_null(struct json *json, const char *key)
{
	member(json, key);
	append(json, "null", 4);
}

void json_errno(struct json *json, int error)
{
	json_int(json, "errno", error);
	json_string(json, "errno_name", error ? strerrorname_np(error) : NULL);
}

void json_object(struct json *json, const char *key)
{
	member(json, key);
	append(json, "{", 1);
	json->comma = false;
}

void json_object_end(struct json *json)
{
	append(json, "}", 1);
	json->comma = true;
}

void json_array(struct json *json, const char *key)
{
	member(json, key);
	append(json, "[", 1);
	json->comma = false;
}

void json_array_end(struct json *json)
{
	append(json, "]", 1);
	json->comma = true;
}

const char *json_finish(struct json *json)
{
	json_object_end(json);
	return json->text;
}

int json_print(struct json *json, int fd)
{
	int error;

	json_finish(json);
	append(json, "\n", 1);
	error = write_all(fd, json->text, json->length);
	json_free(json);
	return error;
}

void json_free(struct json *json)
{
	free(json->text);
	memset(json, 0, sizeof(*json));
}
