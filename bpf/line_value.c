/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything here reads lines that were checked, and so may take their grammar for granted; it
 * never reads behind the value that it was given all the same.
 */
#include "bpf/line.h"

#include <string.h>

/* From the opening quote to behind the closing one. */
static const char *skip_string(const char *at, const char *end)
{
	for (at++; at < end;) {
		const char *quote = memchr(at, '"', (size_t)(end - at));
		if (!quote)
			return end;

		const char *escape = memchr(at, '\\', (size_t)(quote - at));
		if (!escape)
			return quote + 1;
		at = escape + 2;
	}
	return end;
}

static const char *skip_value(const char *at, const char *end)
{
	unsigned depth = 0;

	while (at < end) {
		if (*at == '"') {
			at = skip_string(at, end);
			continue;
		}
		if (depth == 0 && *at == ',')
			break;
		if (*at == '{' || *at == '[')
			depth++;
		else if (*at == '}' || *at == ']')
			depth--;
		at++;
	}
	return at;
}

struct line_each line_each(struct line_value value)
{
	if (value.len < 2 || (value.at[0] != '{' && value.at[0] != '['))
		return (struct line_each){ 0 };
	return (struct line_each){
		.at = value.at + 1,
		.end = value.at + value.len - 1,
		.has_keys = value.at[0] == '{',
	};
}

bool line_next(struct line_each *each, struct line_value *ret_key, struct line_value *ret_value)
{
	struct line_value key = { .at = each->at };
	const char *at = each->at;

	if (at >= each->end)
		return false;
	if (each->has_keys) {
		const char *behind = skip_string(at, each->end);

		key.at = at + 1;
		key.len = (size_t)(behind - at) - 2;
		at = behind + 1;
	}

	const char *behind = skip_value(at, each->end);
	if (ret_key)
		*ret_key = key;
	*ret_value = (struct line_value){ .at = at, .len = (size_t)(behind - at) };
	each->at = behind + 1;
	return true;
}

static bool get_member(
	struct line_value object, const char *key, size_t key_len, struct line_value *ret_value)
{
	struct line_each each = line_each(object);
	struct line_value name, value;

	while (line_next(&each, &name, &value)) {
		if (name.len != key_len || memcmp(name.at, key, key_len) != 0)
			continue;
		*ret_value = value;
		return true;
	}
	return false;
}

bool line_get(const char *line, size_t len, const char *path, struct line_value *ret_value)
{
	struct line_value value = { .at = line, .len = len };

	for (;;) {
		size_t key_len = strcspn(path, ".");

		if (!get_member(value, path, key_len, &value))
			return false;
		if (path[key_len] == '\0')
			break;
		path += key_len + 1;
	}
	*ret_value = value;
	return true;
}

static bool is_string(struct line_value value)
{
	return value.len >= 2 && value.at[0] == '"';
}

static uint64_t decimal(const char *at, size_t len)
{
	uint64_t value = 0;

	for (size_t i = 0; i < len; i++)
		value = value * 10 + (uint64_t)(at[i] - '0');
	return value;
}

uint64_t line_value_uint(struct line_value value)
{
	if (is_string(value))
		return decimal(value.at + 1, value.len - 2);
	return line_value_is_null(value) ? 0 : decimal(value.at, value.len);
}

/* Days from 1970-01-01 to a date of the Gregorian calendar, from 1970 on. */
static uint64_t days_to(uint64_t year, uint64_t month, uint64_t day)
{
	static const unsigned before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	uint64_t past = year - 1;
	uint64_t leap_days = past / 4 - past / 100 + past / 400 -
		(1969 / 4 - 1969 / 100 + 1969 / 400);

	return (year - 1970) * 365 + leap_days + before[month - 1] + (leap && month > 2) + day - 1;
}

uint64_t line_value_time(struct line_value value)
{
	const char *at = value.at + 1;

	if (!is_string(value))
		return 0;

	uint64_t days = days_to(decimal(at, 4), decimal(at + 5, 2), decimal(at + 8, 2));
	uint64_t seconds = days * 86400 + decimal(at + 11, 2) * 3600 + decimal(at + 14, 2) * 60 +
		decimal(at + 17, 2);
	return seconds * 1000000000 + decimal(at + 20, 9);
}

bool line_value_bool(struct line_value value)
{
	return value.len == 4 && memcmp(value.at, "true", 4) == 0;
}

bool line_value_is_null(struct line_value value)
{
	return value.len == 4 && memcmp(value.at, "null", 4) == 0;
}

bool line_value_is(struct line_value value, const char *word)
{
	size_t len = strlen(word);

	return is_string(value) && value.len == len + 2 && memcmp(value.at + 1, word, len) == 0;
}

size_t line_value_word(struct line_value value, const char *const *words)
{
	size_t i = 0;

	while (words[i] && !line_value_is(value, words[i]))
		i++;
	return i;
}

static uint8_t nibble(char digit)
{
	return (uint8_t)((digit & 0x0f) + (digit >> 6) * 9); /* without a branch: 'a' is 0x61 */
}

size_t line_value_hex(struct line_value value, uint8_t *ret_bytes, size_t size)
{
	size_t len = is_string(value) ? (value.len - 2) / 2 : 0;

	if (len > size)
		len = size;
	for (size_t i = 0; i < len; i++)
		ret_bytes[i] = (uint8_t)(nibble(value.at[1 + 2 * i]) << 4 |
			nibble(value.at[2 + 2 * i]));
	return len;
}

static unsigned sextet(char digit)
{
	if (digit >= 'A' && digit <= 'Z')
		return (unsigned)(digit - 'A');
	if (digit >= 'a' && digit <= 'z')
		return (unsigned)(digit - 'a' + 26);
	if (digit >= '0' && digit <= '9')
		return (unsigned)(digit - '0' + 52);
	return digit == '+' ? 62 : 63;
}

size_t line_value_base64(struct line_value value, uint8_t *ret_bytes, size_t size)
{
	size_t len = 0;
	unsigned bits = 0;

	for (size_t i = 1; is_string(value) && i < value.len - 1 && value.at[i] != '='; i++) {
		bits = bits << 6 | sextet(value.at[i]);
		/* Each digit but the first of four completes a byte. */
		unsigned left = 6 - 2 * (unsigned)((i - 1) % 4);
		if (left == 6)
			continue;
		if (len == size)
			break;
		ret_bytes[len++] = (uint8_t)(bits >> left);
	}
	return len;
}

size_t line_value_text(struct line_value value, char *ret_text, size_t size)
{
	size_t len = 0;

	for (size_t i = 1; is_string(value) && i < value.len - 1 && len + 1 < size; i++) {
		if (value.at[i] == '\\')
			i++;
		ret_text[len++] = value.at[i];
	}
	if (size > 0)
		ret_text[len] = '\0';
	return len;
}
