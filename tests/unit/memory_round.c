/* SPDX-License-Identifier: BSD-2-Clause */
/* What a verifier remembers of a round: all of it, or what it knew before. */
#include "memory_fixture.h"

#include <sqlite3.h>

#define NAME "web-07"

static int make(void **state)
{
	struct memory_fixture *f = calloc(1, sizeof(*f));
	struct machine machine = some_machine(NAME);

	assert_non_null(f);
	memory_fixture_init(f);
	assert_int_equal(memory_machine_put(f->memory, &machine, false), 0);
	*state = f;
	return 0;
}

static int unmake(void **state)
{
	memory_fixture_done(*state);
	free(*state);
	return 0;
}

static struct memory_proven some_proof(uint64_t seq, uint64_t epoch_seq)
{
	struct memory_proven proven = {
		.is_known = true,
		.anchor = {
			.seq = seq,
			.sha256 = "a digest",
			.banks = 1u << BANK_SHA256,
			.values.digest[BANK_SHA256] = "values",
			.log_id = "a log",
			.software = true,
			.reset_count = 5,
			.restart_count = 6,
			.clock_ms = 7,
		},
		.epoch_seq = epoch_seq,
		.policy = "policies",
		.is_partial = true,
	};

	return proven;
}

static struct memory_violation some_violation(uint64_t seq, const char *value)
{
	struct memory_violation violation = {
		.source = MEMORY_POLICY,
		.what = { .seq = seq, .rule = "signed-only", .why = "unsigned" },
		.epoch_seq = 1,
		.found_ns = 1780000000000000000,
	};

	snprintf(violation.what.value, sizeof(violation.what.value), "%s", value);
	return violation;
}

/* A round that proves up to seq and finds a violation there; not committed. */
static int begin_round(struct memory *memory, uint64_t round, uint64_t seq, uint64_t epoch_seq)
{
	struct memory_proven proven = some_proof(seq, epoch_seq);
	struct memory_violation violation = some_violation(seq, "some");
	struct memory_verdict verdict = {
		.time_ns = seq, .verdict = VERIFY_UNTRUSTED, .reason = "policy", .seq = seq
	};

	violation.epoch_seq = epoch_seq;
	return memory_begin(memory, NAME, round) || memory_proven_put(memory, NAME, &proven) ||
		memory_line_put(memory, NAME, seq, "a line", 6) ||
		memory_violation_put(memory, NAME, &violation) != 1 ||
		memory_verdict_put(memory, NAME, &verdict);
}

static void do_round(struct memory_fixture *f, uint64_t round, uint64_t seq, uint64_t epoch_seq)
{
	assert_int_equal(begin_round(f->memory, round, seq, epoch_seq), 0);
	assert_int_equal(memory_commit(f->memory), 0);
}

static int count(void *arg, const struct memory_violation *violation)
{
	(void)violation;
	++*(size_t *)arg;
	return 0;
}

static size_t violations(struct memory_fixture *f)
{
	size_t found = 0;

	assert_int_equal(memory_violations_each(f->memory, NAME, count, &found), 0);
	return found;
}

static int count_line(void *arg, uint64_t seq, const char *line, size_t len)
{
	(void)seq;
	assert_int_equal(len, 6);
	assert_memory_equal(line, "a line", 6);
	++*(size_t *)arg;
	return 0;
}

static size_t lines(struct memory_fixture *f)
{
	size_t found = 0;

	assert_int_equal(memory_lines_each(f->memory, NAME, count_line, &found), 0);
	return found;
}

static uint64_t proven_seq(struct memory_fixture *f)
{
	struct memory_proven proven;

	assert_int_equal(memory_proven_get(f->memory, NAME, &proven), 0);
	return proven.anchor.seq;
}

/* ---- one transaction ---- */

static void what_was_proven_is_read_as_it_was_written(void **state)
{
	struct memory_fixture *f = *state;
	struct memory_proven put = some_proof(8, 1), got;

	assert_int_equal(memory_proven_get(f->memory, NAME, &got), 0);
	assert_false(got.is_known);
	do_round(f, 0, 8, 1);
	memory_reopen(f);
	assert_int_equal(memory_proven_get(f->memory, NAME, &got), 0);
	put.round = 1;
	assert_memory_equal(&got.anchor, &put.anchor, sizeof(got.anchor));
	assert_memory_equal(got.policy, put.policy, sizeof(got.policy));
	assert_int_equal(got.epoch_seq, 1);
	assert_int_equal(got.round, 1);
	assert_true(got.is_known && got.is_partial);
}

/* Somebody's hand in the file. */
static void change(struct memory_fixture *f, const char *sql)
{
	sqlite3 *other;

	assert_int_equal(sqlite3_open(f->path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(other);
}

static void numbers_that_nobody_wrote_are_damage(void **state)
{
	static const char *const proven[] = { "seq=0", "seq=-1", "banks=18", "banks=4294967298",
		"reset_count=4294967301", "restart_count=-1", "clock_ms=-1", "epoch_seq=-1",
		"sha256=x''", "pcr_values=zeroblob(1000000)", "policy=x'00'", "log_id=x''" };
	static const char *const machine[] = { "pcr=4294967309", "pcr=-1", "pcr=24",
		"base_banks=16", "base_banks=4294967296", "base=x''", "ak=zeroblob(1000000)",
		"mode='none'", "address=char(65, 0, 66)" };
	struct memory_fixture *f = *state;
	struct memory_proven found;
	struct machine known;
	char sql[128];

	for (size_t i = 0; i < sizeof(proven) / sizeof(proven[0]); i++) {
		do_round(f, i, 8, 1);
		assert_int_equal(memory_proven_get(f->memory, NAME, &found), 0);
		snprintf(sql, sizeof(sql), "UPDATE proven SET %s", proven[i]);
		change(f, sql);
		if (memory_proven_get(f->memory, NAME, &found) != -EUCLEAN)
			fail_msg("%s", proven[i]);
		change(f, "DELETE FROM proven");
	}
	for (size_t i = 0; i < sizeof(machine) / sizeof(machine[0]); i++) {
		snprintf(sql, sizeof(sql), "UPDATE machine SET %s", machine[i]);
		change(f, sql);
		if (memory_machine_get(f->memory, NAME, &known) != -EUCLEAN)
			fail_msg("%s", machine[i]);
		known = some_machine(NAME);
		change(f, "DELETE FROM machine");
		assert_int_equal(memory_machine_put(f->memory, &known, false), 0);
	}
}

/* What a caretaker of databases does to one of them. */
static void a_memory_that_was_vacuumed_is_as_before(void **state)
{
	struct memory_fixture *f = *state;

	do_round(f, 0, 8, 1);
	memory_free(f->memory);
	f->memory = NULL;
	change(f, "VACUUM");
	memory_reopen(f);
	assert_int_equal(proven_seq(f), 8);
}

static void a_round_that_is_killed_leaves_the_state_before(void **state)
{
	struct memory_fixture *f = *state;
	struct memory_verdict verdict;
	int status;

	do_round(f, 0, 8, 1);
	memory_free(f->memory);
	f->memory = NULL;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct memory *memory;
		if (memory_open(f->path, &memory) || begin_round(memory, 1, 9, 9))
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	memory_reopen(f);
	assert_int_equal(proven_seq(f), 8);
	assert_int_equal(violations(f), 1);
	assert_int_equal(lines(f), 1);
	assert_int_equal(memory_verdict_last(f->memory, NAME, &verdict), 0);
	assert_int_equal(verdict.seq, 8);
	do_round(f, 1, 9, 1);
}

static void a_round_that_is_rolled_back_leaves_the_state_before(void **state)
{
	struct memory_fixture *f = *state;

	do_round(f, 0, 8, 1);
	assert_int_equal(begin_round(f->memory, 1, 9, 1), 0);
	memory_rollback(f->memory);
	memory_rollback(f->memory); /* nothing */
	assert_int_equal(proven_seq(f), 8);
	assert_int_equal(lines(f), 1);
}

static void a_round_by_an_older_state_is_refused(void **state)
{
	struct memory_fixture *f = *state;

	do_round(f, 0, 8, 1);
	assert_int_equal(memory_begin(f->memory, NAME, 0), -ESTALE);
	assert_int_equal(memory_machine_remove(f->memory, NAME), 0);
	assert_int_equal(memory_begin(f->memory, NAME, 1), -ESTALE);
}

/* ---- challenges ---- */

static void a_challenge_is_answered_once(void **state)
{
	struct memory_fixture *f = *state;
	const uint8_t nonce[SHA256_LEN] = { 1 }, other[SHA256_LEN] = { 2 };

	assert_int_equal(memory_nonce_put(f->memory, NAME, nonce, 1000), 0);
	memory_reopen(f);
	assert_int_equal(memory_nonce_take(f->memory, NAME, other, 1000), -ENOENT);
	assert_int_equal(memory_nonce_take(f->memory, "web-08", nonce, 1000), -ENOENT);
	assert_int_equal(memory_nonce_take(f->memory, NAME, nonce, 1000), 0);
	assert_int_equal(memory_nonce_take(f->memory, NAME, nonce, 1000), -ENOENT);
}

static void a_challenge_ends_with_its_time(void **state)
{
	struct memory_fixture *f = *state;
	const uint8_t nonce[SHA256_LEN] = { 1 }, other[SHA256_LEN] = { 2 };
	const uint64_t late = 1001 + (uint64_t)MEMORY_NONCE_S * 1000000000;

	assert_int_equal(memory_nonce_put(f->memory, NAME, nonce, 1000), 0);
	assert_int_equal(memory_nonce_put(f->memory, NAME, other, late), 0);
	assert_int_equal(memory_nonce_take(f->memory, NAME, nonce, 1000), -ENOENT); /* it is gone */
	assert_int_equal(memory_nonce_take(f->memory, NAME, other, late), 0);
}

static void a_challenge_ends_with_its_time_though_no_other_one_was_sent(void **state)
{
	struct memory_fixture *f = *state;
	const uint8_t nonce[SHA256_LEN] = { 1 };
	const uint64_t last = 1000 + (uint64_t)MEMORY_NONCE_S * 1000000000;

	assert_int_equal(memory_nonce_put(f->memory, NAME, nonce, 1000), 0);
	assert_int_equal(memory_nonce_take(f->memory, NAME, nonce, last + 1), -ENOENT);
	assert_int_equal(memory_nonce_take(f->memory, NAME, nonce, last), 0);
}

/* ---- violations ---- */

static void the_same_violation_is_there_once(void **state)
{
	struct memory_fixture *f = *state;
	struct memory_violation violation = some_violation(3, "xdp");
	const struct memory_ack ack = { .rule = "signed-only", .by = "ann", .now_ns = 9 };

	assert_int_equal(memory_violation_put(f->memory, NAME, &violation), 1);
	assert_int_equal(memory_violation_put(f->memory, NAME, &violation), 1);
	assert_int_equal(violations(f), 1);
	assert_int_equal(memory_ack(f->memory, NAME, &ack), 1);
	assert_int_equal(memory_ack(f->memory, NAME, &ack), 0);
	assert_int_equal(memory_violation_put(f->memory, NAME, &violation), 0);
	strcpy(violation.what.value, "other");
	assert_int_equal(memory_violation_put(f->memory, NAME, &violation), 1);
	assert_int_equal(violations(f), 2);
}

static void violations_end_with_their_epoch(void **state)
{
	struct memory_fixture *f = *state;

	do_round(f, 0, 8, 1);
	do_round(f, 1, 9, 1);
	assert_int_equal(violations(f), 2);
	do_round(f, 2, 20, 20);
	assert_int_equal(violations(f), 1);
}

static void what_was_found_before_anything_was_proven_stays(void **state)
{
	struct memory_fixture *f = *state;
	struct memory_violation violation = some_violation(0, "");

	violation.epoch_seq = 0;
	violation.source = MEMORY_EVIDENCE;
	assert_int_equal(memory_violation_put(f->memory, NAME, &violation), 1);
	do_round(f, 0, 8, 5);
	assert_int_equal(violations(f), 2);
	do_round(f, 1, 20, 20);
	assert_int_equal(violations(f), 1);
}

static void a_rule_that_judged_anew_drops_what_it_had_found(void **state)
{
	struct memory_fixture *f = *state;
	struct memory_violation violation = some_violation(3, "xdp");
	const struct memory_ack ack = { .has_seq = true, .seq = 5, .by = "ann", .now_ns = 9 };

	for (violation.what.seq = 3; violation.what.seq <= 6; violation.what.seq++)
		assert_int_equal(memory_violation_put(f->memory, NAME, &violation), 1);
	assert_int_equal(memory_ack(f->memory, NAME, &ack), 1);
	assert_int_equal(memory_violations_drop(f->memory, NAME, "other", 1), 0);
	assert_int_equal(violations(f), 4);
	assert_int_equal(memory_violations_drop(f->memory, NAME, "signed-only", 4), 0);
	assert_int_equal(violations(f), 2); /* 3, and 5 which is acknowledged */
}

static void too_many_violations_are_refused_and_the_rest_is_kept(void **state)
{
	struct memory_fixture *f = *state;
	struct memory_violation violation = some_violation(1, "xdp");
	const struct memory_ack ack = { .by = "ann", .now_ns = 9 };

	assert_int_equal(memory_begin(f->memory, NAME, 0), 0);
	for (; violation.what.seq <= MEMORY_VIOLATIONS_MAX; violation.what.seq++)
		assert_int_equal(memory_violation_put(f->memory, NAME, &violation), 1);
	assert_int_equal(memory_violation_put(f->memory, NAME, &violation), -ENOBUFS);
	assert_int_equal(memory_commit(f->memory), 0);
	assert_int_equal(violations(f), MEMORY_VIOLATIONS_MAX);
	assert_int_equal(memory_ack(f->memory, NAME, &ack), MEMORY_VIOLATIONS_MAX);
	assert_int_equal(memory_violation_put(f->memory, NAME, &violation), 1);
}

/* ---- verdicts ---- */

static void the_last_verdict_is_read_as_it_was_written(void **state)
{
	struct memory_fixture *f = *state;
	struct memory_verdict put = {
		.time_ns = 1780000000000000000,
		.verdict = VERIFY_UNKNOWN,
		.reason = "unreachable",
		.explanation = "nobody answers",
		.seq = 8,
		.mode = MACHINE_FIRST_USE,
		.tpm = MACHINE_SOFTWARE,
	};
	struct memory_verdict got;

	assert_int_equal(memory_verdict_last(f->memory, NAME, &got), -ENOENT);
	assert_int_equal(memory_verdict_put(f->memory, NAME, &put), 0);
	assert_int_equal(memory_verdict_last(f->memory, NAME, &got), 0);
	assert_memory_equal(&got, &put, sizeof(got));
}

static void verdicts_do_not_pile_up(void **state)
{
	struct memory_fixture *f = *state;
	struct memory_verdict verdict = { .verdict = VERIFY_TRUSTED, .reason = "ok" };
	sqlite3_stmt *stmt;
	sqlite3 *sql;

	assert_int_equal(memory_begin(f->memory, NAME, 0), 0);
	for (verdict.seq = 1; verdict.seq <= MEMORY_VERDICTS_MAX + 10; verdict.seq++)
		assert_int_equal(memory_verdict_put(f->memory, NAME, &verdict), 0);
	assert_int_equal(memory_commit(f->memory), 0);
	assert_int_equal(sqlite3_open(f->path, &sql), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(sql, "SELECT count(*) FROM verdict", -1, &stmt, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(stmt, 0), MEMORY_VERDICTS_MAX);
	sqlite3_finalize(stmt);
	sqlite3_close(sql);
}

/* ---- all of it ---- */

static void a_machine_that_is_replaced_begins_anew(void **state)
{
	struct memory_fixture *f = *state;
	struct machine machine = some_machine(NAME);
	struct memory_verdict verdict;

	do_round(f, 0, 8, 1);
	assert_int_equal(memory_machine_put(f->memory, &machine, false), 0);
	assert_int_equal(violations(f), 1);
	assert_int_equal(memory_machine_put(f->memory, &machine, true), 0);
	assert_int_equal(proven_seq(f), 0);
	assert_int_equal(violations(f), 0);
	assert_int_equal(lines(f), 0);
	assert_int_equal(memory_verdict_last(f->memory, NAME, &verdict), -ENOENT);
}

#define test(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(what_was_proven_is_read_as_it_was_written),
		test(numbers_that_nobody_wrote_are_damage),
		test(a_memory_that_was_vacuumed_is_as_before),
		test(a_round_that_is_killed_leaves_the_state_before),
		test(a_round_that_is_rolled_back_leaves_the_state_before),
		test(a_round_by_an_older_state_is_refused),
		test(a_challenge_is_answered_once),
		test(a_challenge_ends_with_its_time),
		test(a_challenge_ends_with_its_time_though_no_other_one_was_sent),
		test(the_same_violation_is_there_once),
		test(violations_end_with_their_epoch),
		test(what_was_found_before_anything_was_proven_stays),
		test(a_rule_that_judged_anew_drops_what_it_had_found),
		test(too_many_violations_are_refused_and_the_rest_is_kept),
		test(the_last_verdict_is_read_as_it_was_written),
		test(verdicts_do_not_pile_up),
		test(a_machine_that_is_replaced_begins_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
