/* SPDX-License-Identifier: GPL-2.0-only */
/* Writes one JSON object a line. */
#ifndef PINHOLE_JSON_H
#define PINHOLE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * An object under construction. Start with json_begin(), add members, end with json_print()
 * or json_finish(). In an array the key of a member is NULL.
 */
struct json {
	char *text;
	size_t length;
	size_t room;
	bool comma;
};

void json_begin(struct json *json);
void json_string(struct json *json, const char *key, const char *value);
void json_int(struct json *json, const char *key, long long value);
void json_uint(struct json *json, const char *key, unsigned long long value);
void json_address(struct json *json, const char *key, uintptr_t value);
void json_seconds(struct json *json, const char *key, double value);
void json_bool(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);
/* The members "errno" and "errno_name" (null where error is 0). */
void json_errno(struct json *json, int error);
void json_object(struct json *json, const char *key);
void json_object_end(struct json *json);
void json_array(struct json *json, const char *key);
void json_array_end(struct json *json);

/* Closes the object; its text is json->text until json_free(). */
const char *json_finish(struct json *json);
/* Closes the object and writes it and a newline to fd at once; 0, or the errno of the write. */
int json_print(struct json *json, int fd);
void json_free(struct json *json);

#endif
