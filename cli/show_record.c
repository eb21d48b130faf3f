// SPDX-License-Identifier: BSD-2-Clause
/*
 * A record is shown key by key as it stands in its line: nothing that a record says can be left
 * out, and every word is one of docs/format.md.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "attest/evidence.h"
#include "cli/cli.h"
#include "cli/field.h"
#include "cli/row.h"
#include "cli/show.h"
#include "cli/when.h"
#include "db/db.h"

enum { KEY_WIDTH = 17 };

static void print_text(const char *key, const char *text)
{
	printf("  %-*s %s\n", KEY_WIDTH, key, text);
}

static bool is_object(struct line_value value)
{
	return value.at[0] == '{';
}

static bool has_objects(struct line_value array)
{
	return array.len > 2 && array.at[0] == '[' && array.at[1] == '{';
}

/* Of a string what is between its quotes, escapes of JSON undone; anything else as it is. */
static void print_scalar(struct line_value value)
{
	char text[FIELD_MAX];

	if (line_value_is_null(value))
		fputs("-", stdout);
	else if (value.at[0] != '"')
		printf("%.*s", (int)value.len, value.at);
	else if (line_value_text(value, text, sizeof(text)) > 0)
		fputs(text, stdout);
}

/* The elements of an array that has no objects, or one scalar. */
static void print_value(struct line_value value)
{
	struct line_value element;
	bool first = true;

	if (value.at[0] != '[') {
		print_scalar(value);
		return;
	}
	for (struct line_each each = line_each(value); line_next(&each, NULL, &element);) {
		fputs(first ? "" : ", ", stdout);
		print_scalar(element);
		first = false;
	}
	fputs(first ? "none" : "", stdout);
}

/* The members of an object; those of an object inside it as "tpm.base". */
static void print_members(struct line_value object, const char *prefix)
{
	struct line_value key, value;
	char name[64];

	for (struct line_each each = line_each(object); line_next(&each, &key, &value);) {
		snprintf(name, sizeof(name), "%s%.*s", prefix, (int)key.len, key.at);
		if (is_object(value)) {
			strncat(name, ".", sizeof(name) - strlen(name) - 1);
			print_members(value, name);
			continue;
		}
		printf("  %-*s ", KEY_WIDTH, name);
		print_value(value);
		putchar('\n');
	}
}

/* A section for each element. */
static void print_objects(struct line_value key, struct line_value array)
{
	struct line_value element;
	size_t i = 0;

	for (struct line_each each = line_each(array); line_next(&each, NULL, &element); i++) {
		printf("\n%.*s[%zu]\n", (int)key.len, key.at, i);
		print_members(element, "");
	}
}

/* First what has no section of its own, then the sections. */
static void print_line(const struct filter_line *line)
{
	const struct line_value whole = { .at = line->line, .len = line->len };
	struct line_value key, value;
	char local[WHEN_MAX];

	when_full(line->head.time_ns, local);
	printf("record %" PRIu64 ", %s, %s\n", line->head.seq, record_kind_name(line->head.kind),
		local);
	for (struct line_each each = line_each(whole); line_next(&each, &key, &value);) {
		if (is_object(value) || has_objects(value))
			continue;
		printf("  %-*.*s ", KEY_WIDTH, (int)key.len, key.at);
		print_value(value);
		putchar('\n');
	}
	for (struct line_each each = line_each(whole); line_next(&each, &key, &value);) {
		if (has_objects(value))
			print_objects(key, value);
		if (!is_object(value))
			continue;
		printf("\n%.*s\n", (int)key.len, key.at);
		print_members(value, "");
	}
}

/* ---- what was measured ---- */

static int keep_line(void *arg, const struct filter_line *line)
{
	struct record_epoch_facts *facts = arg;

	if (!line->error)
		record_epoch_facts(line->line, line->len, facts);
	return 0;
}

/* Where the epoch was trimmed, a quote that is kept of it says which banks; sha256 is always one. */
static int kept_banks(struct db *db, uint64_t seq, bank_set *ret_banks)
{
	[[gnu::cleanup(db_line_freep)]] char *line = NULL;
	struct evidence_kept kept;
	struct line_error error;
	size_t len = 0;

	int r = db_quote_last(db, seq, &line, &len, &seq);
	bool is_known = r == 0 && evidence_kept_decode(line, len, &kept, &error) == 0;
	*ret_banks = is_known ? kept.banks : 1 << BANK_SHA256;
	return r == -ENOENT ? 0 : r;
}

/* The banks that the epoch of a record measures into. */
static int find_banks(struct db *db, uint64_t seq, bank_set *ret_banks)
{
	struct record_epoch_facts facts = {};
	struct filter filter = filter_any();
	uint64_t epoch;

	filter.kind = "epoch";
	int r = filter_newest(db, &filter, 1, seq, &epoch);
	if (r == 0 && epoch <= seq)
		r = filter_each(db, &filter, epoch, epoch, keep_line, &facts);
	if (r < 0 || !facts.banks)
		return r < 0 ? r : kept_banks(db, seq, ret_banks);
	*ret_banks = facts.banks;
	return 0;
}

static int print_measured(struct db *db, const struct filter_line *line)
{
	uint8_t digest[BANK_DIGEST_MAX];
	char hex[2 * BANK_DIGEST_MAX + 1];
	bank_set banks;

	int r = find_banks(db, line->head.seq, &banks);
	if (r < 0)
		return cli_db_fail(db, r);
	puts("\nmeasured");
	for (enum bank bank = 0; bank < BANK_COUNT; bank++) {
		if (!(banks & 1U << bank))
			continue;
		if (bank_hash(bank, line->line, line->len, digest) < 0)
			return cli_unknown("OpenSSL has no %s", bank_name(bank));
		cli_hex(digest, bank_size(bank), hex);
		print_text(bank_name(bank), hex);
	}
	printf("  %-*s %zu bytes%s\n", KEY_WIDTH, "line", line->len,
		line->head.extend ? "" : "; extended with the next line that is");
	return CLI_GOOD;
}

/* ---- what refers to it ---- */

struct referrers {
	char parent[64]; /* as it stands in a line: cheaper to look for than to parse every line */
	char program[64];
	bool has_children;
};

static int print_referrer(void *arg, uint64_t seq, const void *bytes, size_t len)
{
	struct referrers *referrers = arg;
	struct filter_line line = { .line = bytes, .len = len };
	struct line_error error;
	char what[ROW_TEXT_MAX], when[WHEN_MAX];

	if (!memmem(bytes, len, referrers->parent, strlen(referrers->parent)) &&
		!memmem(bytes, len, referrers->program, strlen(referrers->program)))
		return 0;
	if (record_check(bytes, len, &line.head, &error) < 0)
		return 0;
	when_full(line.head.time_ns, when);
	if (line.head.kind == RECORD_UNLOAD) {
		printf("\nunload\n  %-*" PRIu64 " %s\n", KEY_WIDTH, seq, when);
		return 0;
	}
	if (!referrers->has_children)
		puts("\nchildren");
	referrers->has_children = true;
	row_program(bytes, len, what);
	printf("  %-*" PRIu64 " %s\n", KEY_WIDTH, seq, what);
	return 0;
}

/* Only the strict grammar allows this: there is one way to write "parent":{"seq":7, and no text in
 * a line can hold it, its quotes being escaped. */
static int print_referrers(struct db *db, const struct filter_line *line)
{
	struct referrers referrers = {};

	snprintf(referrers.parent, sizeof(referrers.parent), "\"parent\":{\"seq\":%" PRIu64 ",",
		line->head.seq);
	snprintf(referrers.program, sizeof(referrers.program), "\"program\":{\"seq\":%" PRIu64 ",",
		line->head.seq);
	int r = db_each(db, line->head.seq + 1, UINT64_MAX, print_referrer, &referrers);
	return r < 0 ? cli_db_fail(db, r) : CLI_GOOD;
}

int show_record(struct db *db, const struct filter_line *line)
{
	print_line(line);
	int code = print_measured(db, line);
	bool is_program = line->head.kind == RECORD_LOAD || line->head.kind == RECORD_BASELINE;
	return code == CLI_GOOD && is_program ? print_referrers(db, line) : code;
}
