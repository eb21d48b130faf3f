/* SPDX-License-Identifier: BSD-2-Clause */
/* The log: what is put, what is committed, and which lines are extended. */
#include <signal.h>
#include <sys/resource.h>

#include "tests/unit/log_fixture.h"

enum { WAITING_MAX = 16 }; /* agent/log.c: that many may wait before lines are left out */

/* ---- putting and committing ---- */

static void a_new_log_is_empty(void **state)
{
	struct log_fixture *f = *state;
	struct log_extend extend;

	assert_int_equal(log_epoch_seq(f->log), 0);
	assert_int_equal(log_next_seq(f->log), 1);
	assert_int_equal(log_last_seq(f->log), 0);
	assert_int_equal(log_last_exit(f->log), EXIT_NONE);
	assert_int_equal(log_next_extend(f->log, &extend), 0);
	commit(f);
	assert_string_equal(log_errmsg(f->log), "");
	log_free(NULL);
}

static void records_are_a_chain_over_batches_and_restarts(void **state)
{
	struct log_fixture *f = *state;

	put_epoch(f);
	for (size_t batch = 1; batch < 12; batch++) {
		put_many(f, batch * 3, batch % 2);
		assert_int_equal(log_batch_count(f->log), batch * 3 + (batch == 1));
		assert_true(log_batch_bytes(f->log) > batch * 300);
		commit(f);
		assert_int_equal(log_batch_count(f->log), 0);
		assert_int_equal(log_batch_bytes(f->log), 0);
		if (batch % 3 == 0)
			assert_int_equal(restart(f), 1);
	}
	assert_chain(f);
	assert_int_equal(f->count, 1 + 3 * 66);
	extend_all(f);
}

static void what_was_not_committed_is_gone_after_a_crash(void **state)
{
	struct log_fixture *f = *state;

	put_epoch(f);
	commit(f);
	put(f, true);
	assert_int_equal(restart(f), 1);
	assert_int_equal(log_next_seq(f->log), 2);
	put(f, true);
	commit(f);
	assert_chain(f);
	extend_all(f);
}

/* No file of this process can grow. */
static void disk_full(bool full)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = full ? 0 : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_batch_that_could_not_be_committed_may_grow_and_be_tried_again(void **state)
{
	struct log_fixture *f = *state;

	put_epoch(f);
	commit(f);
	extend_all(f);
	disk_full(true);
	for (size_t i = 1; i < 4; i++) {
		put_many(f, 20, false);
		assert_true(log_commit(f->log, NULL, NULL, 0) < 0);
		assert_string_not_equal(log_errmsg(f->log), "");
		assert_int_equal(log_batch_count(f->log), 20 * i);
		assert_int_equal(log_last_seq(f->log), 1);
	}
	disk_full(false);
	commit(f);
	assert_chain(f);
	assert_int_equal(f->count, 61);
	extend_all(f);
}

static void the_callers_value_is_committed_with_the_batch(void **state)
{
	struct log_fixture *f = *state;
	char value[8];

	put_epoch(f);
	assert_int_equal(log_commit(f->log, "ring", "abc", 3), 0);
	assert_int_equal(db_state_get(f->db, "ring", value, sizeof(value)), 3);
	assert_memory_equal(value, "abc", 3);
	assert_int_equal(log_commit(f->log, "ring", "xyz", 3), 0); /* of no batch */
	assert_int_equal(db_state_get(f->db, "ring", value, sizeof(value)), 3);
	assert_memory_equal(value, "abc", 3);
}

static void programs_are_kept_while_there_is_room(void **state)
{
	struct log_fixture *f = *state;
	uint8_t digests[4][SHA256_LEN] = { { 1 }, { 2 }, { 3 }, { 4 } }, *insns;
	char bytes[100];
	size_t len;

	put_epoch(f);
	for (int i = 0; i < 3; i++) {
		memset(bytes, 'a' + i, sizeof(bytes));
		log_put_program(f->log, digests[i], bytes, sizeof(bytes));
	}
	log_put_program(f->log, digests[3], NULL, 0);
	memset(bytes, 0, sizeof(bytes));
	assert_true(log_batch_bytes(f->log) > 300);
	commit(f);
	for (int i = 0; i < 2; i++) {
		assert_ok(f->db, db_program_get(f->db, digests[i], &insns, &len));
		assert_int_equal(len, 100);
		assert_int_equal(insns[99], 'a' + i);
		free(insns);
	}
	assert_int_equal(db_program_get(f->db, digests[2], &insns, &len), -ENOENT);
	assert_int_equal(db_program_get(f->db, digests[3], &insns, &len), -ENOENT);
}

static void a_record_is_found_by_its_ref(void **state)
{
	struct log_fixture *f = *state;
	struct log_put put = { .kind = RECORD_UNLOAD, .ref = 77 };
	struct record_unload unload = { .program_seq = 1, .program_id = 2 };
	uint64_t seq;

	put_epoch(f);
	assert_int_equal(log_put(f->log, &put, &unload, NULL), 0);
	commit(f);
	assert_ok(f->db, db_ref_last(f->db, 77, 1, &seq));
	assert_int_equal(seq, 2);
}

/* ---- which lines are extended ---- */

static void every_line_is_extended_while_few_wait(void **state)
{
	struct log_fixture *f = *state;

	put_epoch(f);
	commit(f);
	extend_all(f);
	for (size_t i = 0; i < 20; i++) {
		put_many(f, WAITING_MAX + 1, false); /* the last one has 16 before it */
		commit(f);
		extend_all(f);
	}
	for (uint64_t seq = 1; seq <= f->count; seq++)
		assert_true(is_extended(f, seq));
}

static void lines_are_left_to_the_next_only_while_many_wait(void **state)
{
	struct log_fixture *f = *state;
	uint64_t kept, first, last;

	put_epoch(f);
	commit(f);
	extend_all(f);
	first = log_next_seq(f->log);
	put_many(f, 30, false);
	kept = put(f, true);
	put_many(f, 10, false);
	last = log_next_seq(f->log) - 1;
	commit(f);
	put(f, false); /* alone in its batch */
	commit(f);
	lines_read(f);
	for (uint64_t seq = first; seq <= f->count; seq++)
		assert_int_equal(is_extended(f, seq),
			seq - first <= WAITING_MAX || seq == kept || seq >= last);
	extend_all(f);
}

static void a_line_that_is_left_out_is_covered_by_the_next(void **state)
{
	struct log_fixture *f = *state;
	struct log_extend extend;

	put_epoch(f);
	put_many(f, 40, false);
	commit(f);
	for (uint64_t seq = 1; seq <= WAITING_MAX + 1; seq++)
		assert_true(extend_one(f));
	assert_int_equal(log_extended_seq(f->log), WAITING_MAX + 1);
	assert_int_equal(log_next_extend(f->log, &extend), 1);
	assert_int_equal(extend.seq, 41);
	assert_true(extend_one(f));
	assert_int_equal(log_extended_seq(f->log), 41);
	assert_false(extend_one(f));
}

/* ---- more than the queue holds ---- */

static void a_thousand_that_wait_are_read_back_in_order(void **state)
{
	struct log_fixture *f = *state;

	put_epoch(f);
	for (size_t i = 0; i < 10; i++) {
		put_many(f, 100, true);
		commit(f);
	}
	for (size_t i = 0; i < 300; i++)
		assert_true(extend_one(f));
	put_many(f, 100, true);
	commit(f);
	put_many(f, 100, false);
	commit(f);
	assert_chain(f);
	extend_all(f);
	assert_int_equal(f->count, 1201);
}

static void one_batch_may_be_larger_than_the_queue(void **state)
{
	struct log_fixture *f = *state;

	put_epoch(f);
	put_many(f, 700, true);
	commit(f);
	for (size_t i = 0; i < 250; i++)
		assert_true(extend_one(f));
	put_many(f, 3, true);
	commit(f);
	extend_all(f);
}

/* ---- how the last one ended ---- */

static void a_stop_at_the_end_is_a_clean_exit(void **state)
{
	struct log_fixture *f = *state;
	struct log_put put_stop = { .kind = RECORD_STOP, .keep = true };
	struct record_stop stop = { .why = { "SIGTERM", 7 } };

	put_epoch(f);
	commit(f);
	assert_int_equal(restart(f), 1);
	assert_int_equal(log_last_exit(f->log), EXIT_UNCLEAN);
	assert_int_equal(log_put(f->log, &put_stop, &stop, NULL), 0);
	commit(f);
	assert_int_equal(restart(f), 1);
	assert_int_equal(log_last_exit(f->log), EXIT_CLEAN);
}

/* ---- a log that is not ours ---- */

static void append_line(struct log_fixture *f, const char *line)
{
	uint64_t seq;
	struct db_line one = { .line = line, .len = strlen(line) };

	assert_ok(f->db, db_last_seq(f->db, &seq));
	one.seq = seq + 1;
	assert_ok(f->db, db_append(f->db, &(struct db_batch){ .lines = &one, .line_count = 1 }));
}

static void assert_not_opened(struct log_fixture *f, int expected, const char *text)
{
	log_free(f->log);
	f->log = log_new(f->db, 0);
	assert_int_equal(log_open(f->log), expected);
	if (!strstr(log_errmsg(f->log), text))
		fail_msg("\"%s\" does not say \"%s\"", log_errmsg(f->log), text);
}

static void a_log_that_ends_in_something_else_is_not_opened(void **state)
{
	struct log_fixture *f = *state;

	put_epoch(f);
	put(f, true);
	commit(f);
	lines_read(f);
	append_line(f, f->lines[2]);
	assert_not_opened(f, -EUCLEAN, "record 3 of the log says that it is record 2");
	append_line(f, "not a record");
	assert_not_opened(f, -EUCLEAN, "record 4 of the log is damaged");
}

static void a_log_without_an_epoch_is_not_opened(void **state)
{
	struct log_fixture *f = *state;

	put(f, true);
	commit(f);
	assert_ok(f->db,
		db_append(f->db,
			&(struct db_batch){ .states = &(struct db_state){ "epoch", "x", 1 },
				.state_count = 1 }));
	assert_not_opened(f, -EUCLEAN, "epoch is not known any more");
}

static void note_put(struct log_fixture *f, const void *bytes, size_t len)
{
	struct db_state note = { .key = "epoch", .value = bytes, .len = len };

	assert_ok(f->db, db_append(f->db, &(struct db_batch){ .states = &note, .state_count = 1 }));
}

static void a_damaged_note_is_made_again_from_the_lines(void **state)
{
	struct log_fixture *f = *state;
	static uint8_t note[RECORD_LINE_MAX], spoilt[RECORD_LINE_MAX];
	uint64_t epoch_seq;
	int len;

	put_epoch(f);
	put(f, true);
	put_epoch(f);
	put(f, true);
	commit(f);
	extend_all(f);
	epoch_seq = f->epoch_seq;
	len = db_state_get(f->db, "epoch", note, sizeof(note));
	assert_in_range(len, 100, sizeof(note));
	for (int at = 0; at < len; at += 41) {
		memcpy(spoilt, note, (size_t)len);
		spoilt[at] ^= 0x10;
		note_put(f, spoilt, (size_t)len);
		assert_int_equal(restart(f), 1);
		assert_int_equal(log_epoch_seq(f->log), epoch_seq);
		assert_int_equal(log_extended_seq(f->log), f->count);
	}
	note_put(f, "", 0);
	assert_int_equal(restart(f), 1);
	assert_int_equal(log_epoch_seq(f->log), epoch_seq);
}

static void a_damaged_line_that_waits_is_not_extended(void **state)
{
	struct log_fixture *f = *state;
	struct log_extend extend;

	put_epoch(f);
	put(f, true);
	commit(f);
	lines_read(f);
	append_line(f, f->lines[2]);
	append_line(f, "{}");
	put_epoch(f); /* for the last line to be fine */
	assert_int_equal(log_commit(f->log, NULL, NULL, 0), -EINVAL); /* its seq is taken */
	assert_int_equal(log_next_extend(f->log, &extend), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, log_fixture_new, log_fixture_free)
	const struct CMUnitTest tests[] = {
		TEST(a_new_log_is_empty),
		TEST(records_are_a_chain_over_batches_and_restarts),
		TEST(what_was_not_committed_is_gone_after_a_crash),
		TEST(a_batch_that_could_not_be_committed_may_grow_and_be_tried_again),
		TEST(the_callers_value_is_committed_with_the_batch),
		TEST(programs_are_kept_while_there_is_room),
		TEST(a_record_is_found_by_its_ref),
		TEST(every_line_is_extended_while_few_wait),
		TEST(lines_are_left_to_the_next_only_while_many_wait),
		TEST(a_line_that_is_left_out_is_covered_by_the_next),
		TEST(a_thousand_that_wait_are_read_back_in_order),
		TEST(one_batch_may_be_larger_than_the_queue),
		TEST(a_stop_at_the_end_is_a_clean_exit),
		TEST(a_log_that_ends_in_something_else_is_not_opened),
		TEST(a_log_without_an_epoch_is_not_opened),
		TEST(a_damaged_note_is_made_again_from_the_lines),
		TEST(a_damaged_line_that_waits_is_not_extended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
