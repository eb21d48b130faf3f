/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The checker only ever compares the bytes with what may stand there: whatever is not expected is
 * refused, so there is no list of what is forbidden. Every function reads one item at `at` and
 * returns the place behind it; NULL means refused, with scan->refused at the byte in question.
 */
#include "bpf/line.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct scan {
	const char *end;
	struct line_value *marks; /* or NULL */
	const char *refused;
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

static const char *refuse(struct scan *scan, const char *at, const char *what)
{
	scan->refused = at;
	scan->what = what;
	return NULL;
}

static inline size_t left(const struct scan *scan, const char *at)
{
	return (size_t)(scan->end - at);
}

static inline uint64_t load(const char *at, size_t len)
{
	uint64_t bytes = 0;

	memcpy(&bytes, at, len);
	return bytes;
}

/* A line has fifty keys of a few bytes each: calling memcmp() costs more than comparing them. */
static inline bool is_same(const char *a, const char *b, size_t len)
{
	size_t i = 0;

	for (; len - i > 8; i += 8)
		if (load(a + i, 8) != load(b + i, 8))
			return false;
	if (len >= 8)
		return load(a + len - 8, 8) == load(b + len - 8, 8);
	if (len >= 4)
		return load(a, 4) == load(b, 4) && load(a + len - 4, 4) == load(b + len - 4, 4);
	while (i < len && a[i] == b[i])
		i++;
	return i == len;
}

static inline bool is_at(const struct scan *scan, const char *at, const char *bytes, size_t len)
{
	return left(scan, at) >= len && is_same(at, bytes, len);
}

static inline bool is_char(const struct scan *scan, const char *at, char c)
{
	return at != scan->end && *at == c;
}

static inline const char *expect(struct scan *scan, const char *at, char c, const char *otherwise)
{
	return is_char(scan, at, c) ? at + 1 : refuse(scan, at, otherwise);
}

/* Sixteen bytes that the compiler compares at once: a comparison gives 0xff where it holds. */
typedef uint8_t block __attribute__((vector_size(16)));

static inline block load_block(const char *at)
{
	block bytes;

	memcpy(&bytes, at, sizeof(bytes));
	return bytes;
}

static inline bool is_zero(block bytes)
{
	uint64_t halves[2];

	memcpy(halves, &bytes, sizeof(halves));
	return (halves[0] | halves[1]) == 0;
}

/* Whether sixteen bytes are known to be of a class. */
static inline bool is_block_of(enum char_class class, const char *at)
{
	block bytes = load_block(at);

	if (class == CLASS_HEX)
		return is_zero((block)((bytes - '0' > 9) & (bytes - 'a' > 5)));
	if (class == CLASS_PLAIN)
		return is_zero(
			(block)((bytes - ' ' > '~' - ' ') | (bytes == '"') | (bytes == '\\')));
	return false;
}

/* Length of the run of one class, at most max. */
static inline size_t run(const struct scan *scan, const char *at, enum char_class class, size_t max)
{
	size_t limit = left(scan, at) < max ? left(scan, at) : max;
	size_t n = 0;

	while (limit - n >= sizeof(block) && is_block_of(class, at + n))
		n += sizeof(block);
	while (n < limit && classes[(uint8_t)at[n]] & class)
		n++;
	return n;
}

/* A decimal number of 64 bits. */
static inline const char *check_decimal(struct scan *scan, const char *at, uint64_t *ret_value)
{
	const char *start = at;
	uint64_t value = 0;

	for (; at < scan->end && *at >= '0' && *at <= '9'; at++) {
		unsigned digit = (unsigned)(*at - '0');
		if (value == 0 && at > start)
			return refuse(scan, start, "a number with a leading zero");
		if (value >= UINT64_MAX / 10 &&
			(value > UINT64_MAX / 10 || digit > UINT64_MAX % 10))
			return refuse(scan, start, "a number that is too large");
		value = value * 10 + digit;
	}
	if (at == start)
		return refuse(scan, at, "not a number");
	*ret_value = value;
	return at;
}

static const char *check_uint(struct scan *scan, const char *at, const struct line_field *field)
{
	uint64_t value;

	const char *behind = check_decimal(scan, at, &value);
	if (!behind)
		return NULL;
	if (value >= field->min && value <= (field->max ? field->max : LINE_UINT_MAX))
		return behind;
	return refuse(scan, at, "a number outside its range");
}

static inline const char *check_open_quote(struct scan *scan, const char *at)
{
	return expect(scan, at, '"', "not a string");
}

static inline const char *check_close_quote(struct scan *scan, const char *at)
{
	return expect(scan, at, '"', "the string should end here");
}

static const char *check_big(struct scan *scan, const char *at)
{
	uint64_t value;

	at = check_open_quote(scan, at);
	if (at)
		at = check_decimal(scan, at, &value);
	return at ? check_close_quote(scan, at) : NULL;
}

static const char *check_bool(struct scan *scan, const char *at, bool may_be_true)
{
	if (is_at(scan, at, "false", 5))
		return at + 5;
	if (may_be_true && is_at(scan, at, "true", 4))
		return at + 4;
	return refuse(scan, at, may_be_true ? "neither true nor false" : "not false");
}

static inline const char *check_hex_digits(
	struct scan *scan, const char *at, uint64_t min, uint64_t max)
{
	size_t len = run(scan, at, CLASS_HEX, 2 * max);

	if (len % 2 == 1 || len < 2 * min)
		return refuse(scan, at + len, "not enough lower-case hexadecimal digits");
	return at + len;
}

static const char *check_hex(struct scan *scan, const char *at, const struct line_field *field)
{
	at = check_open_quote(scan, at);
	if (at)
		at = check_hex_digits(scan, at, field->min, field->max);
	return at ? check_close_quote(scan, at) : NULL;
}

/* The place behind a word and its closing quote, or NULL. */
static const char *skip_word(const struct scan *scan, const char *at, const char *word)
{
	for (; *word && at < scan->end && *at == *word; word++)
		at++;
	return !*word && is_char(scan, at, '"') ? at + 1 : NULL;
}

static const char *check_word(
	struct scan *scan, const char *at, const char *const *words, size_t *ret_index)
{
	at = check_open_quote(scan, at);
	for (size_t i = 0; at && words[i]; i++) {
		const char *behind = skip_word(scan, at, words[i]);
		if (!behind)
			continue;
		*ret_index = i;
		return behind;
	}
	return at ? refuse(scan, at, "not one of its words") : NULL;
}

/* ---- text ---- */

static unsigned nibble(char digit)
{
	return (unsigned)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

/* Behind "\\x": the two digits of a byte that does not stand for itself. */
static const char *check_escaped_byte(struct scan *scan, const char *at)
{
	if (run(scan, at, CLASS_HEX, 2) < 2)
		return refuse(scan, at, "an escape without its two lower-case hexadecimal digits");

	unsigned byte = nibble(at[0]) << 4 | nibble(at[1]);
	if (byte >= 0x20 && byte <= 0x7e && byte != '\\')
		return refuse(scan, at, "an escape of a byte that stands for itself");
	return at + 2;
}

/*
 * Behind "\\cut:": length and digest of the whole text, of which kept bytes were written, in width
 * bytes of escaped text. The writer cuts where the next byte does not fit, so the rest is at least
 * one byte, and one of at most four escaped bytes less than one.
 */
static const char *check_cut(
	struct scan *scan, const char *at, uint64_t kept, uint64_t width, uint64_t max)
{
	uint64_t len;

	if (width + strlen("\\xHH") <= max)
		return refuse(scan, at, "a text that was cut too early");
	at = check_decimal(scan, at, &len);
	if (!at)
		return NULL;
	if (len <= kept || len > LINE_UINT_MAX)
		return refuse(scan, at, "a cut text of the wrong length");
	at = expect(scan, at, ':', "a cut text without its digest");
	if (at)
		at = check_hex_digits(scan, at, 32, 32);
	return at ? check_close_quote(scan, at) : NULL;
}

static const char *check_text(struct scan *scan, const char *at, uint64_t max)
{
	uint64_t kept = 0; /* bytes of the text */
	uint64_t width = 0; /* bytes of the escaped text, before the escapes of JSON */

	at = check_open_quote(scan, at);
	while (at) {
		size_t plain = run(scan, at, CLASS_PLAIN, left(scan, at));

		at += plain;
		kept += plain;
		width += plain;
		if (is_char(scan, at, '"'))
			break;
		if (is_at(scan, at, "\\\"", 2)) {
			at += 2;
			kept++;
			width++;
		} else if (is_at(scan, at, "\\\\x", 3)) {
			at = check_escaped_byte(scan, at + 3);
			kept++;
			width += strlen("\\xHH");
		} else {
			break;
		}
	}
	if (!at)
		return NULL;
	if (width > max)
		return refuse(scan, at, "a text longer than its cap");
	if (is_at(scan, at, "\\\\cut:", 6))
		return check_cut(scan, at + 6, kept, width, max);
	return expect(scan, at, '"', "not a character of a text");
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

/* Whether sixteen bytes are as in shape, where 'd' is a digit. */
static bool is_shaped(const char *at, const char *shape)
{
	block bytes = load_block(at), wanted = load_block(shape);
	block is_digit = (block)(wanted == 'd');

	return is_zero((is_digit & (block)(bytes - '0' > 9)) | (~is_digit & (bytes ^ wanted)));
}

static const char *check_time(struct scan *scan, const char *at)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddddddddZ";
	static const char first[] = "1970-01-01T00:00:00.000000000Z";
	static const char last[] = "2554-07-21T23:34:33.709551615Z"; /* 2^64 - 1 ns */
	const size_t len = sizeof(shape) - 1, tail = len - sizeof(block);

	at = check_open_quote(scan, at);
	if (!at)
		return NULL;
	if (left(scan, at) < len || !is_shaped(at, shape) || !is_shaped(at + tail, shape + tail))
		return refuse(scan, at, "not a time");
	/* Of one shape, times are in the order of their bytes. */
	if (!is_date(at) || !is_time_of_day(at + 11) || memcmp(at, first, len) < 0 ||
		memcmp(at, last, len) > 0)
		return refuse(scan, at, "a time that does not exist");
	return check_close_quote(scan, at + len);
}

static const char *check_base64(struct scan *scan, const char *at, const struct line_field *field)
{
	at = check_open_quote(scan, at);
	if (!at)
		return NULL;

	size_t digits = run(scan, at, CLASS_BASE64, left(scan, at));
	size_t bytes = digits / 4 * 3 + (digits % 4 ? digits % 4 - 1 : 0);
	at += digits;
	if (bytes < field->min || bytes > field->max)
		return refuse(scan, at, "a base64 value of the wrong length");
	if (digits % 4 == 0)
		return check_close_quote(scan, at);

	/* Two digits carry one byte and four spare bits, three carry two bytes and two. */
	if (digits % 4 == 1 || !strchr(digits % 4 == 2 ? "AQgw" : "AEIMQUYcgkosw048", at[-1]) ||
		!is_at(scan, at, "==", 4 - digits % 4))
		return refuse(scan, at, "base64 that is not padded with zeros");
	return check_close_quote(scan, at + 4 - digits % 4);
}

/* ---- structure ---- */

static const char *check_value(
	struct scan *scan, const char *at, const struct line_field *field, size_t *ret_tag);

static const char *check_array(struct scan *scan, const char *at, const struct line_field *field)
{
	uint64_t count = 0;
	size_t tag;

	at = expect(scan, at, '[', "not an array");
	while (at && count < field->max && at != scan->end && *at != ']') {
		if (count > 0 && *at != ',')
			break;
		if (count > 0)
			at++;
		at = check_value(scan, at, field->fields, &tag);
		count++;
	}
	if (!at)
		return NULL;
	if (count < field->min)
		return refuse(scan, at, "too few elements");
	return expect(scan, at, ']', "the array should end here");
}

static const char *refuse_in(
	struct scan *scan, const char *at, const struct line_field *field, const char *what)
{
	assert(scan->path_len < LINE_DEPTH_MAX);
	scan->path[scan->path_len++] = field->key;
	return refuse(scan, at, what);
}

/* The members of one table; ret_rest is the table that goes on where this one ends, or NULL. */
static const char *check_members(struct scan *scan, const char *at, const struct line_field *fields,
	uint64_t *count, const struct line_field **ret_rest)
{
	*ret_rest = NULL;
	for (const struct line_field *field = fields; field->key; field++) {
		size_t comma = *count == 0 ? 1 : 0; /* none before the first key */
		size_t token_len = field->token_len - comma;
		size_t tag = 0;

		if (!is_at(scan, at, field->token + comma, token_len)) {
			if (field->flags & LINE_OPTIONAL)
				continue;
			return refuse_in(scan, at, field, "this key is missing here");
		}
		++*count;
		const char *value = at + token_len;
		at = check_value(scan, value, field, &tag);
		if (!at)
			return refuse_in(scan, scan->refused, field, scan->what);
		if (field->mark && scan->marks)
			scan->marks[field->mark] = (struct line_value){ .at = value,
				.len = (size_t)(at - value) };
		if (field->type == LINE_TAG)
			*ret_rest = field->variants[tag];
	}
	return at;
}

static const char *check_object(
	struct scan *scan, const char *at, const struct line_field *fields, uint64_t min)
{
	uint64_t count = 0;

	at = expect(scan, at, '{', "not an object");
	while (at && fields)
		at = check_members(scan, at, fields, &count, &fields);
	if (!at)
		return NULL;
	if (count < min)
		return refuse(scan, at, "too few keys");
	return expect(scan, at, '}', "the object should end here");
}

static const char *check_tag(
	struct scan *scan, const char *at, const struct line_field *field, size_t *ret_tag)
{
	const char *behind = check_word(scan, at, field->words, ret_tag);

	if (!behind || field->variants[*ret_tag])
		return behind;
	return refuse(scan, at, "reserved, and not yet part of the format");
}

/* ret_tag is written for a LINE_TAG, and may be for others. */
static const char *check_value(
	struct scan *scan, const char *at, const struct line_field *field, size_t *ret_tag)
{
	if (field->flags & LINE_NULLABLE && is_at(scan, at, "null", 4))
		return at + 4;
	switch (field->type) {
	case LINE_OBJECT:
		return check_object(scan, at, field->fields, field->min);
	case LINE_ARRAY:
		return check_array(scan, at, field);
	case LINE_UINT:
		return check_uint(scan, at, field);
	case LINE_BIG:
		return check_big(scan, at);
	case LINE_BOOL:
		return check_bool(scan, at, true);
	case LINE_FALSE:
		return check_bool(scan, at, false);
	case LINE_HEX:
		return check_hex(scan, at, field);
	case LINE_TEXT:
		return check_text(scan, at, field->max);
	case LINE_WORD:
		return check_word(scan, at, field->words, ret_tag);
	case LINE_TAG:
		return check_tag(scan, at, field, ret_tag);
	case LINE_TIME:
		return check_time(scan, at);
	case LINE_BASE64:
		return check_base64(scan, at, field);
	}
	return refuse(scan, at, "of a type that the table does not have");
}

static void explain(const struct scan *scan, const char *line, struct line_error *ret_error)
{
	size_t len = 0;

	ret_error->at = (size_t)(scan->refused - line);
	for (size_t i = scan->path_len; i > 0; i--)
		len += (size_t)snprintf(ret_error->what + len, sizeof(ret_error->what) - len,
			"%s%s", scan->path[i - 1], i > 1 ? "." : ": ");
	snprintf(ret_error->what + len, sizeof(ret_error->what) - len, "%s", scan->what);
}

int line_check_marked(const struct line_field *fields, const char *line, size_t len,
	struct line_value *ret_marks, struct line_error *ret_error)
{
	struct scan scan = { .end = line + len, .marks = ret_marks };

	const char *behind = check_object(&scan, line, fields, 0);
	if (behind && behind == scan.end)
		return 0;
	if (behind)
		refuse(&scan, behind, "bytes behind the end of the line's object");
	explain(&scan, line, ret_error);
	return -EBADMSG;
}

int line_check(
	const struct line_field *fields, const char *line, size_t len, struct line_error *ret_error)
{
	return line_check_marked(fields, line, len, NULL, ret_error);
}
