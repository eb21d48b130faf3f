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

void row_loader(const char *line, size_t len, char ret_text[static ROW_TEXT_MAX])
{
	char exe[FIELD_MAX], comm[FIELD_MAX];
	struct line_value task;
	uint64_t pid, uid;

	ret_text[0] = '\0';
	if (field_uint(line, len, "uid", &uid))
		add(ret_text, ":%" PRIu64, uid);
	if (!line_get(line, len, "loader", &task) && !line_get(line, len, "by", &task))
		return;
	if (!field_uint(task.at, task.len, "tgid", &pid))
		return;
	field_uint(task.at, task.len, "uid", &uid);
	field_text(task.at, task.len, "comm", comm);
	const char *path = field_text(task.at, task.len, "exe", exe) ? exe : comm;
	const char *slash = strrchr(path, '/');
	add(ret_text, "%s[%" PRIu64 "]:%" PRIu64, slash ? slash + 1 : path, pid, uid);
}

size_t row_loader_shorten(const char *loader, size_t width, char ret_text[static ROW_TEXT_MAX])
{
	enum { NAME_MIN = 3 };
	const char *process = strrchr(loader, '['); /* a name may have one as well */
	size_t process_len = process ? strlen(process) : 0;
	char name[ROW_TEXT_MAX];

	if (!process || width < process_len + NAME_MIN)
		return terminal_shorten(loader, width, ret_text);
	snprintf(name, sizeof(name), "%.*s", (int)(process - loader), loader);
	size_t used = terminal_shorten(name, width - process_len, ret_text);
	add(ret_text, "%s", process);
	return used + process_len;
}

/* Nothing but a BPF file system has pins, wherever it is mounted. */
static const char bpffs[] = "bpffs:";

void row_target_prefix(const char *type, char ret_text[static ROW_PREFIX_MAX])
{
	if (strcmp(type, "file") == 0)
		snprintf(ret_text, ROW_PREFIX_MAX, "%s", bpffs);
	else
		snprintf(ret_text, ROW_PREFIX_MAX, "%.16s ",
			strcmp(type, "unknown") == 0 ? "somewhere" : type);
}

void row_target(const char *line, size_t len, char ret_text[static ROW_TEXT_MAX])
{
	char type[FIELD_MAX], text[FIELD_MAX];
	uint64_t number;

	field_text(line, len, "target.type", type);
	row_target_prefix(type, ret_text);
	if (field_text(line, len, "target.name", text))
		add(ret_text, "%s", text);
	else if (field_uint(line, len, "target.id", &number))
		add(ret_text, "%" PRIu64, number);
	else
		ret_text[strlen(ret_text) - 1] = '\0';
	if (field_uint(line, len, "target.index", &number))
		add(ret_text, "[%" PRIu64 "]", number);
	if (field_uint(line, len, "target.count", &number) && number > 1)
		add(ret_text, " and %" PRIu64 " more", number - 1);
}

void row_place(const char *line, size_t len, char ret_text[static ROW_TEXT_MAX])
{
	char text[FIELD_MAX];
	uint64_t number;

	row_target(line, len, ret_text);
	field_text(line, len, "via", text);
	add(ret_text, ", %.16s", text);
	if (field_uint(line, len, "link.id", &number))
		add(ret_text, " %" PRIu64, number);
	if (field_text(line, len, "attach_type", text) || field_text(line, len, "link.type", text))
		add(ret_text, ", %.128s", text);
}

enum table_color row_verdict_color(const char *line, size_t len)
{
	char text[FIELD_MAX];

	field_text(line, len, "signature.verdict", text);
	if (strcmp(text, "unsigned") == 0)
		return TABLE_YELLOW;
	if (strcmp(text, "verified") != 0)
		return TABLE_PLAIN;
	return record_has_known_signer(line, len) ? TABLE_GREEN : TABLE_YELLOW;
}

/* ---- kinds ---- */

static void fill_error(const struct filter_line *line, struct row *row)
{
	const char *name = strerrorname_np((int)number_of(line, "errno"));

	if (name)
		add(row->gist[1], "%s", name);
	else
		add(row->gist[1], "errno %" PRIu64, number_of(line, "errno"));
	add_field(row->gist[0], line, "", "stage", -1);
	add(row->gist[0], " %s", row->gist[1]);
	add(row->details, "%s", row->gist[0]);
}

/* Loads, rejects and baselines. */
static void fill_program(const struct filter_line *line, struct row *row)
{
	char verdict[FIELD_MAX], subject[FIELD_MAX];
	uint64_t seq;
	size_t maps = field_count(line->line, line->len, "maps");

	row_program(line->line, line->len, row->what);
	row_loader(line->line, line->len, row->loader);
	field_text(line->line, line->len, "signature.verdict", verdict);
	snprintf(row->verdict, sizeof(row->verdict), "%.15s", verdict);
	row->verdict_color = row_verdict_color(line->line, line->len);

	if (line->head.kind == RECORD_REJECT) {
		row->kind_color = TABLE_RED;
		fill_error(line, row);
	}
	if (field_bool(line->line, line->len, "program.self"))
		ADD_ITEM(row->details, "the agent's own");
	add_field(row->details, line, "sha256 ", "program.sha256", DIGEST_SHOWN);
	if (!field_bool(line->line, line->len, "program.captured"))
		ADD_ITEM(row->details, "not captured");
	add_field(row->details, line, "keyring ", "signature.keyring", -1);
	add_field(row->details, line, "pinned ", "signature.pinned", DIGEST_SHOWN);
	if (field_text(line->line, line->len, "signature.pinned_subject", subject))
		add(row->details, " %.128s", subject);
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
}

/* The program that a record names by the number of its record. */
static void fill_program_of(struct db *db, const struct filter_line *line, struct row *row)
{
	[[gnu::cleanup(db_line_freep)]] char *load = NULL;
	struct record_head head;
	struct line_error error;
	uint64_t id;
	size_t len;

	if (db_line_get(db, number_of(line, "program.seq"), &load, &len) == 0 &&
		record_check(load, len, &head, &error) == 0)
		row_program(load, len, row->what);
	else if (field_uint(line->line, line->len, "program.id", &id))
		add(row->what, "#%" PRIu64, id);
	else
		add(row->what, "-");
}

static void fill_unload(struct db *db, const struct filter_line *line, struct row *row)
{
	fill_program_of(db, line, row);
	ADD_ITEM(row->details, "record %" PRIu64, number_of(line, "program.seq"));
}

static void fill_attachment(struct db *db, const struct filter_line *line, struct row *row)
{
	bool is_end = line->head.kind == RECORD_DETACH;
	char place[ROW_TEXT_MAX], how[FIELD_MAX];

	fill_program_of(db, line, row);
	row_loader(line->line, line->len, row->loader);
	row_place(line->line, line->len, place);
	row_target(line->line, line->len, row->gist[0]);
	if (!field_text(line->line, line->len, "target.name", row->gist[1]) ||
		strncmp(row->gist[0], bpffs, strlen(bpffs)) == 0)
		row->gist[1][0] = '\0';
	field_text(line->line, line->len, is_end ? "why" : "how", how);
	add(row->details, "%s %s", is_end ? "from" : "to", place);
	if (is_end || strcmp(how, "new") != 0)
		ADD_ITEM(row->details, "%.16s", how);
	if (is_end && number_of(line, "attach_seq"))
		ADD_ITEM(row->details, "record %" PRIu64, number_of(line, "attach_seq"));
}

static void fill_integrity(struct db *db, const struct filter_line *line, struct row *row)
{
	fill_program_of(db, line, row);
	add_field(row->gist[1], line, "", "verdict", -1);
	add_field(row->details, line, "", "verdict", -1);
	add_field(row->details, line, "by ", "source", -1);
	add_field(row->details, line, "", "hook", -1);
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

void row_fill(struct db *db, const struct filter_line *line, struct row *ret_row)
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
		fill_program(line, ret_row);
		break;
	case RECORD_UNLOAD:
		fill_unload(db, line, ret_row);
		break;
	case RECORD_ATTACH:
	case RECORD_DETACH:
		fill_attachment(db, line, ret_row);
		break;
	case RECORD_INTEGRITY:
		fill_integrity(db, line, ret_row);
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
