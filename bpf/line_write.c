/* SPDX-License-Identifier: BSD-2-Clause */
#include "bpf/line.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bpf/bank.h"

static const char hex_digits[] = "0123456789abcdef";
static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void put(struct line *line, const char *bytes, size_t len)
{
	assert(len <= line->size - line->len);
	memcpy(line->buf + line->len, bytes, len);
	line->len += len;
}

static void put_string(struct line *line, const char *string)
{
	put(line, string, strlen(string));
}

static void put_hex(struct line *line, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		put(line, (char[]){ hex_digits[bytes[i] >> 4], hex_digits[bytes[i] & 15] }, 2);
}

/* What comes before any value. */
static void begin(struct line *line, const char *key)
{
	if (line->comma)
		put(line, ",", 1);
	line->comma = true;
	if (!key)
		return;
	put(line, "\"", 1);
	put_string(line, key);
	put(line, "\":", 2);
}

void line_init(struct line *line, char *buf, size_t size)
{
	*line = (struct line){ .buf = buf, .size = size };
}

void line_open_object(struct line *line, const char *key)
{
	begin(line, key);
	put(line, "{", 1);
	line->comma = false;
}

void line_close_object(struct line *line)
{
	put(line, "}", 1);
	line->comma = true;
}

void line_open_array(struct line *line, const char *key)
{
	begin(line, key);
	put(line, "[", 1);
	line->comma = false;
}

void line_close_array(struct line *line)
{
	put(line, "]", 1);
	line->comma = true;
}

void line_null(struct line *line, const char *key)
{
	begin(line, key);
	put(line, "null", 4);
}

void line_bool(struct line *line, const char *key, bool value)
{
	begin(line, key);
	put_string(line, value ? "true" : "false");
}

static void put_decimal(struct line *line, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	put_string(line, digits);
}

void line_uint(struct line *line, const char *key, uint64_t value)
{
	begin(line, key);
	put_decimal(line, value < LINE_UINT_MAX ? value : LINE_UINT_MAX);
}

void line_big(struct line *line, const char *key, uint64_t value)
{
	begin(line, key);
	put(line, "\"", 1);
	put_decimal(line, value);
	put(line, "\"", 1);
}

void line_hex(struct line *line, const char *key, const void *bytes, size_t len)
{
	begin(line, key);
	put(line, "\"", 1);
	put_hex(line, bytes, len);
	put(line, "\"", 1);
}

void line_word(struct line *line, const char *key, const char *word)
{
	begin(line, key);
	put(line, "\"", 1);
	put_string(line, word);
	put(line, "\"", 1);
}

void line_time(struct line *line, const char *key, uint64_t time_ns)
{
	time_t seconds = (time_t)(time_ns / 1000000000);
	struct tm tm;
	char date[32];
	char fraction[16];

	gmtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(fraction, sizeof(fraction), ".%09uZ", (unsigned)(time_ns % 1000000000));

	begin(line, key);
	put(line, "\"", 1);
	put_string(line, date);
	put_string(line, fraction);
	put(line, "\"", 1);
}

void line_base64(struct line *line, const char *key, const void *bytes, size_t len)
{
	const uint8_t *in = bytes;

	begin(line, key);
	put(line, "\"", 1);
	for (size_t i = 0; i < len; i += 3) {
		size_t left = len - i;
		unsigned group = (unsigned)in[i] << 16;

		if (left > 1)
			group |= (unsigned)in[i + 1] << 8;
		if (left > 2)
			group |= in[i + 2];
		put(line, &base64_digits[group >> 18], 1);
		put(line, &base64_digits[group >> 12 & 63], 1);
		put(line, left > 1 ? &base64_digits[group >> 6 & 63] : "=", 1);
		put(line, left > 2 ? &base64_digits[group & 63] : "=", 1);
	}
	put(line, "\"", 1);
}

/* Says what is missing from a text that was cut. */
static void put_cut(struct line *line, const uint8_t *bytes, size_t len)
{
	uint8_t digest[SHA256_LEN];
	int r = sha256(bytes, len, digest);

	/* Who has no sha256 can measure nothing, and has found out before. */
	assert(r == 0);
	put_string(line, "\\\\cut:");
	put_decimal(line, len);
	put(line, ":", 1);
	put_hex(line, digest, sizeof(digest));
}

void line_text(struct line *line, const char *key, const void *bytes, size_t len, size_t max)
{
	const uint8_t *in = bytes;
	size_t escaped = 0;
	size_t i;

	begin(line, key);
	put(line, "\"", 1);
	for (i = 0; i < len; i++) {
		bool plain = in[i] >= 0x20 && in[i] <= 0x7e && in[i] != '\\';

		escaped += plain ? 1 : strlen("\\xHH");
		if (escaped > max)
			break;
		if (in[i] == '"')
			put(line, "\\", 1);
		if (plain) {
			put(line, (const char *)in + i, 1);
		} else {
			put(line, "\\\\x", 3);
			put_hex(line, in + i, 1);
		}
	}
	if (i < len)
		put_cut(line, in, len);
	put(line, "\"", 1);
}
