/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Take a checked line apart by its table and write every value again. Where the result is not the
 * same bytes, the checker has accepted a second way to write something.
 */
#ifndef TESTS_REWRITE_H
#define TESTS_REWRITE_H

#include <stdlib.h>
#include <string.h>

#include "bpf/line.h"

static inline void rewrite_value(
	struct line *line, const struct line_field *field, struct line_value value);

/* The bytes of a text; false for one that was cut, of which the rest is not known. */
static inline bool rewrite_text_bytes(struct line_value value, char *ret_bytes, size_t *ret_len)
{
	char *text = ret_bytes;
	size_t len = line_value_text(value, text, value.len);
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] != '\\') {
			ret_bytes[n++] = text[i];
			continue;
		}
		if (text[i + 1] != 'x')
			return false;
		char digits[] = { text[i + 2], text[i + 3], '\0' };
		ret_bytes[n++] = (char)strtoul(digits, NULL, 16);
		i += 3;
	}
	*ret_len = n;
	return true;
}

static inline void rewrite_raw(struct line *line, const char *key, struct line_value value)
{
	line_null(line, key);
	line->len -= strlen("null");
	memcpy(line->buf + line->len, value.at, value.len);
	line->len += value.len;
}

static inline void rewrite_object(
	struct line *line, const struct line_field *fields, struct line_value object)
{
	struct line_each each = line_each(object);
	const struct line_field *rest = NULL;
	struct line_value key, value;

	while (line_next(&each, &key, &value)) {
		while (!fields->key || strlen(fields->key) != key.len ||
			memcmp(fields->key, key.at, key.len) != 0)
			fields = fields->key ? fields + 1 : rest;
		if (fields->type == LINE_TAG)
			rest = fields->variants[line_value_word(value, fields->words)];
		rewrite_value(line, fields, value);
	}
}

static inline void rewrite_value(
	struct line *line, const struct line_field *field, struct line_value value)
{
	struct line_each each = line_each(value);
	char *bytes = malloc(value.len + 1);
	size_t len;

	if (line_value_is_null(value)) {
		line_null(line, field->key);
	} else if (field->type == LINE_OBJECT) {
		line_open_object(line, field->key);
		rewrite_object(line, field->fields, value);
		line_close_object(line);
	} else if (field->type == LINE_ARRAY) {
		line_open_array(line, field->key);
		for (struct line_value element; line_next(&each, NULL, &element);)
			rewrite_value(line, field->fields, element);
		line_close_array(line);
	} else if (field->type == LINE_UINT) {
		line_uint(line, field->key, line_value_uint(value));
	} else if (field->type == LINE_BIG) {
		line_big(line, field->key, line_value_uint(value));
	} else if (field->type == LINE_BOOL || field->type == LINE_FALSE) {
		line_bool(line, field->key, line_value_bool(value));
	} else if (field->type == LINE_HEX) {
		line_hex(line, field->key, bytes,
			line_value_hex(value, (uint8_t *)bytes, value.len));
	} else if (field->type == LINE_BASE64) {
		line_base64(line, field->key, bytes,
			line_value_base64(value, (uint8_t *)bytes, value.len));
	} else if (field->type == LINE_WORD || field->type == LINE_TAG) {
		line_word(line, field->key, field->words[line_value_word(value, field->words)]);
	} else if (field->type == LINE_TIME) {
		line_time(line, field->key, line_value_time(value));
	} else if (rewrite_text_bytes(value, bytes, &len)) {
		line_text(line, field->key, bytes, len, field->max);
	} else {
		rewrite_raw(line, field->key, value);
	}
	free(bytes);
}

/* Whether a line that line_check() has accepted is what the writer makes of its values. buf has
 * room for len bytes. */
static inline bool rewrite_is_same(
	const struct line_field *fields, const char *line, size_t len, char *buf)
{
	const struct line_field root = { .type = LINE_OBJECT, .fields = fields };
	struct line again;

	line_init(&again, buf, len);
	rewrite_value(&again, &root, (struct line_value){ .at = line, .len = len });
	return again.len == len && memcmp(buf, line, len) == 0;
}

#endif
