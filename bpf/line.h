/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One line of strict JSON: a writer, and a checker driven by a table of the keys that a line may
 * have.
 *
 * The grammar leaves one way to write anything (docs/format.md, "Grammar"): printable ASCII, no
 * white
 * space outside strings, keys in the table's order, none twice, none unknown, the escapes \" and \\
 * only, integers 0...2^63-1 without leading zeros, no floats, depth at most LINE_DEPTH_MAX. Text
 * that others supplied is escaped again inside its string (\xHH), so every byte of it can be had
 * back.
 *
 * The writer and the checker know nothing of records: the evidence statement is a line as well.
 */
#ifndef BPF_LINE_H
#define BPF_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LINE_DEPTH_MAX = 4 };

enum line_type {
	LINE_OBJECT, /* fields[] */
	LINE_ARRAY, /* of elements described by fields[0], at most max */
	LINE_UINT, /* at most max (0: 2^63-1) */
	LINE_BIG, /* a decimal string, 0...2^64-1 */
	LINE_BOOL,
	LINE_HEX, /* min...max bytes, two lower-case digits each */
	LINE_TEXT, /* escaped text of at most max bytes, or one that was cut */
	LINE_WORD, /* one of words[] */
	LINE_TIME, /* RFC 3339, UTC, nine digits: "2026-01-02T03:04:05.000000006Z" */
	LINE_BASE64, /* RFC 4648, padded, canonical, of at most max bytes */
};

enum {
	LINE_NULLABLE = 1, /* null is allowed */
	LINE_OPTIONAL = 2, /* the key may be absent */
};

/* A table of them ends with a field without a key; an element of an array has the key "". */
struct line_field {
	const char *key;
	enum line_type type;
	unsigned flags;
	size_t min;
	size_t max;
	const struct line_field *fields;
	const char *const *words; /* ends with NULL */
};

struct line_error {
	size_t at; /* byte offset in the line */
	char what[160]; /* one clause without a full stop, printable ASCII */
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
void line_uint(struct line *line, const char *key, uint64_t value);
void line_big(struct line *line, const char *key, uint64_t value);
void line_hex(struct line *line, const char *key, const void *bytes, size_t len);
void line_word(struct line *line, const char *key, const char *word);
void line_time(struct line *line, const char *key, uint64_t time_ns);
void line_base64(struct line *line, const char *key, const void *bytes, size_t len);

/* Text of any bytes, escaped; where the escaped form exceeds max it is cut before an escape, and
 * "\cut:LENGTH:SHA256" of the whole text follows. */
void line_text(struct line *line, const char *key, const void *bytes, size_t len, size_t max);

/* ---- reading ---- */

/* Check len bytes against a table. Returns 0, or -EBADMSG with ret_error written. */
[[nodiscard]] int line_check(const struct line_field *fields, const char *line, size_t len,
	struct line_error *ret_error);

/*
 * The raw JSON of the value at a path like "program.id", of a line that line_check() has accepted:
 * false where the key is absent. A string's value includes its quotes. Keys of objects only.
 */
struct line_value {
	const char *at;
	size_t len;
};
bool line_get(const char *line, size_t len, const char *path, struct line_value *ret_value);

/* Values of checked lines: 0 or false where the value is null. */
uint64_t line_value_uint(struct line_value value); /* LINE_UINT, LINE_BIG */
bool line_value_bool(struct line_value value);
bool line_value_is_null(struct line_value value);
bool line_value_is(struct line_value value, const char *word);
/* Bytes written to ret_bytes (at most size). */
size_t line_value_hex(struct line_value value, uint8_t *ret_bytes, size_t size);
size_t line_value_base64(struct line_value value, uint8_t *ret_bytes, size_t size);

#endif
