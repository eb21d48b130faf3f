// SPDX-License-Identifier: BSD-2-Clause
/* The files of a log: taken away from under a handle, and set aside by us. */
#include "tests/unit/db_fixture.h"

#include <fcntl.h>
#include <glob.h>

static void beside(const struct fixture *f, const char *suffix, char name[static 128])
{
	snprintf(name, 128, "%s%s", f->path, suffix);
}

static bool is_there(const struct fixture *f, const char *suffix)
{
	char name[128];

	beside(f, suffix, name);
	return access(name, F_OK) == 0;
}

static void log_make(struct fixture *f)
{
	assert_ok(f->db, db_create(f->db, f->path));
	assert_ok(f->db, fixture_append(f->db, 1, 20));
}

static void damaged_remove(const struct fixture *f)
{
	char pattern[128];
	glob_t found = {};

	beside(f, ".damaged-*", pattern);
	if (glob(pattern, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			unlink(found.gl_pathv[i]);
	globfree(&found);
}

static void a_file_that_is_taken_away_is_noticed(void **state)
{
	static const char *const suffixes[] = { "", "-wal" };
	struct fixture *f = *state;
	[[gnu::cleanup(db_freep)]] struct db *reader = db_new();
	char name[128], away[128];

	log_make(f);
	assert_ok(reader, db_open(reader, f->path));
	beside(f, "-away", away);
	for (size_t i = 0; i < 2; i++) {
		beside(f, suffixes[i], name);
		assert_ok(f->db, db_check_file(f->db));
		assert_int_equal(rename(name, away), 0);
		assert_int_equal(db_check_file(f->db), -ESTALE);
		assert_int_equal(db_check_file(reader), -ESTALE);
		assert_non_null(strstr(db_errmsg(f->db), name));
		close(open(name, O_RDWR | O_CREAT, 0640));
		assert_int_equal(db_check_file(f->db), -ESTALE);
		assert_int_equal(db_check_file(reader), -ESTALE);
		assert_int_equal(rename(away, name), 0);
	}
	assert_ok(f->db, db_check_file(f->db));
	assert_ok(reader, db_check_file(reader));
}

static void appending_and_trimming_change_no_file(void **state)
{
	struct fixture *f = *state;

	log_make(f);
	for (uint64_t seq = 21; seq < 2000; seq += 40)
		assert_ok(f->db, fixture_append(f->db, seq, 40));
	while (db_trim(f->db, 1900, 100) > 0)
		continue;
	assert_ok(f->db, db_check_file(f->db));
}

static void a_log_that_is_set_aside_makes_room_for_a_new_one(void **state)
{
	struct fixture *f = *state;
	[[gnu::cleanup(db_freep)]] struct db *aside = db_new();
	uint64_t last = 0;
	char name[128];

	log_make(f);
	assert_int_equal(db_set_aside(aside, f->path, name, sizeof(name)), -EBUSY);
	db_free(f->db);
	f->db = db_new();
	assert_ok(f->db, db_set_aside(f->db, f->path, name, sizeof(name)));
	assert_int_equal(strncmp(name, f->path, strlen(f->path)), 0);
	assert_int_equal(strlen(name), strlen(f->path) + strlen(".damaged-20260102T030405Z"));
	assert_false(is_there(f, "") || is_there(f, "-wal") || is_there(f, "-shm"));
	assert_true(is_there(f, "-lock"));
	log_make(f);
	assert_ok(aside, db_open(aside, name));
	assert_ok(aside, db_last_seq(aside, &last));
	assert_int_equal(last, 20);
	damaged_remove(f);
}

static void nothing_is_set_aside_over_something(void **state)
{
	struct fixture *f = *state;
	char name[128], again[128];
	int r = 0;

	assert_int_equal(db_set_aside(f->db, f->path, name, sizeof(name)), -ENOENT);
	for (int i = 0; i < 5 && r != -EEXIST; i++) { /* a second may pass in between */
		log_make(f);
		db_free(f->db);
		f->db = db_new();
		r = db_set_aside(f->db, f->path, again, sizeof(again));
	}
	assert_int_equal(r, -EEXIST);
	assert_true(is_there(f, ""));
	damaged_remove(f);
}

/* What setting aside leaves when it is killed in the middle. */
static void a_wal_without_its_log_is_not_thrown_away(void **state)
{
	struct fixture *f = *state;
	char wal[128], name[128];
	struct stat st;

	beside(f, "-wal", wal);
	int fd = open(wal, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	assert_int_equal(write(fd, "records", 7), 7);
	close(fd);
	assert_int_equal(db_create(f->db, f->path), -EUCLEAN);
	assert_int_equal(stat(wal, &st), 0);
	assert_int_equal(st.st_size, 7);
	close(open(f->path, O_RDWR | O_CREAT, 0640));
	assert_int_equal(db_create(f->db, f->path), -EUCLEAN);
	assert_ok(f->db, db_set_aside(f->db, f->path, name, sizeof(name)));
	log_make(f);
	damaged_remove(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_file_that_is_taken_away_is_noticed, fixture_new, fixture_free),
		cmocka_unit_test_setup_teardown(
			appending_and_trimming_change_no_file, fixture_new, fixture_free),
		cmocka_unit_test_setup_teardown(a_log_that_is_set_aside_makes_room_for_a_new_one,
			fixture_new, fixture_free),
		cmocka_unit_test_setup_teardown(
			nothing_is_set_aside_over_something, fixture_new, fixture_free),
		cmocka_unit_test_setup_teardown(
			a_wal_without_its_log_is_not_thrown_away, fixture_new, fixture_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
