/* SPDX-License-Identifier: BSD-2-Clause */
/* What a policy may do, and what its verdict is when it fails. */
#include "tests/unit/policy_fixture.h"

#include <errno.h>
#include <sqlite3.h>

#include "attest/policy_own.h"
#include "tests/samples.h"

/* One policy over one good load. */
static void run_text(struct judged *judged, const char *sql)
{
	struct record_load load = good_load();
	char path[64];

	make_file(sql, path);
	judged_init(judged, path, NULL);
	add_load(judged, &load);
	judged_run(judged);
	unlink(path);
	policy_free(judged->policy);
}

static void fails(const char *sql, int err, const char *why)
{
	static struct judged judged;

	run_text(&judged, sql);
	if (judged.found != err || !strstr(judged.error, why))
		fail_msg("%s: %lld %s", sql, (long long)judged.found, judged.error);
}

static void finds(const char *sql, int64_t count)
{
	static struct judged judged;

	run_text(&judged, sql);
	if (judged.found != count)
		fail_msg("%s: %lld %s", sql, (long long)judged.found, judged.error);
}

static void a_row_is_a_violation_and_none_is_none(void **state)
{
	static struct judged judged;

	(void)state;
	finds("SELECT seq, 1 AS value FROM load WHERE 0", 0);
	finds("SELECT seq, 1 AS value FROM load", 1);
	finds("SELECT seq, 1 AS value FROM load; -- and\nSELECT seq, 2 AS value FROM head;", 2);
	run_text(&judged,
		"SELECT seq, program_name || char(10) AS value, 'because' AS why FROM load");
	assert_int_equal(judged.violations[0].seq, 1);
	assert_string_equal(judged.violations[0].value, "good?");
	assert_string_equal(judged.violations[0].why, "because");
	assert_memory_equal(judged.violations[0].rule, "policy-test-", 12);
	assert_false(judged.violations[0].is_past);
}

static void what_is_no_policy_fails(void **state)
{
	(void)state;
	fails("", -EINVAL, "no statement");
	fails("-- nothing\n ; ;", -EINVAL, "no statement");
	fails("SELECT", -EINVAL, "");
	fails("SELECT seq, program_nme AS value FROM load", -EINVAL, "no such column: program_nme");
	fails("SELECT seq, 1 AS value FROM laod", -EINVAL, "no such table");
	fails("SELECT seq, 1 AS value FROM load WHERE program_name = \"bad\"", -EINVAL,
		"no such column");
	fails("SELECT 1 AS value FROM load", -EINVAL, "seq");
	fails("SELECT seq FROM load", -EINVAL, "value");
	fails("SELECT seq AS SEQ, 1 AS value FROM load", -EINVAL, "seq");
	fails("SELECT NULL AS seq, 1 AS value", -EINVAL, "no record's number");
	fails("SELECT 'x' AS seq, 1 AS value", -EINVAL, "no record's number");
	fails("SELECT -1 AS seq, 1 AS value", -EINVAL, "no record's number");
	fails("EXPLAIN SELECT seq, 1 AS value FROM load", -EINVAL, "seq");
}

static void every_statement_has_to_run(void **state)
{
	(void)state;
	fails("SELECT seq, 1 AS value FROM load WHERE 0; SELECT seq, x AS value FROM load", -EINVAL,
		"no such column");
	fails("SELECT seq, x AS value FROM load; SELECT seq, 1 AS value FROM load", -EINVAL,
		"no such column");
}

static void one_that_fails_does_not_keep_others_from_running(void **state)
{
	static struct judged judged;
	struct record_load load = good_load();
	char bad[64], good[64];

	(void)state;
	make_file("SELECT", bad);
	make_file("SELECT seq, 1 AS value FROM load", good);
	memset(&judged, 0, sizeof(judged));
	judged.seq = 1;
	line_init(&judged.line, judged.buf, sizeof(judged.buf));
	assert_int_equal(policy_open((const char *const[]){ bad, good }, 2, NULL, 0, &judged.policy,
				 judged.error),
		0);
	add_load(&judged, &load);
	judged_run(&judged);
	assert_int_equal(judged.found, -EINVAL);
	assert_int_equal(judged.count, 1);
	unlink(bad);
	unlink(good);
	policy_free(judged.policy);
}

static void nothing_but_reading_is_allowed(void **state)
{
	static const char *const refused[] = {
		"INSERT INTO machine VALUES('a', 'b', 'c', 0)",
		"UPDATE machine SET tpm = 'hardware'",
		"DELETE FROM all_load",
		"DELETE FROM all_load RETURNING seq, 1 AS value",
		"DROP TABLE all_load",
		"DROP VIEW load",
		"CREATE TABLE t(a)",
		"CREATE TEMP TABLE load(seq, value)",
		"CREATE TEMP VIEW load AS SELECT 1",
		"CREATE VIRTUAL TABLE t USING fts5(a)",
		"ALTER TABLE machine RENAME TO m",
		"ATTACH '/tmp/x.db' AS x",
		"DETACH main",
		"PRAGMA writable_schema = 1",
		"SELECT seq, 1 AS value FROM load, pragma_journal_mode",
		"BEGIN",
		"COMMIT",
		"ROLLBACK",
		"SAVEPOINT a",
		"VACUUM",
		"VACUUM INTO '/tmp/x.db'",
		"ANALYZE",
		"REINDEX",
		"SELECT seq, load_extension('x') AS value FROM load",
		"SELECT seq, randomblob(9) AS value FROM load",
		"SELECT seq, fts3_tokenizer('simple') AS value FROM load",
		"SELECT seq, sqlite_version() AS value FROM load",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
		fails(refused[i], -EPERM, "is refused");
}

static void what_takes_too_much_is_stopped(void **state)
{
	(void)state;
	fails("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
	      " SELECT i AS seq, 1 AS value FROM n WHERE i < 0",
		-ETIME, "too many steps");
	fails("SELECT 1 AS seq, replace(printf('%1000000d', 0), ' ', 'xx') AS value", -EMSGSIZE,
		"too big");
	fails("SELECT 1 AS seq, 'a' LIKE printf('%300d', 0) AS value", -EINVAL,
		"pattern too complex");
}

/* Memory that SQLite has given to others of this process counts. */
static void what_finds_no_memory_left_is_stopped(void **state)
{
	void *hog = sqlite3_malloc64((sqlite3_uint64)POLICY_MEMORY_MIB << 20);

	(void)state;
	assert_non_null(hog);
	fails("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
	      " SELECT i AS seq, 1 AS value FROM n WHERE i < 0",
		-ETIME, "too much memory");
	sqlite3_free(hog);
}

static void reading_json_and_counting_is_allowed(void **state)
{
	(void)state;
	finds("SELECT seq, map.value ->> '$.name' AS value FROM load, json_each(maps) AS map", 0);
	finds("SELECT max(seq) AS seq, count(*) AS value FROM head HAVING count(*) > 0", 1);
	finds("SELECT seq, row_number() OVER (ORDER BY seq) AS value FROM load", 1);
	finds("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5)"
	      " SELECT i AS seq, 1 AS value FROM n",
		5);
}

/* Three-valued logic: a comparison with NULL would be neither true nor false, and hide a row. */
static void what_is_not_known_is_a_word(void **state)
{
	static struct judged judged;
	struct record_load nothing = { 0 };
	char path[64];

	(void)state;
	make_file("SELECT seq, 1 AS value FROM load WHERE loader_exe <> '/usr/sbin/tc';"
		  "SELECT seq, 2 AS value FROM load WHERE loader_exe_dev <> 7;"
		  "SELECT seq, 3 AS value FROM load WHERE program_sha256 NOT IN (SELECT 'a');"
		  "SELECT seq, 4 AS value FROM load WHERE parent_seq = 'unknown';"
		  "SELECT seq, 5 AS value FROM load WHERE NOT (signature_keyring = 'builtin');"
		  "SELECT seq, 6 AS value FROM load WHERE program_insn_cnt > 1000;"
		  "SELECT seq, parent_verdict AS value FROM load",
		path);
	judged_init(&judged, path, NULL);
	add_load(&judged, &nothing);
	judged_run(&judged);
	assert_int_equal(judged.found, 7);
	assert_string_equal(judged.violations[6].value, "unknown");
	unlink(path);
	policy_free(judged.policy);
}

static void violations_of_an_epoch_that_ended_are_past(void **state)
{
	static struct judged judged;
	struct record_load load = good_load();
	char path[64];

	(void)state;
	make_file("SELECT seq, 1 AS value FROM load", path);
	judged_init(&judged, path, NULL);
	add_epoch(&judged, WHY_BOOT);
	add_load(&judged, &load);
	add_epoch(&judged, WHY_BOOT);
	policy_epoch_set(judged.policy, 1);
	judged_run(&judged);
	assert_int_equal(judged.found, 1);
	policy_epoch_set(judged.policy, 3);
	judged_run(&judged);
	assert_int_equal(judged.found, 0);
	assert_int_equal(judged.count, 1);
	assert_true(judged.violations[0].is_past);
	unlink(path);
	policy_free(judged.policy);
}

static void remembered_records_are_seen_and_not_judged(void **state)
{
	static struct judged judged;
	struct record_load load = good_load();
	struct record_unload unload = { .program_seq = 2 };
	char path[64];

	(void)state;
	make_file("SELECT seq, 'load' AS value FROM load;"
		  "SELECT seq, 'known' AS value FROM known_program;"
		  "SELECT seq, 'loaded' AS value FROM loaded",
		path);
	judged_init(&judged, path, NULL);
	for (int i = 0; i < 2; i++) {
		record_encode_load(&judged.line, judged_head(&judged), &load);
		judged_add(&judged, true);
	}
	record_encode_unload(&judged.line, judged_head(&judged), &unload);
	judged_add(&judged, false);
	add_load(&judged, &load);
	judged_run(&judged);
	assert_int_equal(judged.found, 1 + 3 + 2);

	assert_int_equal(policy_reset(judged.policy), 0);
	judged_run(&judged);
	assert_int_equal(judged.found, 0);
	unlink(path);
	policy_free(judged.policy);
}

static void what_is_no_record_of_that_number_is_refused(void **state)
{
	static struct judged judged;

	(void)state;
	judged_init(&judged, "no-foreign", NULL);
	assert_int_equal(policy_record_add(judged.policy, 1, "{}", 2, false), -EBADMSG);
	record_encode_stop(&judged.line, judged_head(&judged), &(struct record_stop){ 0 });
	assert_int_equal(
		policy_record_add(judged.policy, 2, judged.line.buf, judged.line.len, true),
		-EBADMSG);
	policy_free(judged.policy);
}

static void names_are_files_or_shipped(void **state)
{
	struct policy *policy = NULL;
	char error[POLICY_ERROR_MAX];

	(void)state;
	assert_int_equal(
		policy_open((const char *const[]){ "nonsense" }, 1, NULL, 0, &policy, error),
		-ENOENT);
	assert_int_equal(
		policy_open((const char *const[]){ "./signed-only" }, 1, NULL, 0, &policy, error),
		-ENOENT);
	assert_int_equal(policy_open((const char *const[]){ "no-gaps", "no-gaps.sql" }, 2, NULL, 0,
				 &policy, error),
		-EINVAL);
	assert_int_equal(
		policy_open((const char *const[]){ "no-gaps.sql" }, 1, NULL, 0, &policy, error), 0);
	assert_string_equal(policy_rule(policy, 0), "no-gaps");
	policy_free(policy);
}

static void digests_differ_by_policies_and_references(void **state)
{
	static const char *const both[] = { "no-gaps", "no-foreign" };
	static const char *const turned[] = { "no-foreign", "no-gaps" };
	uint8_t digests[4][SHA256_LEN];
	struct policy *policy = NULL;
	char error[POLICY_ERROR_MAX], path[64];
	const char *reference = path;

	(void)state;
	make_references(path);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(policy_open(i == 2 ? turned : both, 1 + (i > 0), &reference,
					 i == 3, &policy, error),
			0);
		policy_digest(policy, digests[i]);
		policy_free(policy);
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(digests[i], digests[j], SHA256_LEN);
	}
	unlink(path);
}

/* ---- the tables against the views ---- */

static void text_of(sqlite3 *sql, const char *query, const char *view, char **ret_text)
{
	sqlite3_stmt *stmt = NULL;
	char *text = sqlite3_mprintf(query, view, view);

	if (sqlite3_prepare_v2(sql, text, -1, &stmt, NULL) != SQLITE_OK ||
		sqlite3_step(stmt) != SQLITE_ROW)
		fail_msg("%s: %s", text, sqlite3_errmsg(sql));
	*ret_text = strdup((const char *)sqlite3_column_text(stmt, 0));
	sqlite3_finalize(stmt);
	sqlite3_free(text);
}

/* Every row of one, a column a line. */
static void same_rows(sqlite3 *tables, sqlite3 *views, const char *view)
{
	char *columns[2], *select, *rows[2];
	sqlite3 *sql[] = { tables, views };

	for (int i = 0; i < 2; i++)
		text_of(sql[i], "SELECT group_concat(name, ', ') FROM pragma_table_info('%s')",
			view, &columns[i]);
	assert_string_equal(columns[0], columns[1]);
	text_of(views,
		"SELECT 'SELECT coalesce(group_concat(row, char(10)), ''none'') FROM (SELECT ' ||"
		" group_concat('quote(coalesce(' || name || ', ''unknown''))', ' || '' '' || ') ||"
		" ' AS row FROM %s ORDER BY seq)' FROM pragma_table_info('%s')",
		view, &select);
	for (int i = 0; i < 2; i++)
		text_of(sql[i], select, view, &rows[i]);
	assert_string_equal(rows[0], rows[1]);
	assert_string_not_equal(rows[0], "none");
	for (int i = 0; i < 2; i++) {
		free(columns[i]);
		free(rows[i]);
	}
	free(select);
}

/* A table of lines with the views over it, and how one is put there. */
static sqlite3_stmt *open_views(sqlite3 **ret_views)
{
	sqlite3_stmt *insert = NULL;

	assert_int_equal(sqlite3_open(":memory:", ret_views), SQLITE_OK);
	assert_int_equal(sqlite3_exec(*ret_views, SAMPLES_TABLE, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_exec(*ret_views, record_views_sql(), NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(
				 *ret_views, "INSERT INTO record VALUES(?, ?)", -1, &insert, NULL),
		SQLITE_OK);
	return insert;
}

static void put_line(sqlite3_stmt *insert, uint64_t seq, const struct line *line)
{
	sqlite3_bind_int64(insert, 1, (sqlite3_int64)seq);
	sqlite3_bind_blob(insert, 2, line->buf, (int)line->len, SQLITE_STATIC);
	assert_int_equal(sqlite3_step(insert), SQLITE_DONE);
	sqlite3_reset(insert);
}

static void tables_have_the_columns_and_values_of_the_views(void **state)
{
	static const char *const names[] = { "head", "epoch", "resume", "foreign_extend", "start",
		"stop", "baseline", "load", "integrity", "reject", "attach", "detach", "unload",
		"lost", "trim" };
	static struct policy_tables tables;
	static struct sampler sampler;
	static char buf[RECORD_LINE_MAX];
	struct line line;
	sqlite3 *views = NULL;
	sqlite3_stmt *insert = NULL;

	(void)state;
	line_init(&line, buf, sizeof(buf));
	assert_int_equal(tables_open(&tables), SQLITE_OK);
	sqlite3_limit(tables.sql, SQLITE_LIMIT_LENGTH, 1 << 26);
	insert = open_views(&views);
	for (uint64_t seq = 1; seq <= 400; seq++) {
		enum record_kind kind = sample_kinds[seq % SAMPLE_KINDS];
		struct record_head head = sample_head(&sampler);

		head.seq = seq;
		sample_record(&sampler, kind, head, &line);
		assert_int_equal(
			tables_record_put(&tables, kind, line.buf, line.len, false), SQLITE_OK);
		put_line(insert, seq, &line);
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		same_rows(tables.sql, views, names[i]);
	sqlite3_finalize(insert);
	sqlite3_close(views);
	tables_close(&tables);
}

static struct record_number one_of(struct sampler *sampler, uint64_t count)
{
	uint64_t value = sample_below(sampler, count + 1);

	return (struct record_number){ value != 0, value };
}

/* Records of a few programs, links, places and boots, so that they meet again and again. */
static enum record_kind sample_meeting(
	struct sampler *sampler, struct record_head head, struct line *line)
{
	static const char *const boots[] = { NULL, "one", "two" };
	struct record_attach attach = sample_attach(sampler);
	struct record_epoch epoch = sample_epoch(sampler);
	struct record_detach detach = {};
	struct record_unload unload = {};

	attach.program.id = one_of(sampler, 9);
	attach.place.via = (enum record_via)sample_below(sampler, 2);
	attach.place.link_id = one_of(sampler, 5);
	attach.place.attach_type.bytes = NULL;
	attach.place.target = (struct record_target){ .id = one_of(sampler, 1) };
	attach.place.target.name = (struct record_text){ sample_bool(sampler) ? "a" : "b", 1 };
	detach.attach_seq = head.seq - sample_below(sampler, head.seq);
	unload.program_id = (uint32_t)sample_below(sampler, 9);
	epoch.boot_id.bytes = boots[sample_below(sampler, 8) ? 1 : sample_below(sampler, 3)];
	epoch.boot_id.len = 3;
	switch (sample_below(sampler, 20)) {
	case 0:
		record_encode_epoch(line, head, &epoch);
		return RECORD_EPOCH;
	case 1:
	case 2:
		record_encode_detach(line, head, &detach);
		return RECORD_DETACH;
	case 3:
		record_encode_unload(line, head, &unload);
		return RECORD_UNLOAD;
	default:
		record_encode_attach(line, head, &attach);
		return RECORD_ATTACH;
	}
}

static void attached_is_what_the_view_attached_now_says(void **state)
{
	static struct policy_tables tables;
	static struct sampler sampler;
	static char buf[RECORD_LINE_MAX];
	struct line line;
	size_t shown = 0;

	(void)state;
	line_init(&line, buf, sizeof(buf));
	for (sampler.state = 0; sampler.state < 100; sampler.state++) {
		uint64_t seed = sampler.state;
		sqlite3 *views = NULL;
		sqlite3_stmt *insert = open_views(&views);
		char *rows[2];

		assert_int_equal(tables_open(&tables), SQLITE_OK);
		for (uint64_t seq = 1; seq <= 60; seq++) {
			struct record_head head = { .seq = seq };
			enum record_kind kind = sample_meeting(&sampler, head, &line);

			assert_int_equal(
				tables_record_put(&tables, kind, line.buf, line.len, seq < 30),
				SQLITE_OK);
			put_line(insert, seq, &line);
		}
		text_of(tables.sql, "SELECT coalesce(group_concat(seq), '-') FROM %s", "attached",
			&rows[0]);
		text_of(views, "SELECT coalesce(group_concat(seq), '-') FROM %s", "attached_now",
			&rows[1]);
		assert_string_equal(rows[0], rows[1]);
		shown += strlen(rows[0]) > 1;
		free(rows[0]);
		free(rows[1]);
		sqlite3_finalize(insert);
		sqlite3_close(views);
		tables_close(&tables);
		sampler = (struct sampler){ .state = seed };
	}
	assert_true(shown > 50);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_row_is_a_violation_and_none_is_none),
		cmocka_unit_test(what_is_no_policy_fails),
		cmocka_unit_test(every_statement_has_to_run),
		cmocka_unit_test(one_that_fails_does_not_keep_others_from_running),
		cmocka_unit_test(nothing_but_reading_is_allowed),
		cmocka_unit_test(what_takes_too_much_is_stopped),
		cmocka_unit_test(what_finds_no_memory_left_is_stopped),
		cmocka_unit_test(reading_json_and_counting_is_allowed),
		cmocka_unit_test(what_is_not_known_is_a_word),
		cmocka_unit_test(violations_of_an_epoch_that_ended_are_past),
		cmocka_unit_test(remembered_records_are_seen_and_not_judged),
		cmocka_unit_test(what_is_no_record_of_that_number_is_refused),
		cmocka_unit_test(names_are_files_or_shipped),
		cmocka_unit_test(digests_differ_by_policies_and_references),
		cmocka_unit_test(tables_have_the_columns_and_values_of_the_views),
		cmocka_unit_test(attached_is_what_the_view_attached_now_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
