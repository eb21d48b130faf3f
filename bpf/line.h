/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One line of strict JSON: a writer, a checker driven by a table of the keys that a line may have,
 * and access to the values of a line that was checked.
 *
 * The grammar leaves one way to write anything (docs/format.md, "Grammar"): printable ASCII, no
 * white space outside strings, keys in the table's order, none twice, none unknown, the escapes \"
 * and \\ only, integers 0...2^63-1 without leading zeros, no floats, depth at most LINE_DEPTH_MAX.
 * Text that others supplied is escaped again inside its string (\xHH), so every byte of it can be
 * had back.
 *
 * The three know nothing of records: the evidence statement is a line as well.
 */
#ifndef BPF_LINE_H
#define BPF_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LINE_DEPTH_MAX = 4 };

/* The largest integer; LINE_UINT says "this or more" with it. */
#define LINE_UINT_MAX ((uint64_t)INT64_MAX)

enum line_type {
	LINE_OBJECT, /* fields[], of which at least min are present */
	LINE_ARRAY, /* of min...max elements described by fields[0] */
	LINE_UINT, /* min...max (0: LINE_UINT_MAX) */
	LINE_BIG, /* a decimal string, 0...2^64-1 */
	LINE_BOOL,
	LINE_FALSE, /* false: for an optional key that says something by being there */
	LINE_HEX, /* min...max bytes, two lower-case digits each */
	LINE_TEXT, /* escaped text of at most max bytes, or one that was cut there */
	LINE_WORD, /* one of words[] */
	LINE_TAG, /* one of words[], never null; the object ends with the keys of its variant */
	LINE_TIME, /* RFC 3339, UTC, nine digits: "2026-01-02T03:04:05.000000006Z" */
	LINE_BASE64, /* RFC 4648, padded, canonical, of min...max bytes */
};

enum {
	LINE_NULLABLE = 1, /* null is allowed */
	LINE_OPTIONAL = 2, /* the key may be absent */
};

/* Names a key in a table: { LINE_KEY("seq"), .type = LINE_UINT, .min = 1 }. */
#define LINE_KEY(name)                                                                             \
	.key = (name), .token = ",\"" name "\":", .token_len = sizeof(",\"" name "\":") - 1

/* A table of them ends with a field without a key; the one element of an array's needs none. */
struct line_field {
	const char *key;
	const char *token; /* the key as it stands in a line, after a comma */
	size_t token_len;
	enum line_type type;
	unsigned flags;
	unsigned mark; /* where line_check_marked() says where the value is; 0: nowhere */
	uint64_t min;
	uint64_t max;
	const struct line_field *fields;
	const char *const *words; /* ends with NULL */
	/* LINE_TAG: one table per word: after the last key of the tag's own table come these. No
	 * table for a word means that it is reserved, and refused. */
	const struct line_field *const *variants;
};

struct line_error {
	size_t at; /* byte offset in the line */
	char what[160]; /* one clause without a full stop, printable ASCII */
};

/* Raw JSON inside a line that line_check() has accepted. A string's includes its quotes. */
struct line_value {
	const char *at;
	size_t len;
};

/* ---- writing ---- */

/*
 * A line under construction in the caller's buffer. Keys are written in the order of the calls; a
 * NULL key is an element of an array. Overflow is a bug of the caller (caps make it impossible) and
 * is asserted.
 */
struct line {
	char *buf;
	size_t size;
	size_t len;
	bool comma; /* the next value needs one before it */
};

void line_init(struct line *line, char *buf, size_t size);
void line_open_object(struct line *line, const char *key);
void line_close_object(struct line *line);
void line_open_array(struct line *line, const char *key);
void line_close_array(struct line *line);
void line_null(struct line *line, const char *key);
void line_bool(struct line *line, const char *key, bool value);
void line_uint(struct line *line, const char *key, uint64_t value); /* or LINE_UINT_MAX */
void line_big(struct line *line, const char *key, uint64_t value);
void line_hex(struct line *line, const char *key, const void *bytes, size_t len);
void line_word(struct line *line, const char *key, const char *word);
void line_time(struct line *line, const char *key, uint64_t time_ns);
void line_base64(struct line *line, const char *key, const void *bytes, size_t len);

/* Text of any bytes, escaped; where the escaped form exceeds max it is cut before an escape, and
 * "\cut:LENGTH:SHA256" of the whole text follows. */
void line_text(struct line *line, const char *key, const void *bytes, size_t len, size_t max);

/* ---- checking ---- */

/*
 * Check len bytes against a table: they are one object with its keys, and nothing else. A line that
 * is accepted is the only way to write its values.
 *
 * Returns 0, or -EBADMSG with ret_error written. Allocates nothing.
 */
[[nodiscard]] int line_check(const struct line_field *fields, const char *line, size_t len,
	struct line_error *ret_error);

/*
 * The same, and where the values of marked fields are: that of mark n goes to ret_marks[n]. Where
 * the line has none, or is refused, ret_marks[n] may be written or not.
 */
[[nodiscard]] int line_check_marked(const struct line_field *fields, const char *line, size_t len,
	struct line_value *ret_marks, struct line_error *ret_error);

/* ---- reading ---- */

/* The value at a path of keys like "program.id"; false where a key is absent. */
bool line_get(const char *line, size_t len, const char *path, struct line_value *ret_value);

/*
 * The members of an object, or the elements of an array, in order:
 *
 *	struct line_each each = line_each(maps);
 *	while (line_next(&each, NULL, &map))
 *
 * A value that is neither has none. ret_key (may be NULL) is the key without its quotes; of an
 * element it is empty.
 */
struct line_each {
	const char *at;
	const char *end;
	bool has_keys;
};
struct line_each line_each(struct line_value value);
bool line_next(struct line_each *each, struct line_value *ret_key, struct line_value *ret_value);

/* 0 or false where the value is null. */
uint64_t line_value_uint(struct line_value value); /* LINE_UINT, LINE_BIG */
uint64_t line_value_time(struct line_value value); /* nanoseconds since 1970 */
bool line_value_bool(struct line_value value);
bool line_value_is_null(struct line_value value);
bool line_value_is(struct line_value value, const char *word);

/* Index in words[] of a LINE_WORD or LINE_TAG; that of the NULL at their end where the value is
 * none of them. */
size_t line_value_word(struct line_value value, const char *const *words);

/* Bytes written to ret_bytes (at most size); 0 where the value is null. */
size_t line_value_hex(struct line_value value, uint8_t *ret_bytes, size_t size);
size_t line_value_base64(struct line_value value, uint8_t *ret_bytes, size_t size);

/* The text of a LINE_TEXT or LINE_WORD without the escapes of JSON, those of the text kept:
 * printable ASCII, safe to show. Ends with a NUL byte; returns its length, at most size - 1; 0 for
 * null. */
size_t line_value_text(struct line_value value, char *ret_text, size_t size);

#endif
