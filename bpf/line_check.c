/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The checker only ever compares the bytes with what may stand there: whatever is not expected is
 * refused, so there is no list of what is forbidden. Every function reads one item at scan->at and
 * leaves scan->at behind it; false means refused, with scan->at at the byte in question.
 */
#include "bpf/line.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct scan {
	const char *at;
	const char *end;
	const char *what;
	/* Where the refused value lies, innermost first; filled in on the way out. */
	const char *path[LINE_DEPTH_MAX];
	size_t path_len;
};

enum char_class {
	CLASS_DIGIT = 1,
	CLASS_HEX = 2,
	CLASS_PLAIN = 4, /* in text: stands for itself, and needs no escape of JSON */
	CLASS_BASE64 = 8,
};

#define HEX_DIGIT   (CLASS_HEX | CLASS_PLAIN | CLASS_BASE64)
#define DIGIT       (CLASS_DIGIT | HEX_DIGIT)
#define LETTER      (CLASS_PLAIN | CLASS_BASE64)
#define PUNCTUATION CLASS_PLAIN

static const uint8_t classes[256] = {
	[' ' ... '!'] = PUNCTUATION,
	['#' ... '*'] = PUNCTUATION,
	['+'] = LETTER,
	[',' ... '.'] = PUNCTUATION,
	['/'] = LETTER,
	['0' ... '9'] = DIGIT,
	[':' ... '@'] = PUNCTUATION,
	['A' ... 'Z'] = LETTER,
	['['] = PUNCTUATION,
	[']' ... '`'] = PUNCTUATION,
	['a' ... 'f'] = HEX_DIGIT,
	['g' ... 'z'] = LETTER,
	['{' ... '~'] = PUNCTUATION,
};

static bool refuse(struct scan *scan, const char *what)
{
	scan->what = what;
	return false;
}

static size_t left(const struct scan *scan)
{
	return (size_t)(scan->end - scan->at);
}

static bool accept(struct scan *scan, const char *bytes, size_t len)
{
	if (left(scan) < len || memcmp(scan->at, bytes, len) != 0)
		return false;
	scan->at += len;
	return true;
}

static bool accept_char(struct scan *scan, char c)
{
	if (scan->at == scan->end || *scan->at != c)
		return false;
	scan->at++;
	return true;
}

/* Length of the run of one class at the scan's place, at most max. */
static size_t run(const struct scan *scan, enum char_class class, size_t max)
{
	size_t limit = left(scan) < max ? left(scan) : max;
	size_t n = 0;

	while (n < limit && classes[(uint8_t)scan->at[n]] & class)
		n++;
	return n;
}

/* A decimal number of 64 bits. */
static bool check_decimal(struct scan *scan, uint64_t *ret_value)
{
	uint64_t value = 0;
	size_t len = run(scan, CLASS_DIGIT, 21);

	if (len == 0)
		return refuse(scan, "not a number");
	if (scan->at[0] == '0' && len > 1)
		return refuse(scan, "a number with a leading zero");
	for (size_t i = 0; i < len; i++)
		if (__builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, (uint64_t)(scan->at[i] - '0'), &value))
			return refuse(scan, "a number that is too large");
	scan->at += len;
	*ret_value = value;
	return true;
}

static bool check_uint(struct scan *scan, const struct line_field *field)
{
	const char *start = scan->at;
	uint64_t value;

	if (!check_decimal(scan, &value))
		return false;
	if (value >= field->min && value <= (field->max ? field->max : LINE_UINT_MAX))
		return true;
	scan->at = start;
	return refuse(scan, "a number outside its range");
}

static bool check_open_quote(struct scan *scan)
{
	return accept_char(scan, '"') || refuse(scan, "not a string");
}

static bool check_close_quote(struct scan *scan)
{
	return accept_char(scan, '"') || refuse(scan, "the string should end here");
}

static bool check_big(struct scan *scan)
{
	uint64_t value;

	return check_open_quote(scan) && check_decimal(scan, &value) && check_close_quote(scan);
}

static bool check_bool(struct scan *scan, bool may_be_true)
{
	if (accept(scan, "false", 5) || (may_be_true && accept(scan, "true", 4)))
		return true;
	return refuse(scan, may_be_true ? "neither true nor false" : "not false");
}

static bool check_hex_digits(struct scan *scan, uint64_t min, uint64_t max)
{
	size_t len = run(scan, CLASS_HEX, 2 * max);

	if (len % 2 == 1 || len < 2 * min) {
		scan->at += len;
		return refuse(scan, "not enough lower-case hexadecimal digits");
	}
	scan->at += len;
	return true;
}

static bool check_hex(struct scan *scan, const struct line_field *field)
{
	return check_open_quote(scan) && check_hex_digits(scan, field->min, field->max) &&
		check_close_quote(scan);
}

static bool check_word(struct scan *scan, const char *const *words, size_t *ret_index)
{
	if (!check_open_quote(scan))
		return false;
	for (size_t i = 0; words[i]; i++) {
		size_t len = strlen(words[i]);

		if (left(scan) <= len || scan->at[len] != '"' || !accept(scan, words[i], len))
			continue;
		scan->at++;
		*ret_index = i;
		return true;
	}
	return refuse(scan, "not one of its words");
}

/* ---- text ---- */

static unsigned nibble(char digit)
{
	return (unsigned)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

/* Behind "\\x": the two digits of a byte that does not stand for itself. */
static bool check_escaped_byte(struct scan *scan)
{
	if (run(scan, CLASS_HEX, 2) < 2)
		return refuse(scan, "an escape without its two lower-case hexadecimal digits");

	unsigned byte = nibble(scan->at[0]) << 4 | nibble(scan->at[1]);
	if (byte >= 0x20 && byte <= 0x7e && byte != '\\')
		return refuse(scan, "an escape of a byte that stands for itself");
	scan->at += 2;
	return true;
}

/*
 * Behind "\\cut:": length and digest of the whole text, of which kept bytes were written, in width
 * bytes of escaped text. The writer cuts where the next byte does not fit, so the rest is at least
 * one byte, and one of at most four escaped bytes less than one.
 */
static bool check_cut(struct scan *scan, uint64_t kept, uint64_t width, uint64_t max)
{
	uint64_t len;

	if (width + strlen("\\xHH") <= max)
		return refuse(scan, "a text that was cut too early");
	if (!check_decimal(scan, &len))
		return false;
	if (len <= kept || len > LINE_UINT_MAX)
		return refuse(scan, "a cut text of the wrong length");
	if (!accept_char(scan, ':'))
		return refuse(scan, "a cut text without its digest");
	return check_hex_digits(scan, 32, 32) && check_close_quote(scan);
}

static bool check_text(struct scan *scan, uint64_t max)
{
	uint64_t kept = 0; /* bytes of the text */
	uint64_t width = 0; /* bytes of the escaped text, before the escapes of JSON */

	if (!check_open_quote(scan))
		return false;
	for (;;) {
		size_t plain = run(scan, CLASS_PLAIN, left(scan));

		scan->at += plain;
		kept += plain;
		width += plain;
		if (accept(scan, "\\\"", 2)) {
			kept++;
			width++;
		} else if (accept(scan, "\\\\x", 3)) {
			if (!check_escaped_byte(scan))
				return false;
			kept++;
			width += strlen("\\xHH");
		} else {
			break;
		}
	}
	if (width > max)
		return refuse(scan, "a text longer than its cap");
	if (accept(scan, "\\\\cut:", 6))
		return check_cut(scan, kept, width, max);
	return accept_char(scan, '"') || refuse(scan, "not a character of a text");
}

/* ---- time and base64 ---- */

static unsigned two_digits(const char *at)
{
	return nibble(at[0]) * 10 + nibble(at[1]);
}

static bool is_date(const char *at)
{
	static const unsigned days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	unsigned year = two_digits(at) * 100 + two_digits(at + 2);
	unsigned month = two_digits(at + 5);
	unsigned day = two_digits(at + 8);
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month >= 1 && month <= 12 && day >= 1 &&
		day <= days[month - 1] + (leap && month == 2);
}

static bool is_time_of_day(const char *at)
{
	return two_digits(at) < 24 && two_digits(at + 3) < 60 && two_digits(at + 6) < 60;
}

static bool check_time(struct scan *scan)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddddddddZ";
	static const char first[] = "1970-01-01T00:00:00.000000000Z";
	static const char last[] = "2554-07-21T23:34:33.709551615Z"; /* 2^64 - 1 ns */
	const size_t len = sizeof(shape) - 1;

	if (!check_open_quote(scan))
		return false;

	const char *at = scan->at;
	if (left(scan) < len)
		return refuse(scan, "not a time");
	for (size_t i = 0; i < len; i++)
		if (shape[i] == 'd' ? !(classes[(uint8_t)at[i]] & CLASS_DIGIT) : at[i] != shape[i])
			return refuse(scan, "not a time");
	/* Of one shape, times are in the order of their bytes. */
	if (!is_date(at) || !is_time_of_day(at + 11) || memcmp(at, first, len) < 0 ||
		memcmp(at, last, len) > 0)
		return refuse(scan, "a time that does not exist");
	scan->at += len;
	return check_close_quote(scan);
}

static bool check_base64(struct scan *scan, const struct line_field *field)
{
	if (!check_open_quote(scan))
		return false;

	size_t digits = run(scan, CLASS_BASE64, left(scan));
	size_t bytes = digits / 4 * 3 + (digits % 4 ? digits % 4 - 1 : 0);
	const char *last = scan->at + digits - 1;
	scan->at += digits;
	if (bytes < field->min || bytes > field->max)
		return refuse(scan, "a base64 value of the wrong length");
	if (digits % 4 == 0)
		return check_close_quote(scan);

	/* Two digits carry one byte and four spare bits, three carry two bytes and two. */
	if (digits % 4 == 1 || !strchr(digits % 4 == 2 ? "AQgw" : "AEIMQUYcgkosw048", *last) ||
		!accept(scan, "==", 4 - digits % 4))
		return refuse(scan, "base64 that is not padded with zeros");
	return check_close_quote(scan);
}

/* ---- structure ---- */

static bool check_value(struct scan *scan, const struct line_field *field, size_t *ret_tag);

static bool check_array(struct scan *scan, const struct line_field *field)
{
	uint64_t count = 0;

	if (!accept_char(scan, '['))
		return refuse(scan, "not an array");
	while (count < field->max && left(scan) > 0 && *scan->at != ']') {
		if (count > 0 && !accept_char(scan, ','))
			break;
		if (!check_value(scan, field->fields, NULL))
			return false;
		count++;
	}
	if (count < field->min)
		return refuse(scan, "too few elements");
	return accept_char(scan, ']') || refuse(scan, "the array should end here");
}

static bool refuse_in(struct scan *scan, const struct line_field *field, const char *what)
{
	assert(scan->path_len < LINE_DEPTH_MAX);
	scan->path[scan->path_len++] = field->key;
	return refuse(scan, what);
}

/* The members of one table; ret_rest is the table that goes on where this one ends, or NULL. */
static bool check_members(struct scan *scan, const struct line_field *fields, uint64_t *count,
	const struct line_field **ret_rest)
{
	*ret_rest = NULL;
	for (const struct line_field *field = fields; field->key; field++) {
		size_t comma = *count == 0 ? 1 : 0; /* none before the first key */
		size_t tag = 0;

		if (!accept(scan, field->token + comma, field->token_len - comma)) {
			if (field->flags & LINE_OPTIONAL)
				continue;
			return refuse_in(scan, field, "this key is missing here");
		}
		++*count;
		if (!check_value(scan, field, &tag))
			return refuse_in(scan, field, scan->what);
		if (field->type == LINE_TAG)
			*ret_rest = field->variants[tag];
	}
	return true;
}

static bool check_object(struct scan *scan, const struct line_field *fields, uint64_t min)
{
	uint64_t count = 0;

	if (!accept_char(scan, '{'))
		return refuse(scan, "not an object");
	while (fields)
		if (!check_members(scan, fields, &count, &fields))
			return false;
	if (count < min)
		return refuse(scan, "too few keys");
	return accept_char(scan, '}') || refuse(scan, "the object should end here");
}

static bool check_tag(struct scan *scan, const struct line_field *field, size_t *ret_tag)
{
	const char *start = scan->at;

	if (!check_word(scan, field->words, ret_tag))
		return false;
	if (field->variants[*ret_tag])
		return true;
	scan->at = start;
	return refuse(scan, "reserved, and not yet part of the format");
}

static bool check_value(struct scan *scan, const struct line_field *field, size_t *ret_tag)
{
	size_t index;

	if (field->flags & LINE_NULLABLE && accept(scan, "null", 4))
		return true;
	switch (field->type) {
	case LINE_OBJECT:
		return check_object(scan, field->fields, field->min);
	case LINE_ARRAY:
		return check_array(scan, field);
	case LINE_UINT:
		return check_uint(scan, field);
	case LINE_BIG:
		return check_big(scan);
	case LINE_BOOL:
		return check_bool(scan, true);
	case LINE_FALSE:
		return check_bool(scan, false);
	case LINE_HEX:
		return check_hex(scan, field);
	case LINE_TEXT:
		return check_text(scan, field->max);
	case LINE_WORD:
		return check_word(scan, field->words, &index);
	case LINE_TAG:
		return check_tag(scan, field, ret_tag);
	case LINE_TIME:
		return check_time(scan);
	case LINE_BASE64:
		return check_base64(scan, field);
	}
	return refuse(scan, "of a type that the table does not have");
}

static void explain(const struct scan *scan, const char *line, struct line_error *ret_error)
{
	size_t len = 0;

	ret_error->at = (size_t)(scan->at - line);
	for (size_t i = scan->path_len; i > 0; i--)
		len += (size_t)snprintf(ret_error->what + len, sizeof(ret_error->what) - len,
			"%s%s", scan->path[i - 1], i > 1 ? "." : ": ");
	snprintf(ret_error->what + len, sizeof(ret_error->what) - len, "%s", scan->what);
}

int line_check(
	const struct line_field *fields, const char *line, size_t len, struct line_error *ret_error)
{
	struct scan scan = { .at = line, .end = line + len };

	if (check_object(&scan, fields, 0)) {
		if (scan.at == scan.end)
			return 0;
		refuse(&scan, "bytes behind the end of the line's object");
	}
	explain(&scan, line, ret_error);
	return -EBADMSG;
}
