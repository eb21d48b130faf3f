// SPDX-License-Identifier: BSD-2-Clause
/* Kept quotes, and a log that loses its oldest records on purpose. */
#include "tests/unit/db_fixture.h"

static void quote_put(struct db *db, uint64_t seq, const char *line)
{
	assert_ok(db, db_quote_put(db, seq, line, strlen(line)));
}

static void assert_quote(struct db *db, uint64_t at_most, uint64_t seq, const char *expected)
{
	[[gnu::cleanup(db_line_freep)]] char *line = NULL;
	size_t len = 0;
	uint64_t found = 0;

	assert_ok(db, db_quote_last(db, at_most, &line, &len, &found));
	assert_int_equal(found, seq);
	assert_string_equal(line, expected);
	assert_int_equal(len, strlen(expected));
}

static void log_make(struct fixture *f, uint64_t records)
{
	assert_ok(f->db, db_create(f->db, f->path));
	for (uint64_t seq = 1; seq <= records; seq += 50)
		assert_ok(f->db, fixture_append(f->db, seq, 50));
}

static void assert_range(struct db *db, uint64_t first, uint64_t last)
{
	uint64_t found_first = 0, found_last = 0, count = 0;

	assert_ok(db, db_first_seq(db, &found_first));
	assert_ok(db, db_last_seq(db, &found_last));
	assert_int_equal(found_first, first);
	assert_int_equal(found_last, last);
	if (first > 0)
		assert_ok(db, db_each(db, first, last, fixture_count, &count));
	assert_int_equal(count, first > 0 ? last - first + 1 : 0);
}

static void the_newest_quote_up_to_a_record_is_found(void **state)
{
	struct fixture *f = *state;
	[[gnu::cleanup(db_line_freep)]] char *line = NULL;
	size_t len;
	uint64_t seq;

	log_make(f, 100);
	assert_int_equal(db_quote_last(f->db, UINT64_MAX, &line, &len, &seq), -ENOENT);
	quote_put(f->db, 10, "ten");
	quote_put(f->db, 20, "twenty");
	assert_int_equal(db_quote_last(f->db, 9, &line, &len, &seq), -ENOENT);
	assert_quote(f->db, 10, 10, "ten");
	assert_quote(f->db, 19, 10, "ten");
	assert_quote(f->db, UINT64_MAX, 20, "twenty");
	quote_put(f->db, 20, "another");
	assert_quote(f->db, 20, 20, "another");
}

struct seen {
	struct db *db;
	uint64_t seqs[8];
	size_t count;
};

static int see_quote(void *arg, uint64_t seq, const void *, size_t)
{
	struct seen *seen = arg;
	uint64_t last = 0;

	assert_ok(seen->db, db_last_seq(seen->db, &last)); /* fn may use the handle */
	seen->seqs[seen->count++] = seq;
	return seq == 40 ? -ECANCELED : 0;
}

static void quotes_are_handed_out_in_order(void **state)
{
	struct fixture *f = *state;
	struct seen seen = { .db = f->db };

	log_make(f, 50);
	for (uint64_t seq = 50; seq > 0; seq -= 10)
		quote_put(f->db, seq, "quote");
	assert_ok(f->db, db_quotes_each(f->db, 11, 30, see_quote, &seen));
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.seqs[0], 20);
	assert_int_equal(seen.seqs[1], 30);
	assert_int_equal(db_quotes_each(f->db, 0, UINT64_MAX, see_quote, &seen), -ECANCELED);
	assert_int_equal(seen.count, 6);
	assert_int_equal(seen.seqs[5], 40);
}

static void a_quote_outlives_the_writer(void **state)
{
	struct fixture *f = *state;
	[[gnu::cleanup(db_freep)]] struct db *reader = db_new();

	log_make(f, 50);
	quote_put(f->db, 7, "seven");
	db_free(f->db);
	f->db = NULL;
	assert_ok(reader, db_open(reader, f->path));
	assert_quote(reader, 50, 7, "seven");
	assert_int_equal(db_quote_put(reader, 8, "x", 1), -EROFS);
	assert_int_equal(db_trim(reader, 5, 1), -EROFS);
}

static void a_prefix_is_removed_in_steps(void **state)
{
	struct fixture *f = *state;
	uint64_t count = 0;

	log_make(f, 100);
	for (uint64_t seq = 10; seq <= 100; seq += 10)
		quote_put(f->db, seq, "quote");
	assert_int_equal(db_trim(f->db, 60, 25), 25);
	assert_range(f->db, 26, 100);
	assert_quote(f->db, 10, 10, "quote");
	assert_int_equal(db_trim(f->db, 60, 25), 25);
	assert_int_equal(db_trim(f->db, 60, 25), 10);
	assert_range(f->db, 61, 100);
	assert_int_equal(db_trim(f->db, 60, 4), 4); /* quotes */
	assert_int_equal(db_trim(f->db, 60, 4), 1);
	while (db_trim(f->db, 60, 4) > 0)
		continue;
	assert_int_equal(db_trim(f->db, 60, 4), 0);
	assert_quote(f->db, 60, 60, "quote");
	char *line = NULL;
	size_t len;
	uint64_t seq;
	assert_int_equal(db_quote_last(f->db, 59, &line, &len, &seq), -ENOENT);
	assert_int_equal(db_each(f->db, 60, 70, fixture_count, &count), -EUCLEAN);
	assert_string_equal(db_errmsg(f->db), "record 60 is missing");
	assert_ok(f->db, fixture_append(f->db, 101, 5));
	assert_range(f->db, 61, 105);
}

static void the_newest_record_stays(void **state)
{
	struct fixture *f = *state;

	assert_ok(f->db, db_create(f->db, f->path));
	assert_range(f->db, 0, 0);
	assert_int_equal(db_trim(f->db, 0, 1), -EINVAL);
	assert_ok(f->db, fixture_append(f->db, 1, 50));
	assert_int_equal(db_trim(f->db, 50, 100), -EINVAL);
	assert_int_equal(db_trim(f->db, UINT64_MAX, 100), -EINVAL);
	assert_range(f->db, 1, 50);
	assert_int_equal(db_trim(f->db, 49, 100), 49);
	assert_range(f->db, 50, 50);
	assert_ok(f->db, fixture_append(f->db, 51, 1));
}

static void append_large(struct db *db, uint64_t first, uint64_t last)
{
	static char text[1200];
	struct db_line lines[50];

	memset(text, 'x', sizeof(text));
	for (uint64_t seq = first; seq <= last;) {
		size_t count = 0;
		for (; seq <= last && count < sizeof(lines) / sizeof(lines[0]); seq++)
			lines[count++] =
				(struct db_line){ .seq = seq, .line = text, .len = sizeof(text) };
		assert_ok(db,
			db_append(db, &(struct db_batch){ .lines = lines, .line_count = count }));
	}
}

static off_t file_size(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

/* Closing copies PATH-wal into PATH. */
static void reopen(struct fixture *f)
{
	db_free(f->db);
	f->db = db_new();
	assert_ok(f->db, db_create(f->db, f->path));
}

static void a_large_trim_shortens_the_file(void **state)
{
	struct fixture *f = *state;
	uint64_t used_before = 0, used = 0;

	assert_ok(f->db, db_create(f->db, f->path));
	append_large(f->db, 1, 2000);
	reopen(f);
	off_t before = file_size(f->path);
	assert_ok(f->db, db_used_bytes(f->db, &used_before));
	assert_int_equal(used_before, before);
	while (db_trim(f->db, 1500, 100) > 0)
		continue;
	assert_ok(f->db, db_used_bytes(f->db, &used));
	assert_in_range(used, used_before / 5, used_before / 3);
	reopen(f);
	assert_in_range(file_size(f->path), used, used + used / 4);
	append_large(f->db, 2001, 2100);
}

static void a_log_that_is_trimmed_as_it_grows_keeps_its_size(void **state)
{
	struct fixture *f = *state;

	assert_ok(f->db, db_create(f->db, f->path));
	append_large(f->db, 1, 1000);
	reopen(f);
	off_t before = file_size(f->path);
	for (uint64_t seq = 1001; seq <= 3000; seq += 50) {
		assert_int_equal(db_trim(f->db, seq - 951, 1000), 50);
		append_large(f->db, seq, seq + 49);
	}
	reopen(f);
	assert_in_range(file_size(f->path), before, before + before / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			the_newest_quote_up_to_a_record_is_found, fixture_new, fixture_free),
		cmocka_unit_test_setup_teardown(
			quotes_are_handed_out_in_order, fixture_new, fixture_free),
		cmocka_unit_test_setup_teardown(
			a_quote_outlives_the_writer, fixture_new, fixture_free),
		cmocka_unit_test_setup_teardown(
			a_prefix_is_removed_in_steps, fixture_new, fixture_free),
		cmocka_unit_test_setup_teardown(the_newest_record_stays, fixture_new, fixture_free),
		cmocka_unit_test_setup_teardown(
			a_large_trim_shortens_the_file, fixture_new, fixture_free),
		cmocka_unit_test_setup_teardown(a_log_that_is_trimmed_as_it_grows_keeps_its_size,
			fixture_new, fixture_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
