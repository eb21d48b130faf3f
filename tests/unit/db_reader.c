// SPDX-License-Identifier: BSD-2-Clause
/* Readers that are somebody else: they may read the three files and write nowhere. */
#include "tests/unit/db_fixture.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>

enum { NOBODY = 65534 };

/* The directory that the manual of db.h asks for. */
static int group_directory(void **state)
{
	fixture_new(state);
	struct fixture *f = *state;
	if (geteuid() != 0)
		return 0;
	assert_int_equal(chown(f->dir, 0, NOBODY), 0);
	assert_int_equal(chmod(f->dir, 02750), 0);
	return 0;
}

static void need_root(void)
{
	if (geteuid() != 0)
		skip();
}

static int become_nobody(void)
{
	return setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
		setresuid(NOBODY, NOBODY, NOBODY);
}

/* In a child: print what failed, for its exit status is all that comes back. */
static int report(struct db *db, const char *what, int r)
{
	fprintf(stderr, "%s: %d, %s\n", what, r, db_errmsg(db));
	return 1;
}

static int print_nothing(void *, const struct db_row *)
{
	return 0;
}

/* Read everything as nobody; the exit status is 0 if there were 20 records. */
static int read_twenty(const struct fixture *f)
{
	[[gnu::cleanup(db_freep)]] struct db *db = db_new();
	uint64_t count = 0, seq = 0;

	if (become_nobody() || access(f->dir, W_OK) == 0 || chdir("/proc") != 0)
		return 2;
	int r = db_open(db, f->path);
	if (r < 0)
		return report(db, "db_open", r);
	r = db_each(db, 1, UINT64_MAX, fixture_count, &count);
	if (r < 0 || count != 20)
		return report(db, "db_each", r);
	r = db_ref_last(db, 3, 1, &seq);
	if (r < 0 || seq != 13)
		return report(db, "db_ref_last", r);
	r = db_query(db, "SELECT * FROM v ORDER BY line",
		"CREATE TEMP VIEW v AS SELECT * FROM record", print_nothing, NULL, NULL);
	return r < 0 ? report(db, "db_query", r) : 0;
}

/* Write twenty records and stop, or be killed. */
static int write_twenty(const struct fixture *f)
{
	struct db *db = db_new();
	int r = db_create(db, f->path);

	if (r == 0)
		r = fixture_append(db, 1, 12);
	if (r == 0)
		r = fixture_append(db, 13, 8);
	if (r < 0)
		return report(db, "writer", r);
	db_free(db);
	return 0;
}

static int write_twenty_and_die(const struct fixture *f)
{
	struct db *db = db_new();
	int r = db_create(db, f->path);

	if (r == 0)
		r = fixture_append(db, 1, 20);
	return r < 0 ? report(db, "writer", r) : kill(getpid(), SIGKILL);
}

static void another_user_reads_beside_a_running_writer(void **state)
{
	struct fixture *f = *state;

	need_root();
	assert_ok(f->db, db_create(f->db, f->path));
	assert_ok(f->db, fixture_append(f->db, 1, 20));
	assert_int_equal(fixture_child(read_twenty, f), 0);
}

static void another_user_reads_after_the_writer_stopped(void **state)
{
	struct fixture *f = *state;

	need_root();
	assert_int_equal(fixture_child(write_twenty, f), 0);
	assert_int_equal(fixture_child(read_twenty, f), 0);
	assert_int_equal(fixture_child(read_twenty, f), 0);
}

static void another_user_reads_after_the_writer_was_killed(void **state)
{
	struct fixture *f = *state;

	need_root();
	assert_int_equal(fixture_child(write_twenty_and_die, f), 128 + SIGKILL);
	assert_int_equal(fixture_child(read_twenty, f), 0);
	assert_int_equal(fixture_child(read_twenty, f), 0);
}

/* Root may write -shm, and does; the files must stay for those who may not. */
static int read_as_root(const struct fixture *f)
{
	[[gnu::cleanup(db_freep)]] struct db *db = db_new();
	uint64_t last = 0;

	return db_open(db, f->path) < 0 || db_last_seq(db, &last) < 0 || last != 20;
}

static void a_reader_that_may_write_leaves_the_files_in_place(void **state)
{
	struct fixture *f = *state;

	need_root();
	assert_int_equal(fixture_child(write_twenty_and_die, f), 128 + SIGKILL);
	assert_int_equal(fixture_child(read_as_root, f), 0);
	assert_int_equal(fixture_child(read_twenty, f), 0);
}

/* Open before the writer starts, and follow it through starts, checkpoints and stops. */
static void an_open_reader_follows_writers_that_come_and_go(void **state)
{
	struct fixture *f = *state;
	int go[2], done[2];
	char byte = 0;

	need_root();
	assert_int_equal(fixture_child(write_twenty_and_die, f), 128 + SIGKILL);
	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(done), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct db *db = db_new();
		uint64_t last = 0, count = 0;
		close(go[1]);
		if (become_nobody() || db_open(db, f->path) < 0)
			_exit(report(db, "db_open", 0));
		while (read(go[0], &byte, 1) == 1) {
			count = 0;
			int r = db_each(db, 1, UINT64_MAX, fixture_count, &count);
			if (r < 0 || db_last_seq(db, &last) < 0 || count != last)
				_exit(report(db, "db_each", r));
			if (write(done[1], &last, sizeof(last)) != sizeof(last))
				_exit(2);
		}
		_exit(0);
	}
	close(go[0]);
	close(done[1]);
	uint64_t seq = 20, seen = 0;
	for (int round = 0; round < 40; round++) {
		if (round % 5 == 0) {
			db_free(f->db);
			f->db = db_new();
			assert_ok(f->db, db_create(f->db, f->path));
		}
		for (int i = 0; i < 30; i++, seq += 8)
			assert_ok(f->db, fixture_append(f->db, seq + 1, 8));
		if (round % 5 == 4) {
			db_free(f->db);
			f->db = db_new();
		}
		assert_int_equal(write(go[1], &byte, 1), 1);
		assert_int_equal(read(done[0], &seen, sizeof(seen)), sizeof(seen));
		assert_int_equal(seen, seq);
	}
	close(go[1]);
	close(done[0]);
	int status = 1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int open_as_nobody(const struct fixture *f)
{
	[[gnu::cleanup(db_freep)]] struct db *db = db_new();

	if (become_nobody())
		return 2;
	int r = db_open(db, f->path);
	fprintf(stderr, "%s\n", db_errmsg(db));
	if (r == -ENODATA)
		return strstr(db_errmsg(db), ".backup") ? 12 : 1;
	return r == -ENOENT ? 10 : r == -EACCES ? 11 : r == 0 ? 0 : 1;
}

static void remove_file(const struct fixture *f, const char *suffix)
{
	char name[80];

	snprintf(name, sizeof(name), "%s%s", f->path, suffix);
	assert_int_equal(unlink(name), 0);
}

static void what_a_reader_lacks_is_named(void **state)
{
	struct fixture *f = *state;

	need_root();
	assert_int_equal(fixture_child(open_as_nobody, f), 10);
	assert_int_equal(fixture_child(write_twenty_and_die, f), 128 + SIGKILL);
	assert_int_equal(chmod(f->path, 0600), 0);
	assert_int_equal(fixture_child(open_as_nobody, f), 11);
	assert_int_equal(chmod(f->path, 0640), 0);
	remove_file(f, "-shm");
	assert_int_equal(fixture_child(open_as_nobody, f), 12);
	remove_file(f, "-wal");
	assert_int_equal(fixture_child(open_as_nobody, f), 12);
	assert_int_equal(chmod(f->dir, 0700), 0);
	assert_int_equal(fixture_child(open_as_nobody, f), 11);
}

static int create_as_nobody(const struct fixture *f)
{
	[[gnu::cleanup(db_freep)]] struct db *db = db_new();

	return become_nobody() ? 2 : -db_create(db, f->path);
}

static void a_writer_without_permission_is_refused(void **state)
{
	struct fixture *f = *state;

	need_root();
	assert_int_equal(fixture_child(create_as_nobody, f), EACCES);
	assert_int_equal(fixture_child(write_twenty, f), 0);
	assert_int_equal(fixture_child(create_as_nobody, f), EACCES);
}

/* In a mount namespace of its own: the log on a small file system, filled, and then read-only. */
static int on_a_small_disk(const struct fixture *f)
{
	char filler[80];
	static char zeros[65536];
	[[gnu::cleanup(db_freep)]] struct db *db = db_new();

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("db", f->dir, "tmpfs", 0, "size=1m") < 0)
		return 77;
	int r = db_create(db, f->path);
	if (r < 0)
		return report(db, "db_create", r);
	snprintf(filler, sizeof(filler), "%s/filler", f->dir);
	int fd = open(filler, O_WRONLY | O_CREAT, 0600);
	while (write(fd, zeros, sizeof(zeros)) > 0)
		;
	close(fd);
	uint64_t seq = 1, count = 0;
	while ((r = fixture_append(db, seq, 8)) == 0)
		seq += 8;
	if (r != -ENOSPC)
		return report(db, "append to a full disk", r);
	unlink(filler);
	if ((r = fixture_append(db, seq, 8)) < 0)
		return report(db, "append after there was room", r);
	db_free(db);
	db = db_new();
	if (mount(NULL, f->dir, NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
		return 3;
	if ((r = db_create(db, f->path)) != -EROFS)
		return report(db, "create on a read-only disk", r);
	if ((r = db_open(db, f->path)) < 0)
		return report(db, "open on a read-only disk", r);
	r = db_each(db, 1, UINT64_MAX, fixture_count, &count);
	return r < 0 || count != seq + 7 ? report(db, "each on a read-only disk", r) : 0;
}

static void a_full_and_a_read_only_disk_are_told_apart(void **state)
{
	need_root();
	int status = fixture_child(on_a_small_disk, *state);
	if (status == 77)
		skip();
	assert_int_equal(status, 0);
}

#define test(name) cmocka_unit_test_setup_teardown(name, group_directory, fixture_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(another_user_reads_beside_a_running_writer),
		test(another_user_reads_after_the_writer_stopped),
		test(another_user_reads_after_the_writer_was_killed),
		test(a_reader_that_may_write_leaves_the_files_in_place),
		test(an_open_reader_follows_writers_that_come_and_go),
		test(what_a_reader_lacks_is_named),
		test(a_writer_without_permission_is_refused),
		test(a_full_and_a_read_only_disk_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
