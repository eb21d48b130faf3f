// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fault/answers.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/record.h"
#include "db/db.h"

/* Of the tables, by way of each index. */
static const char *const table_queries[] = {
	"SELECT * FROM record",
	"SELECT * FROM program",
	"SELECT * FROM quote",
	"SELECT count(*), min(seq), max(seq) FROM record",
	"SELECT ref, count(*), min(seq), max(seq) FROM record WHERE ref<>0 GROUP BY ref",
	"SELECT seq FROM record WHERE ref<>0 AND ref>1000 ORDER BY ref, seq DESC",
	"SELECT count(*) FROM program",
	"SELECT sha256, id FROM program ORDER BY sha256",
	"SELECT count(*), max(seq) FROM quote",
};

static const char *const view_queries[] = {
	"SELECT * FROM head",
	"SELECT * FROM epoch",
	"SELECT * FROM resume",
	"SELECT * FROM foreign_extend",
	"SELECT * FROM start",
	"SELECT * FROM stop",
	"SELECT * FROM baseline",
	"SELECT * FROM load",
	"SELECT * FROM integrity",
	"SELECT * FROM reject",
	"SELECT * FROM attach",
	"SELECT * FROM detach",
	"SELECT * FROM unload",
	"SELECT * FROM lost",
	"SELECT * FROM trim",
	"SELECT * FROM program",
	"SELECT * FROM map",
	"SELECT * FROM loader",
	"SELECT * FROM signature_claim",
	"SELECT * FROM attached_now",
};

enum {
	TABLE_QUERIES = sizeof(table_queries) / sizeof(table_queries[0]),
	VIEW_QUERIES = sizeof(view_queries) / sizeof(view_queries[0]),
	QUERIES_MAX = VIEW_QUERIES > TABLE_QUERIES ? VIEW_QUERIES : TABLE_QUERIES,
};

static void put_bytes(FILE *to, uint64_t number, const void *bytes, size_t len)
{
	fprintf(to, "%" PRIu64 " %zu ", number, len);
	fwrite(bytes, 1, len, to);
}

static int put_line(void *arg, uint64_t seq, const void *line, size_t len)
{
	put_bytes(arg, seq, line, len);
	return 0;
}

static int put_program(void *arg, const uint8_t *sha256, const void *insns, size_t len)
{
	fwrite(sha256, 1, DB_SHA256_LEN, arg);
	put_bytes(arg, 0, insns, len);
	return 0;
}

static int ask_bounds(struct db *db, FILE *to)
{
	uint64_t first = 0, last = 0, bytes = 0;

	int err = db_first_seq(db, &first);
	if (!err)
		err = db_last_seq(db, &last);
	if (!err)
		err = db_program_bytes(db, &bytes);
	fprintf(to, "%" PRIu64 " %" PRIu64 " %" PRIu64, first, last, bytes);
	return err;
}

static int ask_each(struct db *db, FILE *to)
{
	return db_each(db, 1, UINT64_MAX, put_line, to);
}

static int ask_lines(struct db *db, FILE *to)
{
	uint64_t last = 0;
	int err = db_last_seq(db, &last);

	for (uint64_t seq = 1; !err && seq <= last; seq++) {
		[[gnu::cleanup(db_line_freep)]] char *line = NULL;
		size_t len = 0;
		err = db_line_get(db, seq, &line, &len);
		if (!err)
			put_bytes(to, seq, line, len);
	}
	return err;
}

static int put_ref(void *arg, const struct db_row *row)
{
	uint64_t *refs = arg;

	if (refs[0] < ANSWERS_MAX)
		refs[++refs[0]] = (uint64_t)row->values[0].integer;
	return 0;
}

/* The newest record of each program id, at or after each record. */
static int ask_refs(struct db *db, FILE *to)
{
	static const char sql[] = "SELECT DISTINCT ref FROM record WHERE ref<>0";
	uint64_t refs[ANSWERS_MAX + 1] = { 0 }, last = 0;
	int err = db_query(db, sql, NULL, put_ref, refs, NULL);

	if (!err)
		err = db_last_seq(db, &last);
	for (size_t i = 1; !err && i <= refs[0]; i++)
		for (uint64_t from = 1; !err && from <= last + 1; from++) {
			uint64_t seq = 0;
			err = db_ref_last(db, refs[i], from, &seq);
			if (err == -ENOENT)
				err = 0;
			fprintf(to, "%" PRIu64 " ", seq);
		}
	return err;
}

static int ask_quotes(struct db *db, FILE *to)
{
	[[gnu::cleanup(db_line_freep)]] char *line = NULL;
	uint64_t seq = 0;
	size_t len = 0;

	int err = db_quotes_each(db, 0, UINT64_MAX, put_line, to);
	if (!err)
		err = db_quote_last(db, UINT64_MAX, &line, &len, &seq);
	if (!err)
		put_bytes(to, seq, line, len);
	return err;
}

static int get_program(void *arg, const struct db_row *row)
{
	uint8_t(*digests)[DB_SHA256_LEN] = arg;
	size_t at = digests[0][0];

	if (at + 1 == ANSWERS_MAX || row->values[0].len != DB_SHA256_LEN)
		return -ERANGE;
	memcpy(digests[++digests[0][0]], row->values[0].data, DB_SHA256_LEN);
	return 0;
}

static int ask_programs(struct db *db, FILE *to)
{
	uint8_t digests[ANSWERS_MAX][DB_SHA256_LEN] = { 0 };

	int err = db_programs_each(db, put_program, to);
	if (!err)
		err = db_query(db, "SELECT sha256 FROM program", NULL, get_program, digests, NULL);
	for (size_t i = 1; !err && i <= digests[0][0]; i++) {
		uint8_t *insns = NULL;
		size_t len = 0;
		err = db_program_get(db, digests[i], &insns, &len);
		if (!err)
			put_bytes(to, i, insns, len);
		free(insns);
	}
	return err;
}

/* Rows of all queries, each in a stream of its own. */
struct rows {
	FILE *to[QUERIES_MAX];
	char *bytes[QUERIES_MAX];
	size_t len[QUERIES_MAX];
};

static int put_row(void *arg, const struct db_row *row)
{
	struct rows *rows = arg;
	FILE *to = rows->to[row->statement];

	for (size_t i = 0; i < row->column_count; i++) {
		const struct db_value *value = &row->values[i];

		fprintf(to, "%s %d %" PRId64 " %a ", row->names[i], (int)value->type,
			value->integer, value->real);
		put_bytes(to, i, value->data ? value->data : "", value->len);
	}
	fputc('\n', to);
	return 0;
}

static void add(
	struct answers *answers, const char *question, FILE *to, char **bytes, size_t *len, int err)
{
	assert(answers->count < ANSWERS_MAX);
	fprintf(to, "\n%d", err);
	int failed = fclose(to);
	answers->all[answers->count].question = question;
	failed |= sha256(*bytes, *len, answers->all[answers->count].sha256);
	assert(!failed);
	answers->count++;
	free(*bytes);
}

static void ask_queries(struct db *db, const char *const *queries, size_t count, const char *views,
	struct answers *answers)
{
	char sql[QUERIES_MAX * 96] = "";
	struct rows rows;

	for (size_t i = 0; i < count; i++) {
		assert(strlen(queries[i]) < 96 - 1);
		strcat(strcat(sql, queries[i]), ";");
		rows.to[i] = open_memstream(&rows.bytes[i], &rows.len[i]);
		assert(rows.to[i]);
	}
	int err = db_query(db, sql, views, put_row, &rows, NULL);
	for (size_t i = 0; i < count; i++)
		add(answers, queries[i], rows.to[i], &rows.bytes[i], &rows.len[i], err);
}

void answers_ask(const char *path, bool with_views, struct answers *ret_answers)
{
	static const struct {
		const char *question;
		int (*ask)(struct db *db, FILE *to);
	} questions[] = {
		{ "where the log begins and ends", ask_bounds },
		{ "all lines", ask_each },
		{ "each line by its number", ask_lines },
		{ "records by program id", ask_refs },
		{ "kept quotes", ask_quotes },
		{ "programs", ask_programs },
	};
	[[gnu::cleanup(db_freep)]] struct db *db = db_new();

	ret_answers->count = 0;
	int err = db_open(db, path);
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		char *bytes = NULL;
		size_t len = 0;
		FILE *to = open_memstream(&bytes, &len);

		assert(to);
		add(ret_answers, questions[i].question, to, &bytes, &len,
			err ? err : questions[i].ask(db, to));
	}
	if (!err)
		ask_queries(db, table_queries, TABLE_QUERIES, NULL, ret_answers);
	if (!err && with_views)
		ask_queries(db, view_queries, VIEW_QUERIES, record_views_sql(), ret_answers);
}

const char *answers_compare(const struct answers *one, const struct answers *other)
{
	size_t count = one->count < other->count ? one->count : other->count;

	for (size_t i = 0; i < count; i++)
		if (memcmp(one->all[i].sha256, other->all[i].sha256, SHA256_LEN) != 0)
			return one->all[i].question;
	return NULL;
}
