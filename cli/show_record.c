// SPDX-License-Identifier: BSD-2-Clause
/*
 * A record is shown key by key as it stands in its line: nothing that a record says can be left
 * out, and every word is one of docs/format.md.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attest/evidence.h"
#include "cli/cli.h"
#include "cli/field.h"
#include "cli/row.h"
#include "cli/show.h"
#include "cli/terminal.h"
#include "cli/when.h"
#include "db/db.h"

enum { KEY_WIDTH = 14 }; /* with it a sha256 takes 80 columns */

/* A key and its value; on a terminal on as many lines as it takes: nothing of it is left out. */
static void print_text(const char *key, const char *text)
{
	int used = printf(" %-*s ", KEY_WIDTH, key);

	terminal_wrap(text, (size_t)used, terminal_width());
	putchar('\n');
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
static void add_scalar(FILE *out, struct line_value value)
{
	char text[FIELD_MAX];

	if (line_value_is_null(value))
		fputs("-", out);
	else if (value.at[0] != '"')
		fprintf(out, "%.*s", (int)value.len, value.at);
	else if (line_value_text(value, text, sizeof(text)) > 0)
		fputs(text, out);
}

/* The elements of an array that has no objects, or one scalar. */
static void add_value(FILE *out, struct line_value value)
{
	struct line_value element;
	bool first = true;

	if (value.at[0] != '[') {
		add_scalar(out, value);
		return;
	}
	for (struct line_each each = line_each(value); line_next(&each, NULL, &element);) {
		fputs(first ? "" : ", ", out);
		add_scalar(out, element);
		first = false;
	}
	fputs(first ? "none" : "", out);
}

static void print_value(const char *key, struct line_value value)
{
	char text[RECORD_LINE_MAX] = "not enough memory";
	FILE *out = fmemopen(text, sizeof(text), "w"); /* as text it is shorter than in the line */

	if (out) {
		text[0] = '\0';
		add_value(out, value);
		fclose(out);
	}
	print_text(key, text);
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
		print_value(name, value);
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

/* What is not in the words of docs/format.md: a path of a target could be taken for one of this machine. */
static const char *section_note(struct line_value key, struct line_value object)
{
	struct line_value type;
	bool is_pin = key.len == strlen("target") && memcmp(key.at, "target", key.len) == 0 &&
		line_get(object.at, object.len, "type", &type) && line_value_is(type, "file");

	return is_pin ? ", in a BPF file system" : "";
}

/* First what has no section of its own, then the sections. */
static void print_line(const struct filter_line *line)
{
	const struct line_value whole = { .at = line->line, .len = line->len };
	struct line_value key, value;
	char local[WHEN_MAX], name[64];

	when_full(line->head.time_ns, local);
	printf("record %" PRIu64 ", %s, %s\n", line->head.seq, record_kind_name(line->head.kind),
		local);
	for (struct line_each each = line_each(whole); line_next(&each, &key, &value);) {
		if (is_object(value) || has_objects(value))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)key.len, key.at);
		print_value(name, value);
	}
	for (struct line_each each = line_each(whole); line_next(&each, &key, &value);) {
		if (has_objects(value))
			print_objects(key, value);
		if (!is_object(value))
			continue;
		printf("\n%.*s%s\n", (int)key.len, key.at, section_note(key, value));
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
	char hex[2 * BANK_DIGEST_MAX + 1]; /* or any text */
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
	snprintf(hex, sizeof(hex), "%zu bytes%s", line->len,
		line->head.extend ? "" : "; extended with the next line that is");
	print_text("line", hex);
	return CLI_GOOD;
}

/* ---- what refers to it ---- */

/* In the order in which they are shown; of each kind its records. */
enum section { CHILDREN, INTEGRITY, ATTACHMENTS, UNLOAD, SECTION_COUNT };

struct section_text {
	FILE *stream;
	char *text;
	size_t len;
};

struct referrers {
	uint64_t attach_seq; /* other than 0: only what refers to this attachment */
	struct section_text sections[SECTION_COUNT];
};

static enum section section_of(enum record_kind kind)
{
	switch (kind) {
	case RECORD_INTEGRITY:
		return INTEGRITY;
	case RECORD_ATTACH:
	case RECORD_DETACH:
		return ATTACHMENTS;
	case RECORD_UNLOAD:
		return UNLOAD;
	default:
		return CHILDREN;
	}
}

static void print_referrer(FILE *out, const struct filter_line *line)
{
	char what[ROW_TEXT_MAX] = "", when[WHEN_MAX], word[FIELD_MAX] = "";

	when_full(line->head.time_ns, when);
	switch (line->head.kind) {
	case RECORD_UNLOAD:
		break;
	case RECORD_INTEGRITY:
		field_text(line->line, line->len, "verdict", word);
		snprintf(what, sizeof(what), "%.128s, ", *word ? word : "-");
		break;
	case RECORD_DETACH:
		field_text(line->line, line->len, "why", word);
		snprintf(what, sizeof(what), "ended, %.16s, ", word);
		break;
	case RECORD_ATTACH:
		row_place(line->line, line->len, what);
		strncat(what, ", ", sizeof(what) - strlen(what) - 1);
		break;
	default:
		row_program(line->line, line->len, what);
		when[0] = '\0';
	}
	fprintf(out, " %-*" PRIu64 " %s%s\n", KEY_WIDTH, line->head.seq, what, when);
}

static int find_referrer(void *arg, const struct filter_line *line)
{
	struct referrers *referrers = arg;
	uint64_t attach_seq;

	if (line->error)
		return 0;
	field_uint(line->line, line->len, "attach_seq", &attach_seq);
	if (referrers->attach_seq && referrers->attach_seq != attach_seq)
		return 0;
	struct section_text *section = &referrers->sections[section_of(line->head.kind)];
	if (!section->stream)
		section->stream = open_memstream(&section->text, &section->len);
	if (!section->stream)
		return -ENOMEM;
	print_referrer(section->stream, line);
	return 0;
}

static int print_sections(struct referrers *referrers)
{
	static const char *const titles[] = {
		[CHILDREN] = "children",
		[INTEGRITY] = "integrity",
		[ATTACHMENTS] = "attachments",
		[UNLOAD] = "unload",
	};
	int r = 0;

	for (enum section i = 0; i < SECTION_COUNT; i++) {
		struct section_text *section = &referrers->sections[i];

		if (!section->stream)
			continue;
		if (fclose(section->stream) != 0)
			r = -ENOMEM;
		else
			printf("\n%s\n%s", titles[i], section->text);
		free(section->text);
	}
	return r;
}

/* An attachment is referred to by its end, which refers to the same program. */
static int print_referrers(struct db *db, const struct filter_line *line)
{
	uint64_t seq = line->head.seq;
	struct filter filter = filter_any();
	struct referrers referrers = {};

	if (line->head.kind == RECORD_ATTACH) {
		referrers.attach_seq = seq;
		field_uint(line->line, line->len, "program.seq", &seq);
	}
	filter.refers = &seq;
	int r = filter_each(db, &filter, line->head.seq + 1, UINT64_MAX, find_referrer, &referrers);
	int printed = print_sections(&referrers);
	if (r == -ENOMEM || printed < 0)
		return cli_unknown("%s", strerror(ENOMEM));
	return r < 0 ? cli_db_fail(db, r) : CLI_GOOD;
}

/* Whether other records name this one by its number. */
static bool is_named(enum record_kind kind)
{
	return kind == RECORD_LOAD || kind == RECORD_BASELINE || kind == RECORD_REJECT ||
		kind == RECORD_ATTACH;
}

int show_record(struct db *db, const struct filter_line *line)
{
	print_line(line);
	int code = print_measured(db, line);
	return code == CLI_GOOD && is_named(line->head.kind) ? print_referrers(db, line) : code;
}
