// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/db_fixture.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/resource.h>

static int fixture_with_log(void **state)
{
	fixture_new(state);
	struct fixture *f = *state;
	return db_create(f->db, f->path);
}

static void reopen(struct fixture *f)
{
	db_free(f->db);
	f->db = db_new();
	assert_non_null(f->db);
	assert_ok(f->db, db_create(f->db, f->path));
}

/* Do to the file what no function of db/ does. */
static void tamper(const struct fixture *f, const char *sql)
{
	sqlite3 *raw = NULL;
	char *message = NULL;
	int persist = 1;

	assert_int_equal(sqlite3_open(f->path, &raw), SQLITE_OK);
	sqlite3_file_control(raw, "main", SQLITE_FCNTL_PERSIST_WAL, &persist);
	if (sqlite3_exec(raw, sql, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s: %s", sql, message);
	assert_int_equal(sqlite3_close(raw), SQLITE_OK);
}

static void assert_last_seq(struct db *db, uint64_t expected)
{
	uint64_t last = UINT64_MAX;

	assert_ok(db, db_last_seq(db, &last));
	assert_int_equal(last, expected);
}

static void assert_refused(struct db *db, int result, int expected, const char *text)
{
	assert_int_equal(result, expected);
	if (!strstr(db_errmsg(db), text))
		fail_msg("\"%s\" does not say \"%s\"", db_errmsg(db), text);
}

static void a_new_log_is_empty(void **state)
{
	struct fixture *f = *state;
	uint64_t bytes = 1, count = 0, seq = 0;
	char *line = NULL;
	size_t len = 0;

	assert_last_seq(f->db, 0);
	assert_ok(f->db, db_program_bytes(f->db, &bytes));
	assert_int_equal(bytes, 0);
	assert_ok(f->db, db_each(f->db, 1, UINT64_MAX, fixture_count, &count));
	assert_int_equal(count, 0);
	assert_int_equal(db_line_get(f->db, 1, &line, &len), -ENOENT);
	assert_int_equal(db_ref_last(f->db, 7, 1, &seq), -ENOENT);
	assert_int_equal(db_state_get(f->db, "hint", NULL, 0), -ENOENT);
}

static void what_was_appended_is_there_after_reopening(void **state)
{
	struct fixture *f = *state;
	uint64_t count = 0;
	char expected[64], *line = NULL;
	size_t len = 0;

	assert_ok(f->db, fixture_append(f->db, 1, 3));
	assert_ok(f->db, fixture_append(f->db, 4, 60));
	reopen(f);
	assert_last_seq(f->db, 63);
	assert_ok(f->db, db_each(f->db, 1, UINT64_MAX, fixture_count, &count));
	assert_int_equal(count, 63);
	assert_ok(f->db, db_line_get(f->db, 17, &line, &len));
	assert_int_equal(len, fixture_line(17, expected));
	assert_string_equal(line, expected);
	free(line);
	assert_ok(f->db, fixture_append(f->db, 64, 1));
}

static void append_refuses_a_gap_in_seq(void **state)
{
	struct fixture *f = *state;
	const struct db_line gap[] = { { .seq = 3, .line = "c", .len = 1 },
		{ .seq = 5, .line = "e", .len = 1 } };

	assert_refused(
		f->db, fixture_append(f->db, 2, 1), -EINVAL, "record 2 is not the next, 1 is");
	assert_ok(f->db, fixture_append(f->db, 1, 2));
	assert_int_equal(fixture_append(f->db, 2, 1), -EINVAL);
	assert_int_equal(fixture_append(f->db, 4, 1), -EINVAL);
	assert_int_equal(fixture_append(f->db, 0, 1), -EINVAL);
	assert_int_equal(fixture_append(f->db, UINT64_MAX, 1), -EINVAL);
	assert_int_equal(
		db_append(f->db, &(struct db_batch){ .lines = gap, .line_count = 2 }), -EINVAL);
	assert_last_seq(f->db, 2);
	assert_ok(f->db, fixture_append(f->db, 3, 1));
}

static void a_batch_that_fails_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	const struct db_line lines[] = { { .seq = 1, .line = "a", .len = 1 },
		{ .seq = 2, .line = "b", .len = 1, .ref = UINT64_MAX } };
	const struct db_state note = { .key = "hint", .value = "1", .len = 1 };
	struct db_batch batch = {
		.lines = lines, .line_count = 2, .states = &note, .state_count = 1
	};
	char value[8];

	assert_refused(f->db, db_append(f->db, &batch), -EINVAL, "ref is too large");
	assert_last_seq(f->db, 0);
	assert_int_equal(db_state_get(f->db, "hint", value, sizeof(value)), -ENOENT);
	batch.line_count = 1;
	assert_ok(f->db, db_append(f->db, &batch));
	assert_last_seq(f->db, 1);
	assert_int_equal(db_state_get(f->db, "hint", value, sizeof(value)), 1);
}

static void a_line_may_be_large_but_not_too_large(void **state)
{
	struct fixture *f = *state;
	size_t len = 0;
	char *line = calloc(1, DB_VALUE_MAX + 1), *back = NULL;
	struct db_line one = { .seq = 1, .line = line, .len = DB_VALUE_MAX + 1 };
	struct db_batch batch = { .lines = &one, .line_count = 1 };

	assert_non_null(line);
	memset(line, 'x', DB_VALUE_MAX);
	assert_int_equal(db_append(f->db, &batch), -EMSGSIZE);
	assert_last_seq(f->db, 0);
	one.len = DB_VALUE_MAX;
	assert_ok(f->db, db_append(f->db, &batch));
	assert_ok(f->db, db_line_get(f->db, 1, &back, &len));
	assert_int_equal(len, DB_VALUE_MAX);
	assert_memory_equal(back, line, len);
	free(back);
	free(line);
}

static void a_line_is_any_bytes(void **state)
{
	struct fixture *f = *state;
	const struct db_line one = { .seq = 1, .line = "\0\xff'\n", .len = 4 };
	char *back = NULL;
	size_t len = 0;

	assert_ok(f->db, db_append(f->db, &(struct db_batch){ .lines = &one, .line_count = 1 }));
	assert_ok(f->db, db_line_get(f->db, 1, &back, &len));
	assert_int_equal(len, 4);
	assert_memory_equal(back, "\0\xff'\n", 5);
	free(back);
}

static void each_stays_in_its_range(void **state)
{
	struct fixture *f = *state;
	static const struct {
		uint64_t first, last, count;
	} cases[] = { { 1, 1, 1 }, { 1, 640, 640 }, { 257, 512, 256 }, { 640, UINT64_MAX, 1 },
		{ 641, 700, 0 }, { 9, 8, 0 } };

	for (uint64_t seq = 1; seq <= 640; seq += 64)
		assert_ok(f->db, fixture_append(f->db, seq, 64));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t count = 0;
		assert_ok(f->db,
			db_each(f->db, cases[i].first, cases[i].last, fixture_count, &count));
		assert_int_equal(count, cases[i].count);
	}
}

static int stop_at_five(void *arg, uint64_t seq, const void *, size_t)
{
	*(uint64_t *)arg = seq;
	return seq == 5 ? 42 : 0;
}

static void each_ends_where_its_function_says(void **state)
{
	struct fixture *f = *state;
	uint64_t seen = 0;

	assert_ok(f->db, fixture_append(f->db, 1, 9));
	assert_int_equal(db_each(f->db, 1, UINT64_MAX, stop_at_five, &seen), 42);
	assert_int_equal(seen, 5);
}

static int append_one(void *arg, uint64_t seq, const void *, size_t)
{
	return seq == 300 ? 1 : fixture_append(arg, seq + 5, 1);
}

static void the_function_of_each_may_append(void **state)
{
	struct fixture *f = *state;

	assert_ok(f->db, fixture_append(f->db, 1, 5));
	assert_ok(f->db, db_each(f->db, 1, UINT64_MAX, append_one, f->db));
	assert_last_seq(f->db, 10); /* the end is where it was at the call */
}

static void each_says_which_record_is_missing(void **state)
{
	struct fixture *f = *state;
	uint64_t count = 0;

	for (uint64_t seq = 1; seq <= 640; seq += 64)
		assert_ok(f->db, fixture_append(f->db, seq, 64));
	tamper(f, "DELETE FROM record WHERE seq IN (1, 400)");
	assert_refused(f->db, db_each(f->db, 1, 640, fixture_count, &count), -EUCLEAN,
		"record 1 is missing");
	assert_int_equal(count, 0);
	assert_refused(f->db, db_each(f->db, 2, 640, fixture_count, &count), -EUCLEAN,
		"record 400 is missing");
	assert_int_equal(count, 398);
}

static void the_newest_record_with_a_ref_is_found(void **state)
{
	struct fixture *f = *state;
	uint64_t seq = 0;

	assert_ok(f->db, fixture_append(f->db, 1, 45));
	assert_ok(f->db, db_ref_last(f->db, 3, 0, &seq));
	assert_int_equal(seq, 43);
	assert_ok(f->db, db_ref_last(f->db, 3, 43, &seq));
	assert_int_equal(seq, 43);
	assert_int_equal(db_ref_last(f->db, 3, 44, &seq), -ENOENT);
	assert_int_equal(db_ref_last(f->db, 11, 0, &seq), -ENOENT);
	assert_int_equal(db_ref_last(f->db, 3, UINT64_MAX, &seq), -ENOENT);
}

static void a_state_is_replaced(void **state)
{
	struct fixture *f = *state;
	char value[4] = "";
	const struct db_state first[] = { { .key = "a", .value = "one", .len = 3 },
		{ .key = "b", .value = NULL, .len = 0 } };
	const struct db_state second = { .key = "a", .value = "four", .len = 4 };

	assert_ok(f->db, db_append(f->db, &(struct db_batch){ .states = first, .state_count = 2 }));
	assert_int_equal(db_state_get(f->db, "a", value, sizeof(value)), 3);
	assert_memory_equal(value, "one", 3);
	assert_int_equal(db_state_get(f->db, "b", NULL, 0), 0);
	assert_ok(
		f->db, db_append(f->db, &(struct db_batch){ .states = &second, .state_count = 1 }));
	assert_int_equal(db_state_get(f->db, "a", value, 3), -EMSGSIZE);
	assert_int_equal(db_state_get(f->db, "a", value, sizeof(value)), 4);
	assert_memory_equal(value, "four", 4);
}

static void a_program_is_kept_once(void **state)
{
	struct fixture *f = *state;
	uint8_t one[DB_SHA256_LEN] = { 1 }, two[DB_SHA256_LEN] = { 2 }, *insns = NULL;
	size_t len = 0;
	uint64_t bytes = 0;
	const struct db_program programs[] = { { .sha256 = one, .insns = "12345678", .len = 8 },
		{ .sha256 = two, .insns = "1234567890123456", .len = 16 },
		{ .sha256 = one, .insns = "12345678", .len = 8 } };
	const struct db_batch batch = {
		.programs = programs, .program_count = 3, .program_bytes_max = 1000
	};

	assert_ok(f->db, db_append(f->db, &batch));
	assert_ok(f->db, db_append(f->db, &batch));
	assert_ok(f->db, db_program_bytes(f->db, &bytes));
	assert_int_equal(bytes, 24);
	assert_ok(f->db, db_program_get(f->db, two, &insns, &len));
	assert_int_equal(len, 16);
	assert_memory_equal(insns, "1234567890123456", 16);
	free(insns);
	two[31] = 9;
	assert_int_equal(db_program_get(f->db, two, &insns, &len), -ENOENT);
}

static void programs_beyond_the_cap_are_counted_and_the_log_goes_on(void **state)
{
	struct fixture *f = *state;
	uint8_t digest[3][DB_SHA256_LEN] = { { 1 }, { 2 }, { 3 } }, *insns = NULL;
	size_t len = 0;
	uint64_t bytes = 0;
	const struct db_program programs[] = {
		{ .sha256 = digest[0], .insns = "12345678", .len = 8 },
		{ .sha256 = digest[1], .insns = "1234567890123456", .len = 16 },
		{ .sha256 = digest[2], .insns = "abcdefgh", .len = 8 }
	};
	const struct db_line line = { .seq = 1, .line = "a", .len = 1 };
	struct db_batch batch = { .lines = &line,
		.line_count = 1,
		.programs = programs,
		.program_count = 3,
		.program_bytes_max = 16 };

	assert_int_equal(db_append(f->db, &batch), 1);
	assert_last_seq(f->db, 1);
	assert_ok(f->db, db_program_bytes(f->db, &bytes));
	assert_int_equal(bytes, 16);
	assert_int_equal(db_program_get(f->db, digest[1], &insns, &len), -ENOENT);
	assert_ok(f->db, db_program_get(f->db, digest[2], &insns, &len));
	free(insns);
	batch.line_count = 0;
	batch.program_bytes_max = 0; /* kept ones are not left out again */
	assert_int_equal(db_append(f->db, &batch), 1);
}

static void a_second_writer_is_refused(void **state)
{
	struct fixture *f = *state;
	[[gnu::cleanup(db_freep)]] struct db *second = db_new();

	assert_refused(second, db_create(second, f->path), -EBUSY, "another process writes");
	db_free(f->db);
	f->db = NULL;
	assert_ok(second, db_create(second, f->path));
}

static void a_reader_cannot_append(void **state)
{
	struct fixture *f = *state;
	[[gnu::cleanup(db_freep)]] struct db *reader = db_new();

	assert_ok(reader, db_open(reader, f->path));
	assert_int_equal(fixture_append(reader, 1, 1), -EROFS);
	assert_ok(f->db, fixture_append(f->db, 1, 1));
	assert_last_seq(reader, 1);
}

static void the_files_have_the_modes_of_the_manual(void **state)
{
	struct fixture *f = *state;
	static const mode_t modes[] = { 0640, 0640, 0640, 0600 };

	assert_ok(f->db, fixture_append(f->db, 1, 1));
	for (size_t i = 0; i < 4; i++) {
		char name[80];
		struct stat st;
		snprintf(name, sizeof(name), "%s%s", f->path, fixture_suffixes[i]);
		assert_int_equal(stat(name, &st), 0);
		assert_int_equal(st.st_mode & 0777, modes[i]);
	}
}

static void what_is_not_a_path_is_refused(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "", ":memory:", "file:/tmp/x?mode=memory" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(db_create(f->db, names[i]), -EINVAL);
		assert_int_equal(db_open(f->db, names[i]), -EINVAL);
	}
}

static void a_log_that_is_not_there_is_enoent(void **state)
{
	struct fixture *f = *state;

	assert_refused(f->db, db_open(f->db, f->path), -ENOENT, f->path);
	assert_refused(f->db, db_create(f->db, "/nonexistent/log.db"), -ENOENT, "/nonexistent");
	assert_ok(f->db, db_create(f->db, f->path)); /* the handle is fit for use */
}

static void a_database_of_somebody_else_is_left_alone(void **state)
{
	struct fixture *f = *state;
	sqlite3 *raw = NULL;
	sqlite3_stmt *stmt = NULL;

	tamper(f, "CREATE TABLE letters(text)");
	assert_refused(f->db, db_create(f->db, f->path), -EMEDIUMTYPE, "not a log");
	assert_refused(f->db, db_open(f->db, f->path), -EMEDIUMTYPE, "not a log");
	assert_int_equal(sqlite3_open(f->path, &raw), SQLITE_OK);
	assert_int_equal(
		sqlite3_prepare_v2(raw, "PRAGMA journal_mode", -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	assert_string_equal((const char *)sqlite3_column_text(stmt, 0), "delete");
	sqlite3_finalize(stmt);
	sqlite3_close(raw);
}

static void a_log_of_another_version_is_refused(void **state)
{
	struct fixture *f = *state;

	db_free(f->db);
	f->db = db_new();
	tamper(f, "PRAGMA user_version=2");
	assert_refused(f->db, db_create(f->db, f->path), -EMEDIUMTYPE, "format version 2, not 1");
	assert_refused(f->db, db_open(f->db, f->path), -EMEDIUMTYPE, "format version 2, not 1");
}

static void a_schema_with_more_or_less_in_it_is_refused(void **state)
{
	struct fixture *f = *state;
	static const char *const changes[][2] = {
		{ "CREATE VIEW v AS SELECT 1", "DROP VIEW v" },
		{ "CREATE TRIGGER t AFTER INSERT ON record BEGIN DELETE FROM record; END",
			"DROP TRIGGER t" },
		{ "CREATE TABLE more(a)", "DROP TABLE more" },
		{ "DROP INDEX record_ref", "SELECT 1" },
	};

	assert_ok(f->db, fixture_append(f->db, 1, 1));
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		db_free(f->db);
		f->db = db_new();
		tamper(f, changes[i][0]);
		assert_int_equal(db_create(f->db, f->path), -EUCLEAN);
		assert_int_equal(db_open(f->db, f->path), -EUCLEAN);
		tamper(f, changes[i][1]);
	}
}

/* What a caretaker of databases does to one of them. */
static void a_log_that_was_vacuumed_is_one_as_before(void **state)
{
	struct fixture *f = *state;
	uint64_t last = 0;

	assert_ok(f->db, fixture_append(f->db, 1, 3));
	db_free(f->db);
	f->db = db_new();
	tamper(f, "VACUUM");
	assert_ok(f->db, db_create(f->db, f->path));
	assert_ok(f->db, fixture_append(f->db, 4, 1));
	assert_ok(f->db, db_last_seq(f->db, &last));
	assert_int_equal(last, 4);
}

static void scribble(const char *path, off_t offset, size_t len)
{
	char garbage[4096];
	int fd = open(path, O_WRONLY);

	assert_true(fd >= 0);
	memset(garbage, 0xa5, sizeof(garbage));
	for (size_t done = 0; done < len; done += sizeof(garbage))
		assert_int_equal(pwrite(fd, garbage, sizeof(garbage), offset + (off_t)done),
			sizeof(garbage));
	close(fd);
}

static void a_file_that_is_no_database_is_euclean(void **state)
{
	struct fixture *f = *state;

	db_free(f->db);
	f->db = db_new();
	scribble(f->path, 0, 8192);
	assert_int_equal(db_create(f->db, f->path), -EUCLEAN);
	assert_int_equal(db_open(f->db, f->path), -EUCLEAN);
}

static void a_damaged_page_is_euclean_after_the_records_before_it(void **state)
{
	struct fixture *f = *state;
	uint64_t count = 0;
	struct stat st;

	for (uint64_t seq = 1; seq <= 6400; seq += 64)
		assert_ok(f->db, fixture_append(f->db, seq, 64));
	db_free(f->db); /* copies PATH-wal into PATH */
	f->db = db_new();
	assert_int_equal(stat(f->path, &st), 0);
	scribble(f->path, st.st_size / 2 & ~4095, 4096);
	assert_ok(f->db, db_open(f->db, f->path));
	assert_int_equal(db_each(f->db, 1, UINT64_MAX, fixture_count, &count), -EUCLEAN);
	assert_in_range(count, 1, 6399);
}

static void a_file_cut_short_is_euclean(void **state)
{
	struct fixture *f = *state;
	uint64_t count = 0;
	struct stat st;

	for (uint64_t seq = 1; seq <= 6400; seq += 64)
		assert_ok(f->db, fixture_append(f->db, seq, 64));
	db_free(f->db);
	f->db = db_new();
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(truncate(f->path, st.st_size / 2), 0);
	int r = db_open(f->db, f->path);
	if (r == 0)
		r = db_each(f->db, 1, UINT64_MAX, fixture_count, &count);
	assert_int_equal(r, -EUCLEAN);
}

/* What a full disk does to a write, RLIMIT_FSIZE does too, and needs neither root nor a mount. */
static void a_full_disk_loses_nothing_and_ends_when_there_is_room(void **state)
{
	struct fixture *f = *state;
	struct rlimit before, small = { .rlim_cur = 256 << 10 };
	uint64_t seq = 1, count = 0;
	int r = 0;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small.rlim_max = before.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	while (r == 0 && seq < 10000) {
		r = fixture_append(f->db, seq, 8);
		if (r == 0)
			seq += 8;
	}
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(fixture_append(f->db, seq, 8), -ENOSPC);
	assert_last_seq(f->db, seq - 1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);

	assert_ok(f->db, fixture_append(f->db, seq, 8));
	assert_ok(f->db, db_each(f->db, 1, UINT64_MAX, fixture_count, &count));
	assert_int_equal(count, seq + 7);
	reopen(f);
	assert_last_seq(f->db, seq + 7);
}

static void memory_does_not_grow_with_the_log(void **state)
{
	struct fixture *f = *state;
	static char text[60000];
	struct db_line line = { .line = text, .len = sizeof(text) };
	uint64_t seen = 0;

	memset(text, 'x', sizeof(text));
	sqlite3_memory_highwater(1);
	for (line.seq = 1; line.seq <= 500; line.seq++)
		assert_ok(f->db,
			db_append(f->db, &(struct db_batch){ .lines = &line, .line_count = 1 }));
	assert_int_equal(db_each(f->db, 6, UINT64_MAX, stop_at_five, &seen), 0);
	assert_int_equal(seen, 500);
	assert_in_range(sqlite3_memory_highwater(0), 1, 3 << 20);
}

#define test(name)         cmocka_unit_test_setup_teardown(name, fixture_with_log, fixture_free)
#define test_without(name) cmocka_unit_test_setup_teardown(name, fixture_new, fixture_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_new_log_is_empty),
		test(what_was_appended_is_there_after_reopening),
		test(append_refuses_a_gap_in_seq),
		test(a_batch_that_fails_leaves_nothing),
		test(a_line_may_be_large_but_not_too_large),
		test(a_line_is_any_bytes),
		test(each_stays_in_its_range),
		test(each_ends_where_its_function_says),
		test(the_function_of_each_may_append),
		test(each_says_which_record_is_missing),
		test(the_newest_record_with_a_ref_is_found),
		test(a_state_is_replaced),
		test(a_program_is_kept_once),
		test(programs_beyond_the_cap_are_counted_and_the_log_goes_on),
		test(a_second_writer_is_refused),
		test(a_reader_cannot_append),
		test(the_files_have_the_modes_of_the_manual),
		test_without(what_is_not_a_path_is_refused),
		test_without(a_log_that_is_not_there_is_enoent),
		test_without(a_database_of_somebody_else_is_left_alone),
		test(a_log_of_another_version_is_refused),
		test(a_schema_with_more_or_less_in_it_is_refused),
		test(a_log_that_was_vacuumed_is_one_as_before),
		test(a_file_that_is_no_database_is_euclean),
		test(a_damaged_page_is_euclean_after_the_records_before_it),
		test(a_file_cut_short_is_euclean),
		test(a_full_disk_loses_nothing_and_ends_when_there_is_room),
		test(memory_does_not_grow_with_the_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
