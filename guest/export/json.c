void json_uint(struct json *json, const char *key, unsigned long long value)
{
	(void)json;
	printf("  %s: %llu\n", key ? key : "-", value);
}

void json_int(struct json *json, const char *key, long long value)
{
	(void)json;
	printf("  %s: %lld\n", key ? key : "-", value);
}

void json_string(struct json *json, const char *key, const char *value)
{
	(void)json;
	printf("  %s: %s\n", key ? key : "-", value ? value : "none");
}

void json_bool(struct json *json, const char *key, bool value)
{
	json_string(json, key, value ? "yes" : "no");
}

void json_seconds(struct json *json, const char *key, double value)
{
	(void)json;
	printf("  %s: %.3f\n", key ? key : "-", value);
}

void json_null(struct json *json, const char *key)
{
	json_string(json, key, NULL);
}

void json_array(struct json *json, const char *key)
{
	json_string(json, key, "");
}

void json_array_end(struct json *json)
{
	(void)json;
}

void json_object(struct json *json, const char *key)
{
	json_string(json, key, "");
}

void json_object_end(struct json *json)
{
	(void)json;
}
