// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/db_fixture.h"

static const char *const views =
	"CREATE TEMP VIEW line AS SELECT seq, CAST(line AS TEXT) AS text FROM record;"
	"CREATE TEMP VIEW what AS SELECT seq, json_extract(text, '$.what') AS what FROM line";

static int log_of_ten(void **state)
{
	fixture_new(state);
	struct fixture *f = *state;
	assert_ok(f->db, db_create(f->db, f->path));
	assert_ok(f->db, fixture_append(f->db, 1, 10));
	return 0;
}

/* Rows as text: values divided by '|', rows by newlines. */
struct rows {
	char text[4096];
	size_t len;
	size_t count;
	size_t statements;
	size_t stop_after; /* rows; 0 is never */
};

static void rows_add(struct rows *rows, const char *text, size_t len)
{
	assert_true(rows->len + len < sizeof(rows->text));
	memcpy(rows->text + rows->len, text, len);
	rows->len += len;
	rows->text[rows->len] = '\0';
}

static int collect(void *arg, const struct db_row *row)
{
	struct rows *rows = arg;

	for (size_t i = 0; i < row->column_count; i++) {
		const struct db_value *value = &row->values[i];
		char number[64];
		if (i > 0)
			rows_add(rows, "|", 1);
		switch (value->type) {
		case DB_NULL:
			rows_add(rows, "NULL", 4);
			break;
		case DB_INTEGER:
			snprintf(number, sizeof(number), "%lld", (long long)value->integer);
			rows_add(rows, number, strlen(number));
			break;
		case DB_REAL:
			snprintf(number, sizeof(number), "%g", value->real);
			rows_add(rows, number, strlen(number));
			break;
		case DB_TEXT:
		case DB_BLOB:
			rows_add(rows, value->data, value->len);
			break;
		}
	}
	rows_add(rows, "\n", 1);
	rows->statements = row->statement + 1;
	return ++rows->count == rows->stop_after ? 42 : 0;
}

static void assert_rows(struct db *db, const char *sql, const char *expected)
{
	struct rows rows = {};

	assert_ok(db, db_query(db, sql, views, collect, &rows, NULL));
	assert_string_equal(rows.text, expected);
}

static void assert_refused(struct db *db, const char *sql, int expected, const char *text)
{
	struct rows rows = {};
	int r = db_query(db, sql, views, collect, &rows, NULL);

	if (r != expected || !strstr(db_errmsg(db), text))
		fail_msg("%s: %d, \"%s\" instead of %d, \"%s\"", sql, r, db_errmsg(db), expected,
			text);
}

static void every_type_of_value_arrives(void **state)
{
	struct fixture *f = *state;

	assert_rows(f->db, "SELECT 1, -2.5, 'three', x'666f7572', NULL, '', x''",
		"1|-2.5|three|four|NULL||\n");
	assert_rows(f->db, "SELECT 9223372036854775807", "9223372036854775807\n");
}

static int check_names(void *arg, const struct db_row *row)
{
	assert_int_equal(row->column_count, 2);
	assert_string_equal(row->names[0], "n");
	assert_string_equal(row->names[1], "seq");
	assert_int_equal(row->values[0].type, DB_TEXT);
	assert_int_equal(((const char *)row->values[0].data)[row->values[0].len], '\0');
	++*(int *)arg;
	return 0;
}

static void columns_have_names(void **state)
{
	struct fixture *f = *state;
	int calls = 0;

	assert_ok(f->db,
		db_query(f->db, "SELECT 'x' AS n, seq FROM record LIMIT 1", NULL, check_names,
			&calls, NULL));
	assert_int_equal(calls, 1);
}

static void views_are_there_for_the_query_only(void **state)
{
	struct fixture *f = *state;
	struct rows rows = {};

	assert_rows(f->db, "SELECT what, count(*) FROM what GROUP BY what", "a line|10\n");
	assert_rows(f->db, "SELECT max(seq) FROM what", "10\n");
	assert_int_equal(
		db_query(f->db, "SELECT * FROM what", NULL, collect, &rows, NULL), -EINVAL);
	assert_non_null(strstr(db_errmsg(f->db), "no such table: what"));
	assert_int_equal(
		db_query(f->db, "SELECT 1", "CREATE TEMP VIEW", collect, &rows, NULL), -EINVAL);
	assert_rows(f->db, "SELECT max(seq) FROM what", "10\n");
}

static void every_statement_runs(void **state)
{
	struct fixture *f = *state;
	struct rows rows = {};

	assert_ok(f->db,
		db_query(f->db, ";; SELECT 1; -- a comment\n SELECT 2; /* and */ SELECT 3 -- end",
			views, collect, &rows, NULL));
	assert_string_equal(rows.text, "1\n2\n3\n");
	assert_int_equal(rows.statements, 3);
	assert_refused(f->db, "SELECT 1; SELECT * FROM letters", -EINVAL, "no such table: letters");
}

static void a_text_without_a_statement_is_refused(void **state)
{
	struct fixture *f = *state;
	static const char *const texts[] = { "", "  \n", ";", ";;;", "-- a comment", "/* open" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_refused(f->db, texts[i], -EINVAL, "no statement");
}

static void what_writes_or_reaches_out_is_refused(void **state)
{
	struct fixture *f = *state;
	static const char *const texts[] = {
		"INSERT INTO record VALUES(11, 0, 'x')",
		"UPDATE record SET ref=1",
		"DELETE FROM record",
		"REPLACE INTO state VALUES('a', 'b')",
		"DELETE FROM record RETURNING seq",
		"WITH a AS (SELECT 1) DELETE FROM record",
		"CREATE TABLE t(a)",
		"CREATE TEMP TABLE t(a)",
		"CREATE TEMP TABLE t AS SELECT * FROM record",
		"CREATE VIEW v AS SELECT 1",
		"CREATE TEMP VIEW v AS SELECT 1",
		"CREATE INDEX i ON record(line)",
		"CREATE TRIGGER t AFTER INSERT ON record BEGIN SELECT 1; END",
		"CREATE TEMP TRIGGER t AFTER INSERT ON record BEGIN SELECT 1; END",
		"CREATE VIRTUAL TABLE t USING fts5(a)",
		"DROP TABLE record",
		"DROP VIEW line",
		"ALTER TABLE record RENAME TO r",
		"ANALYZE",
		"REINDEX",
		"VACUUM",
		"VACUUM INTO '/tmp/db-stolen.db'",
		"ATTACH '/tmp/db-stolen.db' AS a",
		"ATTACH ':memory:' AS a",
		"DETACH main",
		"PRAGMA user_version",
		"PRAGMA user_version=7",
		"PRAGMA journal_mode=DELETE",
		"PRAGMA wal_checkpoint",
		"SELECT * FROM pragma_database_list",
		"BEGIN",
		"COMMIT",
		"ROLLBACK",
		"SAVEPOINT s",
		"RELEASE s",
		"SELECT load_extension('x')",
		"SELECT LOAD_EXTENSION('x', 'y')",
		"SELECT fts3_tokenizer('simple')",
		"EXPLAIN DELETE FROM record",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char later[256];
		assert_refused(f->db, texts[i], -EPERM, "may only read");
		snprintf(later, sizeof(later), "SELECT 1; %s", texts[i]);
		assert_refused(f->db, later, -EPERM, "may only read");
	}
	assert_int_equal(access("/tmp/db-stolen.db", F_OK), -1);
	assert_rows(f->db, "SELECT count(*), max(seq) FROM record", "10|10\n");
	assert_ok(f->db, fixture_append(f->db, 11, 1));
}

static void the_refusal_says_what_was_refused(void **state)
{
	struct fixture *f = *state;

	assert_refused(f->db, "DELETE FROM record", -EPERM, "writing is refused");
	assert_refused(f->db, "VACUUM", -EPERM, "writing is refused");
	assert_refused(f->db, "ATTACH 'x' AS y", -EPERM, "attaching a database is refused");
	assert_refused(f->db, "PRAGMA user_version", -EPERM, "PRAGMA is refused");
	assert_refused(f->db, "COMMIT", -EPERM, "a transaction is refused");
	assert_refused(f->db, "SELECT load_extension('x')", -EPERM, "load_extension is refused");
}

static void double_quotes_are_no_strings(void **state)
{
	struct fixture *f = *state;

	assert_refused(f->db, "SELECT \"verified\"", -EINVAL, "no such column: ");
}

static void errors_are_in_the_words_of_sqlite(void **state)
{
	struct fixture *f = *state;

	assert_refused(f->db, "SELEC 1", -EINVAL, "near \"SELEC\": syntax error");
	assert_refused(f->db, "SELECT 'open", -EINVAL, "unrecognized token");
	assert_refused(f->db, "SELECT json('{')", -EINVAL, "malformed JSON");
}

static void recursion_and_json_tables_work(void **state)
{
	struct fixture *f = *state;

	assert_rows(f->db,
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<3)"
		" SELECT group_concat(i) FROM n",
		"1,2,3\n");
	assert_rows(f->db, "SELECT key, value FROM line, json_each(line.text) WHERE seq=7",
		"seq|7\nwhat|a line\n");
}

static void a_query_ends_where_its_function_says(void **state)
{
	struct fixture *f = *state;
	struct rows rows = { .stop_after = 4 };

	assert_int_equal(
		db_query(f->db, "SELECT seq FROM record; SELECT 1", NULL, collect, &rows, NULL),
		42);
	assert_string_equal(rows.text, "1\n2\n3\n4\n");
	assert_rows(f->db, "SELECT 1", "1\n");
}

static const char *const endless =
	"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT count(*) FROM n";

static void an_endless_query_is_stopped(void **state)
{
	struct fixture *f = *state;
	struct rows rows = {};

	assert_int_equal(db_query(f->db, endless, views, collect, &rows,
				 &(struct db_limits){ .steps = 100000 }),
		-ETIME);
	assert_non_null(strstr(db_errmsg(f->db), "took too long"));
	assert_int_equal(db_query(f->db, endless, views, collect, &rows,
				 &(struct db_limits){ .cpu_ms = 20 }),
		-ETIME);
	assert_rows(f->db, "SELECT 1", "1\n");
}

static void steps_count_over_all_statements(void **state)
{
	struct fixture *f = *state;
	struct rows rows = {};
	const char *five =
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<5000)"
		" SELECT count(*) FROM n;";
	char twice[512];

	const struct db_limits limits = { .steps = 120000 };
	snprintf(twice, sizeof(twice), "%s%s", five, five);
	assert_ok(f->db, db_query(f->db, five, views, collect, &rows, &limits));
	assert_int_equal(db_query(f->db, twice, views, collect, &rows, &limits), -ETIME);
}

static void a_value_cannot_be_blown_up(void **state)
{
	struct fixture *f = *state;

	assert_refused(f->db, "SELECT zeroblob(100000000)", -EMSGSIZE, "too big");
	assert_refused(f->db, "SELECT replace(hex(zeroblob(1000000)), '0', 'sixteen letters!')",
		-EMSGSIZE, "too big");
}

static void a_query_with_too_many_columns_is_refused(void **state)
{
	struct fixture *f = *state;
	char sql[2048] = "SELECT 1";

	for (int i = 1; i < DB_COLUMNS_MAX; i++)
		strcat(sql, ",1");
	struct rows rows = {};
	assert_ok(f->db, db_query(f->db, sql, NULL, collect, &rows, NULL));
	strcat(sql, ",1");
	assert_refused(f->db, sql, -EINVAL, "too many columns");
}

struct appending {
	struct db *writer;
	struct rows rows;
};

static int append_then_collect(void *arg, const struct db_row *row)
{
	struct appending *appending = arg;

	if (row->statement == 0)
		assert_ok(appending->writer, fixture_append(appending->writer, 11, 1));
	return collect(&appending->rows, row);
}

static void a_query_sees_one_snapshot(void **state)
{
	struct fixture *f = *state;
	[[gnu::cleanup(db_freep)]] struct db *reader = db_new();
	struct appending appending = { .writer = f->db };

	assert_ok(reader, db_open(reader, f->path));
	assert_ok(reader,
		db_query(reader, "SELECT 1; SELECT max(seq) FROM record", views,
			append_then_collect, &appending, NULL));
	assert_string_equal(appending.rows.text, "1\n10\n");
	assert_rows(reader, "SELECT max(seq) FROM record", "11\n");
}

#define test(name) cmocka_unit_test_setup_teardown(name, log_of_ten, fixture_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(every_type_of_value_arrives),
		test(columns_have_names),
		test(views_are_there_for_the_query_only),
		test(every_statement_runs),
		test(a_text_without_a_statement_is_refused),
		test(what_writes_or_reaches_out_is_refused),
		test(the_refusal_says_what_was_refused),
		test(double_quotes_are_no_strings),
		test(errors_are_in_the_words_of_sqlite),
		test(recursion_and_json_tables_work),
		test(a_query_ends_where_its_function_says),
		test(an_endless_query_is_stopped),
		test(steps_count_over_all_statements),
		test(a_value_cannot_be_blown_up),
		test(a_query_with_too_many_columns_is_refused),
		test(a_query_sees_one_snapshot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
