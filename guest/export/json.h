/* What the parts tell beside their outcome, as lines of text. */
struct json {
	int unused;
};

void json_uint(struct json *json, const char *key, unsigned long long value);
void json_int(struct json *json, const char *key, long long value);
void json_string(struct json *json, const char *key, const char *value);
void json_bool(struct json *json, const char *key, bool value);
void json_seconds(struct json *json, const char *key, double value);
void json_null(struct json *json, const char *key);
void json_array(struct json *json, const char *key);
void json_array_end(struct json *json);
void json_object(struct json *json, const char *key);
void json_object_end(struct json *json);
