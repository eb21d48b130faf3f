// SPDX-License-Identifier: BSD-2-Clause
/*
 * A writer killed at any moment, while it appends or trims: what it said was stored is, no batch is
 * there by half, and no record is missing between the first and the last.
 */
#include "tests/unit/db_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>

enum { ROUNDS = 200, BATCH = 8, KEPT = 20, TRIM_ROWS = 16 };

/* A batch of 1 to 8 records; every line and the state name the batch's last record. */
static int batch_append(struct db *db, uint64_t first)
{
	size_t count = 1 + first % BATCH;
	uint64_t last = first + count - 1;
	char text[BATCH][64];
	struct db_line lines[BATCH];
	const struct db_state state = { .key = "last", .value = &last, .len = sizeof(last) };
	const uint8_t digest[DB_SHA256_LEN] = { (uint8_t)first, (uint8_t)(first >> 8) };
	const struct db_program program = { .sha256 = digest, .insns = text, .len = sizeof(text) };

	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < count; i++) {
		int len = snprintf(text[i], sizeof(text[i]), "%llu", (unsigned long long)last);
		lines[i] =
			(struct db_line){ .seq = first + i, .line = text[i], .len = (size_t)len };
	}
	int r = db_append(db,
		&(struct db_batch){ .lines = lines,
			.line_count = count,
			.programs = &program,
			.program_count = 1,
			.program_bytes_max = 1 << 20,
			.states = &state,
			.state_count = 1 });
	return r < 0 ? r : (int)count;
}

/* Keep a quote of the last record, and trim to where there is one. */
static int quote_and_trim(struct db *db, uint64_t last)
{
	[[gnu::cleanup(db_line_freep)]] char *line = NULL;
	uint64_t at = 0;
	size_t len = 0;

	int r = db_quote_put(db, last, &last, sizeof(last));
	if (r < 0 || last <= KEPT)
		return r;
	r = db_quote_last(db, last - KEPT, &line, &len, &at);
	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : db_trim(db, at, TRIM_ROWS);
}

/* Append until killed, and say after each batch how far it got. */
[[gnu::noreturn]] static void writer(const char *path, int said)
{
	struct db *db = db_new();
	uint64_t seq = 0;

	if (!db || db_create(db, path) < 0 || db_last_seq(db, &seq) < 0)
		_exit(1);
	for (;;) {
		int count = batch_append(db, seq + 1);
		if (count < 0)
			_exit(2);
		seq += (uint64_t)count;
		if (quote_and_trim(db, seq) < 0)
			_exit(4);
		if (write(said, &seq, sizeof(seq)) != sizeof(seq))
			_exit(3);
	}
}

/* Run a writer, kill it after us microseconds; returns the last record that it said was stored. */
static uint64_t run_and_kill(const char *path, unsigned us)
{
	int pipe_fds[2], status = 0;
	uint64_t said = 0, seq = 0;

	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		writer(path, pipe_fds[1]);
	close(pipe_fds[1]);
	usleep(us);
	kill(pid, SIGKILL);
	while (read(pipe_fds[0], &seq, sizeof(seq)) == sizeof(seq))
		said = seq;
	close(pipe_fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	return said;
}

static int remember_line(void *arg, uint64_t, const void *line, size_t len)
{
	char text[32] = "";

	assert_true(len < sizeof(text));
	memcpy(text, line, len);
	*(uint64_t *)arg = strtoull(text, NULL, 10);
	return 0;
}

static int no_finding(void *, const char *finding)
{
	fail_msg("%s", finding);
	return -1;
}

/* A trimmed log has the quote of the record before its first, or of one further on. */
static void assert_quoted(struct db *db, uint64_t first)
{
	[[gnu::cleanup(db_line_freep)]] char *line = NULL;
	uint64_t seq = 0;
	size_t len = 0;

	if (first <= 1)
		return;
	assert_ok(db, db_quote_last(db, UINT64_MAX, &line, &len, &seq));
	assert_true(seq >= first - 1);
	assert_memory_equal(line, &seq, sizeof(seq));
}

/* The log's last record ends its batch, the state is of the same batch, nothing is missing. */
static uint64_t assert_whole(struct db *db)
{
	uint64_t first = 0, last = 0, batch_last = 0, hint = 0;

	assert_ok(db, db_first_seq(db, &first));
	assert_ok(db, db_last_seq(db, &last));
	if (first > 0)
		assert_ok(db, db_each(db, first, UINT64_MAX, remember_line, &batch_last));
	assert_ok(db, db_audit(db, NULL, no_finding, NULL));
	assert_quoted(db, first);
	assert_int_equal(last, batch_last);
	if (last > 0)
		assert_int_equal(db_state_get(db, "last", &hint, sizeof(hint)), sizeof(hint));
	assert_int_equal(hint, last);
	return last;
}

static void a_killed_writer_loses_nothing_and_leaves_no_half_batch(void **state)
{
	struct fixture *f = *state;
	unsigned seed = (unsigned)time(NULL);
	uint64_t stored = 0, first = 0;

	print_message("seed %u\n", seed);
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t said = run_and_kill(f->path, (unsigned)rand_r(&seed) % 12000);
		[[gnu::cleanup(db_freep)]] struct db *db = db_new();
		/* Every other time a reader comes before the next writer. */
		int r = round % 2 == 0 ? db_create(db, f->path) : db_open(db, f->path);
		if (stored == 0 && round % 2 == 1 && r < 0)
			continue; /* killed before there was a log */
		assert_ok(db, r);
		uint64_t last = assert_whole(db);
		assert_true(last >= said && last >= stored);
		stored = last;
		assert_ok(db, db_first_seq(db, &first));
	}
	assert_true(first > 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_killed_writer_loses_nothing_and_leaves_no_half_batch, fixture_new,
			fixture_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
