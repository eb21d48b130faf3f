// SPDX-License-Identifier: BSD-2-Clause
#include "cli/row.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/field.h"
#include "db/db.h"

enum { DIGEST_SHOWN = 12 }; /* digits of a digest */

/* Append to a text of ROW_TEXT_MAX; what does not fit is cut. */
[[gnu::format(printf, 2, 3)]] static void add(char *text, const char *fmt, ...)
{
	size_t len = strlen(text);
	va_list args;

	va_start(args, fmt);
	vsnprintf(text + len, ROW_TEXT_MAX - len, fmt, args);
	va_end(args);
}

/* The same, one of several behind commas. */
#define ADD_ITEM(text, fmt, ...)                                                                   \
	add((text), "%s" fmt, *(text) ? ", " : "" __VA_OPT__(, ) __VA_ARGS__)

static void add_field(
	char *text, const struct filter_line *line, const char *label, const char *path, int shown)
{
	char value[FIELD_MAX];

	if (field_text(line->line, line->len, path, value))
		ADD_ITEM(text, "%s%.*s", label, shown, value);
}

static uint64_t number_of(const struct filter_line *line, const char *path)
{
	uint64_t number;

	field_uint(line->line, line->len, path, &number);
	return number;
}

void row_program(const char *line, size_t len, char ret_text[static ROW_TEXT_MAX])
{
	char name[FIELD_MAX], type[FIELD_MAX];
	uint64_t id;

	field_text(line, len, "program.name", name);
	field_text(line, len, "program.type", type);
	snprintf(ret_text, ROW_TEXT_MAX, "%.256s %.256s", *name ? name : "-", *type ? type : "-");
	if (field_uint(line, len, "program.id", &id))
		add(ret_text, " #%" PRIu64, id);
}

void row_loader(const char *line, size_t len, unsigned width, char ret_text[static ROW_TEXT_MAX])
{
	char exe[FIELD_MAX], comm[FIELD_MAX], name[FIELD_MAX], process[64];
	uint64_t pid, uid;

	ret_text[0] = '\0';
	if (field_uint(line, len, "uid", &uid))
		add(ret_text, ":%" PRIu64, uid);
	if (!field_uint(line, len, "loader.tgid", &pid))
		return;
	field_uint(line, len, "loader.uid", &uid);
	field_text(line, len, "loader.comm", comm);
	const char *path = field_text(line, len, "loader.exe", exe) ? exe : comm;
	const char *slash = strrchr(path, '/');
	int used = snprintf(process, sizeof(process), "[%" PRIu64 "]:%" PRIu64, pid, uid);
	unsigned left = width > (unsigned)used ? width - (unsigned)used : 1;
	table_shorten(slash ? slash + 1 : path, width ? left : ROW_TEXT_MAX / 2, name);
	add(ret_text, "%s%s", name, process);
}

enum table_color row_verdict_color(const char *verdict)
{
	if (strcmp(verdict, "verified") == 0)
		return TABLE_GREEN;
	return strcmp(verdict, "unsigned") == 0 ? TABLE_YELLOW : TABLE_PLAIN;
}

/* ---- kinds ---- */

static void fill_error(const struct filter_line *line, struct row *row)
{
	const char *name = strerrorname_np((int)number_of(line, "errno"));

	add_field(row->details, line, "", "stage", -1);
	if (name)
		add(row->details, " %s", name);
	else
		add(row->details, " errno %" PRIu64, number_of(line, "errno"));
}

/* Loads, rejects and baselines. */
static void fill_program(const struct filter_line *line, unsigned loader_width, struct row *row)
{
	char verdict[FIELD_MAX];
	uint64_t seq;
	size_t maps = field_count(line->line, line->len, "maps");

	row_program(line->line, line->len, row->what);
	row_loader(line->line, line->len, loader_width, row->loader);
	field_text(line->line, line->len, "signature.verdict", verdict);
	snprintf(row->verdict, sizeof(row->verdict), "%.15s", verdict);
	row->verdict_color = row_verdict_color(verdict);

	if (line->head.kind == RECORD_REJECT) {
		row->kind_color = TABLE_RED;
		fill_error(line, row);
	}
	add_field(row->details, line, "sha256 ", "program.sha256", DIGEST_SHOWN);
	if (!field_bool(line->line, line->len, "program.captured"))
		ADD_ITEM(row->details, "not captured");
	add_field(row->details, line, "keyring ", "signature.keyring", -1);
	add_field(row->details, line, "pinned ", "signature.pinned", DIGEST_SHOWN);
	if (field_uint(line->line, line->len, "parent.seq", &seq))
		ADD_ITEM(row->details, "parent %" PRIu64, seq);
	if (field_uint(line->line, line->len, "earlier.seq", &seq))
		ADD_ITEM(row->details, "earlier %" PRIu64, seq);
	if (maps > 0)
		ADD_ITEM(row->details, "%zu map%s", maps, maps == 1 ? "" : "s");
	add_field(row->details, line, "", "program.attach_type", -1);
	add_field(row->details, line, "to ", "program.attach_to", -1);
	if (field_bool(line->line, line->len, "loader.token"))
		ADD_ITEM(row->details, "token");
	if (field_bool(line->line, line->len, "program.self"))
		ADD_ITEM(row->details, "the agent's own");
}

static void fill_unload(struct db *db, const struct filter_line *line, struct row *row)
{
	[[gnu::cleanup(db_line_freep)]] char *load = NULL;
	uint64_t seq = number_of(line, "program.seq");
	struct record_head head;
	struct line_error error;
	size_t len;

	if (db_line_get(db, seq, &load, &len) == 0 && record_check(load, len, &head, &error) == 0)
		row_program(load, len, row->what);
	else
		add(row->what, "#%" PRIu64, number_of(line, "program.id"));
	ADD_ITEM(row->details, "record %" PRIu64, seq);
}

static void fill_epoch(const struct filter_line *line, struct row *row)
{
	struct record_epoch_facts facts;

	record_epoch_facts(line->line, line->len, &facts);
	add_field(row->what, line, "", "why", -1);
	ADD_ITEM(row->what, "PCR %u", facts.pcr);
	ADD_ITEM(row->details, "%s TPM", facts.software ? "software" : "hardware");
	add_field(row->details, line, "", "tpm.manufacturer", -1);
	for (enum bank bank = 0; bank < BANK_COUNT; bank++)
		if (facts.banks & 1U << bank)
			ADD_ITEM(row->details, "%s", bank_name(bank));
	ADD_ITEM(row->details, "reset %" PRIu32 ", restart %" PRIu32, facts.reset_count,
		facts.restart_count);
	add_field(row->details, line, "", "kernel", -1);
}

static void fill_start(const struct filter_line *line, struct row *row)
{
	size_t missing = field_count(line->line, line->len, "missing");

	add_field(row->what, line, "", "version", -1);
	ADD_ITEM(row->what, "%zu hooks", field_count(line->line, line->len, "hooks"));
	if (missing > 0)
		ADD_ITEM(row->details, "%zu missing", missing);
	add_field(row->details, line, "last exit ", "last_exit", -1);
	if (field_bool(line->line, line->len, "kept_measuring"))
		ADD_ITEM(row->details, "kept measuring");
}

static void fill_lost(const struct filter_line *line, struct row *row)
{
	row->kind_color = TABLE_RED;
	ADD_ITEM(row->what, "%" PRIu64, number_of(line, "count"));
	char what[FIELD_MAX];
	field_text(line->line, line->len, "what", what);
	add(row->what, " %.64s", what);
	ADD_ITEM(row->details, "%" PRIu64 " to %" PRIu64, number_of(line, "first"),
		number_of(line, "last"));
}

static void fill_resume(const struct filter_line *line, struct row *row)
{
	struct record_resume_facts facts;

	record_resume_facts(line->line, line->len, &facts);
	ADD_ITEM(row->what, "PCR kept");
	ADD_ITEM(row->details, "reset %" PRIu32 ", restart %" PRIu32, facts.reset_count,
		facts.restart_count);
	if (!field_bool(line->line, line->len, "tpm.safe"))
		ADD_ITEM(row->details, "clock not safe");
}

static void fill_foreign(const struct filter_line *line, struct row *row)
{
	struct record_foreign_facts facts;
	char seen[WHEN_MAX];

	record_foreign_facts(line->line, line->len, &facts);
	row->kind_color = TABLE_RED;
	ADD_ITEM(row->what, "extend after %" PRIu64, facts.after_seq);
	if (facts.last_seen_ns.known) {
		when_short(facts.last_seen_ns.value, seen);
		ADD_ITEM(row->details, "as expected until %s", seen);
	}
	add_field(row->details, line, "expected ", "expected.sha256", DIGEST_SHOWN);
	add_field(row->details, line, "found ", "found.sha256", DIGEST_SHOWN);
}

static void fill_trim(const struct filter_line *line, struct row *row)
{
	struct record_trim_facts facts;
	char first[WHEN_MAX], last[WHEN_MAX];

	record_trim_facts(line->line, line->len, &facts);
	when_short(facts.first_time_ns, first);
	when_short(facts.last_time_ns, last);
	ADD_ITEM(row->what, "%" PRIu64 " to %" PRIu64, facts.first, facts.last);
	add_field(row->details, line, "", "why", -1);
	ADD_ITEM(row->details, "%s to %s", first, last);
}

void row_fill(
	struct db *db, const struct filter_line *line, unsigned loader_width, struct row *ret_row)
{
	*ret_row = (struct row){};
	snprintf(ret_row->seq, sizeof(ret_row->seq), "%" PRIu64, line->head.seq);
	if (line->error) {
		ret_row->kind = "INVALID";
		ret_row->kind_color = TABLE_RED;
		add(ret_row->what, "%s", line->error);
		return;
	}
	when_short(line->head.time_ns, ret_row->time);
	ret_row->kind = record_kind_name(line->head.kind);
	switch (line->head.kind) {
	case RECORD_BASELINE:
	case RECORD_LOAD:
	case RECORD_REJECT:
		fill_program(line, loader_width, ret_row);
		break;
	case RECORD_UNLOAD:
		fill_unload(db, line, ret_row);
		break;
	case RECORD_EPOCH:
		fill_epoch(line, ret_row);
		break;
	case RECORD_START:
		fill_start(line, ret_row);
		break;
	case RECORD_STOP:
		add_field(ret_row->what, line, "", "why", -1);
		break;
	case RECORD_LOST:
		fill_lost(line, ret_row);
		break;
	case RECORD_RESUME:
		fill_resume(line, ret_row);
		break;
	case RECORD_FOREIGN:
		fill_foreign(line, ret_row);
		break;
	case RECORD_TRIM:
		fill_trim(line, ret_row);
		break;
	default:
		break;
	}
	if (!line->head.extend)
		ADD_ITEM(ret_row->details, "extended with the next");
}
