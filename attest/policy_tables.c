/* SPDX-License-Identifier: BSD-2-Clause */
#include "attest/policy_own.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Every kind of record has a table all_KIND, which policies are not told of: the columns of its keys, and
 * whether it is remembered. What they see are views: of the records to be judged, one for each kind; and
 * of programs and attachments, remembered or not.
 */
enum {
	NAME_MAX_LEN = 64, /* of a column: "parent_chain_digest" is about as long as they get */
	CACHE_KIB = 64 * 1024,
};

static const char unknown[] = "unknown";

/* ---- columns ---- */

/* Those of an object's keys, and of the objects in it. */
struct columns {
	FILE *out;
	void (*put)(struct columns *columns, const char *name, const struct line_field *field,
		bool nullable);
	const struct line_field *others; /* a table of keys to compare with */
};

static void columns_each(
	struct columns *columns, const struct line_field *fields, const char *prefix, bool nullable)
{
	for (const struct line_field *field = fields; field->key; field++) {
		char name[NAME_MAX_LEN];
		bool may_lack = nullable || (field->flags & (LINE_NULLABLE | LINE_OPTIONAL));

		snprintf(name, sizeof(name), "%s%s", prefix, field->key);
		if (field->type != LINE_OBJECT) {
			columns->put(columns, name, field, may_lack);
			continue;
		}
		strncat(name, "_", sizeof(name) - strlen(name) - 1);
		columns_each(columns, field->fields, name, may_lack);
	}
}

/*
 * A number that may not be known is ANY, for it may be a word. `extend` is there or not, which is a
 * number.
 */
static void put_definition(
	struct columns *columns, const char *name, const struct line_field *field, bool nullable)
{
	const char *type = "TEXT";

	if (field->type == LINE_FALSE || (field->type == LINE_BOOL && !nullable) ||
		(field->type == LINE_UINT && !nullable))
		type = "INTEGER";
	else if (field->type == LINE_BOOL || field->type == LINE_UINT)
		type = "ANY";
	fprintf(columns->out, ", %s %s %s", name, type,
		strcmp(name, "seq") == 0 ? "PRIMARY KEY" : "NOT NULL");
}

static void put_parameter(struct columns *columns, const char *, const struct line_field *, bool)
{
	fputs(", ?", columns->out);
}

static void put_name(struct columns *columns, const char *name, const struct line_field *, bool)
{
	fprintf(columns->out, ", %s", name);
}

struct search {
	struct columns columns;
	const char *name;
	bool found;
};

static void compare_name(struct columns *columns, const char *name, const struct line_field *, bool)
{
	struct search *search = (struct search *)columns;

	search->found |= strcmp(search->name, name) == 0;
}

/* The column, or the word where the other table of keys has none of that name. */
static void put_name_or_unknown(
	struct columns *columns, const char *name, const struct line_field *, bool)
{
	struct search search = { .columns = { .put = compare_name }, .name = name };

	columns_each(&search.columns, columns->others, "", false);
	fprintf(columns->out, search.found ? ", %s" : ", '%s' AS %s", search.found ? name : unknown,
		name);
}

/* Those that all records have, and those of one kind. */
static void record_columns(struct columns *columns, enum record_kind kind)
{
	const struct line_field *head = record_schema(), *tag = head;

	while (tag->type != LINE_TAG)
		tag++;
	columns_each(columns, head, "", false);
	columns_each(columns, tag->variants[kind], "", false);
}

static const struct line_field *const *variants(const struct line_field *fields)
{
	while (fields->type != LINE_TAG)
		fields++;
	return fields->variants;
}

/* ---- tables and views ---- */

/* A word that SQL keeps for itself. */
static const char *view_name(enum record_kind kind)
{
	return kind == RECORD_FOREIGN ? "foreign_extend" : record_kind_name(kind);
}

static void write_record_table(FILE *out, enum record_kind kind)
{
	struct columns columns = { .out = out, .put = put_definition };
	const char *name = record_kind_name(kind);

	fprintf(out, "CREATE TABLE all_%s(remembered INTEGER NOT NULL", name);
	record_columns(&columns, kind);
	fprintf(out, ") STRICT;\nCREATE VIEW %s AS SELECT seq, time, boottime_ns, extend",
		view_name(kind));
	columns.put = put_name;
	columns_each(&columns, variants(record_schema())[kind], "", false);
	fprintf(out, " FROM all_%s WHERE NOT remembered;\n", name);
}

static void write_program_columns(FILE *out, enum record_kind kind)
{
	const struct line_field *const *of = variants(record_schema());
	struct columns columns = {
		.out = out,
		.put = put_name_or_unknown,
		.others = of[kind],
	};

	fputs("SELECT seq, time, boottime_ns, extend, kind", out);
	columns_each(&columns, of[RECORD_LOAD], "", false);
	fprintf(out, ", remembered FROM all_%s", record_kind_name(kind));
}

/* A program has a record in each epoch, and an epoch of ours begins with those that are loaded. */
static void write_program_views(FILE *out)
{
	static const enum record_kind kinds[] = { RECORD_LOAD, RECORD_BASELINE };
	static const char now[] =
		" WHERE seq > (SELECT coalesce(max(seq), 0) FROM all_epoch) AND seq NOT IN"
		" (SELECT program_seq FROM all_unload)";

	for (int loaded = 0; loaded < 2; loaded++) {
		fprintf(out, "CREATE VIEW %s AS ", loaded ? "loaded" : "known_program");
		write_program_columns(out, kinds[0]);
		fprintf(out, "%s UNION ALL ", loaded ? now : "");
		write_program_columns(out, kinds[1]);
		fprintf(out, "%s;\n", loaded ? now : "");
	}
}

/* docs/format.md, "Views", says of attached_now what is so here. What is not known is a word. */
static void write_attached_view(FILE *out)
{
	struct columns columns = { .out = out, .put = put_name };

	fputs("CREATE VIEW attached AS WITH"
	      " other AS (SELECT coalesce(max(seq), 0) AS seq FROM all_epoch WHERE boot_id ="
	      "  'unknown' OR boot_id <> (SELECT boot_id FROM all_epoch ORDER BY seq DESC LIMIT 1)),"
	      " since AS (SELECT coalesce((SELECT min(seq) FROM all_epoch WHERE seq > other.seq),"
	      "  seq) AS seq FROM other),"
	      " unloaded AS (SELECT program_id, max(seq) AS seq FROM all_unload GROUP BY 1),"
	      " place AS MATERIALIZED (SELECT * FROM all_attach"
	      "  WHERE seq >= (SELECT seq FROM since)),"
	      " again AS (SELECT a.seq FROM place AS a JOIN place AS b ON b.link_id = a.link_id"
	      "  AND b.via = a.via AND b.how <> 'new' AND b.seq > a.seq AND a.link_id <> 'unknown'"
	      "  UNION SELECT a.seq FROM place AS a JOIN place AS b ON b.program_id = a.program_id"
	      "  AND b.how = 'baseline' AND b.seq > a.seq AND a.link_id = 'unknown'"
	      "  AND b.link_id = 'unknown' AND a.program_id <> 'unknown' AND b.via = a.via"
	      "  AND b.attach_type = a.attach_type AND b.target_type = a.target_type"
	      "  AND b.target_id = a.target_id AND b.target_index = a.target_index"
	      "  AND (b.target_id <> 'unknown' OR b.target_name = a.target_name))"
	      " SELECT seq, time, boottime_ns, extend",
		out);
	columns_each(&columns, variants(record_schema())[RECORD_ATTACH], "", false);
	fputs(", remembered FROM place WHERE seq NOT IN again"
	      " AND seq NOT IN (SELECT attach_seq FROM all_detach) AND seq >"
	      " coalesce((SELECT seq FROM unloaded WHERE unloaded.program_id = place.program_id), 0);\n",
		out);
}

static void write_head_view(FILE *out)
{
	const char *join = "CREATE VIEW head AS ";

	for (enum record_kind kind = 0; kind < RECORD_KIND_COUNT; kind++) {
		if (!variants(record_schema())[kind])
			continue;
		fprintf(out,
			"%sSELECT seq, time, boottime_ns, extend, prev, kind FROM all_%s WHERE NOT "
			"remembered",
			join, record_kind_name(kind));
		join = " UNION ALL ";
	}
	fputs(";\n", out);
}

static void write_reference_table(FILE *out, enum reference_kind kind)
{
	struct columns columns = { .out = out, .put = put_definition };

	fprintf(out, "CREATE TABLE reference_%s(id INTEGER PRIMARY KEY", reference_kind_name(kind));
	columns_each(&columns, variants(reference_schema())[kind], "", false);
	fputs(") STRICT;\n", out);
}

static void write_tables(FILE *out)
{
	for (enum record_kind kind = 0; kind < RECORD_KIND_COUNT; kind++)
		if (variants(record_schema())[kind])
			write_record_table(out, kind);
	for (enum reference_kind kind = 0; kind < REFERENCE_KIND_COUNT; kind++)
		write_reference_table(out, kind);
	write_program_views(out);
	write_attached_view(out);
	write_head_view(out);
	fputs("CREATE INDEX reference_program_sha256 ON reference_program(sha256);\n"
	      "CREATE INDEX reference_program_chain ON reference_program(chain_digest);\n"
	      "CREATE INDEX reference_signer_pinned ON reference_signer(pinned);\n"
	      "CREATE INDEX reference_loader_exe ON reference_loader(exe_sha256);\n"
	      "CREATE TABLE machine(name TEXT NOT NULL, mode TEXT NOT NULL, tpm TEXT NOT NULL,"
	      " proven_seq INTEGER NOT NULL) STRICT;\n",
		out);
}

/* ---- opening ---- */

/*
 * What a policy could wait for or fill the memory with in one step of the machine that SQLite is: those
 * are not counted. SQLite before 3.41 asks the authorizer to UPDATE sqlite_master when a connection first
 * meets json_each or json_tree; so it meets them here.
 */
static int limit(sqlite3 *sql)
{
	static const struct {
		int what;
		int most;
	} limits[] = {
		{ SQLITE_LIMIT_LENGTH, 1 << 20 },
		{ SQLITE_LIMIT_SQL_LENGTH, 1 << 20 },
		{ SQLITE_LIMIT_EXPR_DEPTH, 200 },
		{ SQLITE_LIMIT_COLUMN, 200 },
		{ SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 256 },
		{ SQLITE_LIMIT_ATTACHED, 0 },
		{ SQLITE_LIMIT_WORKER_THREADS, 0 },
		{ SQLITE_LIMIT_TRIGGER_DEPTH, 1 },
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++)
		sqlite3_limit(sql, limits[i].what, limits[i].most);
	if (sqlite3_db_config(sql, SQLITE_DBCONFIG_DQS_DDL, 0, NULL) != SQLITE_OK ||
		sqlite3_db_config(sql, SQLITE_DBCONFIG_DQS_DML, 0, NULL) != SQLITE_OK ||
		sqlite3_db_config(sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL) != SQLITE_OK ||
		sqlite3_db_config(sql, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL) != SQLITE_OK)
		return SQLITE_ERROR;
	return sqlite3_exec(sql, "SELECT 1 FROM json_each('0'), json_tree('0')", NULL, NULL, NULL);
}

static int create(sqlite3 *sql)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return SQLITE_NOMEM;
	fprintf(out,
		"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -%d; "
		"PRAGMA temp_store = FILE; "
		"BEGIN;\n",
		CACHE_KIB);
	write_tables(out);
	int rc = fclose(out) ? SQLITE_NOMEM : sqlite3_exec(sql, text, NULL, NULL, NULL);
	free(text);
	return rc;
}

/* INSERT with a parameter for each column. */
static int prepare_insert(struct policy_tables *tables, const char *table, const char *first,
	const struct line_field *head, const struct line_field *rest, sqlite3_stmt **ret_stmt)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	struct columns columns = { .out = out, .put = put_parameter };

	if (!out)
		return SQLITE_NOMEM;
	fprintf(out, "INSERT OR REPLACE INTO %s VALUES(%s", table, first);
	if (head)
		columns_each(&columns, head, "", false);
	columns_each(&columns, rest, "", false);
	putc(')', out);
	int rc = fclose(out) ? SQLITE_NOMEM
			     : sqlite3_prepare_v3(tables->sql, text, -1, SQLITE_PREPARE_PERSISTENT,
				       ret_stmt, NULL);
	free(text);
	return rc;
}

static int prepare(struct policy_tables *tables)
{
	char name[NAME_MAX_LEN];
	int rc = SQLITE_OK;

	for (enum record_kind kind = 0; kind < RECORD_KIND_COUNT && rc == SQLITE_OK; kind++) {
		const struct line_field *fields = variants(record_schema())[kind];

		snprintf(name, sizeof(name), "all_%s", record_kind_name(kind));
		if (fields)
			rc = prepare_insert(
				tables, name, "?", record_schema(), fields, &tables->records[kind]);
	}
	for (enum reference_kind kind = 0; kind < REFERENCE_KIND_COUNT && rc == SQLITE_OK; kind++) {
		snprintf(name, sizeof(name), "reference_%s", reference_kind_name(kind));
		rc = prepare_insert(tables, name, "NULL", NULL, variants(reference_schema())[kind],
			&tables->references[kind]);
	}
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v3(tables->sql, "INSERT INTO machine VALUES(?, ?, ?, ?)", -1,
			SQLITE_PREPARE_PERSISTENT, &tables->machine, NULL);
	return rc;
}

int tables_open(struct policy_tables *tables)
{
	int rc = sqlite3_open_v2("", &tables->sql,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);

	if (rc == SQLITE_OK)
		rc = limit(tables->sql);
	if (rc == SQLITE_OK)
		rc = create(tables->sql);
	if (rc == SQLITE_OK)
		rc = prepare(tables);
	return rc == SQLITE_OK ? tables_machine_set(tables, NULL, 0) : rc;
}

void tables_close(struct policy_tables *tables)
{
	for (enum record_kind kind = 0; kind < RECORD_KIND_COUNT; kind++)
		sqlite3_finalize(tables->records[kind]);
	for (enum reference_kind kind = 0; kind < REFERENCE_KIND_COUNT; kind++)
		sqlite3_finalize(tables->references[kind]);
	sqlite3_finalize(tables->machine);
	sqlite3_close(tables->sql);
}

/* ---- rows ---- */

/* A line on its way into a row. The member that comes next is read already. */
struct row {
	sqlite3_stmt *stmt;
	int column;
	char *text; /* room for what has to be unescaped */
	size_t text_len;
	int rc;
};

struct member {
	struct line_each each;
	bool is_there;
	struct line_value key, value;
};

static struct member first_member(struct line_value object)
{
	struct member member = { .each = line_each(object) };

	member.is_there = line_next(&member.each, &member.key, &member.value);
	return member;
}

static void bind(struct row *row, int rc)
{
	row->column++;
	if (rc != SQLITE_OK)
		row->rc = rc;
}

static void bind_text(struct row *row, struct line_value value)
{
	const char *text = value.at + 1;
	size_t len = value.len - 2;

	if (value.at[0] != '"') { /* an array: JSON */
		text = value.at;
		len = value.len;
	} else if (memchr(text, '\\', len)) {
		text = row->text + row->text_len;
		len = line_value_text(
			value, row->text + row->text_len, RECORD_LINE_MAX - row->text_len);
		row->text_len += len;
	}
	bind(row, sqlite3_bind_text(row->stmt, row->column, text, (int)len, SQLITE_STATIC));
}

/* Lacking: null, or an optional key that is not there. */
static void bind_lacking(struct row *row, const struct line_field *field)
{
	if (field->type == LINE_OBJECT) {
		for (field = field->fields; field->key; field++)
			bind_lacking(row, field);
		return;
	}
	if (field->type == LINE_FALSE)
		bind(row, sqlite3_bind_int(row->stmt, row->column, 1));
	else
		bind(row,
			sqlite3_bind_text(row->stmt, row->column, unknown, sizeof(unknown) - 1,
				SQLITE_STATIC));
}

static void bind_value(struct row *row, const struct line_field *field, struct line_value value);

static void bind_members(struct row *row, const struct line_field *fields, struct member *member)
{
	for (const struct line_field *field = fields; field->key; field++) {
		if (!member->is_there || member->key.len != strlen(field->key) ||
			memcmp(member->key.at, field->key, member->key.len) != 0) {
			bind_lacking(row, field);
			continue;
		}
		bind_value(row, field, member->value);
		member->is_there = line_next(&member->each, &member->key, &member->value);
	}
}

static void bind_value(struct row *row, const struct line_field *field, struct line_value value)
{
	struct member member;

	if (line_value_is_null(value)) {
		bind_lacking(row, field);
		return;
	}
	switch (field->type) {
	case LINE_OBJECT:
		member = first_member(value);
		bind_members(row, field->fields, &member);
		return;
	case LINE_UINT:
		bind(row,
			sqlite3_bind_int64(
				row->stmt, row->column, (sqlite3_int64)line_value_uint(value)));
		return;
	case LINE_BOOL:
	case LINE_FALSE:
		bind(row, sqlite3_bind_int(row->stmt, row->column, line_value_bool(value)));
		return;
	default:
		bind_text(row, value);
	}
}

static int row_put(struct row *row)
{
	assert(row->rc != SQLITE_OK || row->column == sqlite3_bind_parameter_count(row->stmt) + 1);
	if (row->rc == SQLITE_OK)
		sqlite3_step(row->stmt);
	int rc = sqlite3_reset(row->stmt);
	return row->rc == SQLITE_OK ? rc : row->rc;
}

int tables_record_put(struct policy_tables *tables, enum record_kind kind, const char *line,
	size_t len, bool remembered)
{
	struct row row = { .stmt = tables->records[kind], .column = 1, .text = tables->text };
	struct member member = first_member((struct line_value){ .at = line, .len = len });

	bind(&row, sqlite3_bind_int(row.stmt, row.column, remembered));
	bind_members(&row, record_schema(), &member);
	bind_members(&row, variants(record_schema())[kind], &member);
	return row_put(&row);
}

int tables_reference_put(
	struct policy_tables *tables, enum reference_kind kind, const char *line, size_t len)
{
	struct row row = { .stmt = tables->references[kind], .column = 1, .text = tables->text };
	struct member member = first_member((struct line_value){ .at = line, .len = len });

	for (const struct line_field *head = reference_schema(); head->key; head++)
		member.is_there = line_next(&member.each, &member.key, &member.value);
	bind_members(&row, variants(reference_schema())[kind], &member);
	return row_put(&row);
}

int tables_machine_set(
	struct policy_tables *tables, const struct machine *machine, uint64_t proven_seq)
{
	const char *words[] = { unknown, unknown, unknown };
	sqlite3_stmt *stmt = tables->machine;
	int rc = sqlite3_exec(tables->sql, "DELETE FROM machine", NULL, NULL, NULL);

	if (machine) {
		words[0] = machine->name;
		words[1] = machine_mode_name(machine->mode);
		words[2] = machine_tpm_name(machine->tpm);
	}
	for (int i = 0; i < 3 && rc == SQLITE_OK; i++)
		rc = sqlite3_bind_text(stmt, i + 1, words[i], -1, SQLITE_TRANSIENT);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_int64(stmt, 4, (sqlite3_int64)proven_seq);
	if (rc != SQLITE_OK)
		return rc;
	sqlite3_step(stmt);
	return sqlite3_reset(stmt);
}

int tables_clear(struct policy_tables *tables)
{
	char sql[NAME_MAX_LEN];
	int rc = SQLITE_OK;

	for (enum record_kind kind = 0; kind < RECORD_KIND_COUNT && rc == SQLITE_OK; kind++) {
		if (!tables->records[kind])
			continue;
		snprintf(sql, sizeof(sql), "DELETE FROM all_%s", record_kind_name(kind));
		rc = sqlite3_exec(tables->sql, sql, NULL, NULL, NULL);
	}
	return rc == SQLITE_OK ? tables_machine_set(tables, NULL, 0) : rc;
}
