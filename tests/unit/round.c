/* SPDX-License-Identifier: BSD-2-Clause */
/* Rounds with one machine: what is asked, what is believed, and what stays. */
#include "round_fixture.h"

static void trusted(struct fake *fake, struct policy *policy)
{
	fake_expect(fake, policy, VERIFY_TRUSTED, "ok", "");
}

static bool noted(struct fake *fake, struct policy *policy, const char *words)
{
	struct round_result result = fake_round_with(fake, policy);
	bool found = false;

	for (size_t i = 0; i < result.evidence.note_count; i++)
		found = found || strstr(result.evidence.notes[i], words);
	if (result.verdict != VERIFY_TRUSTED)
		fail_msg("%s: %s", result.reason, result.explanation);
	round_result_done(&result);
	return found;
}

static int64_t ack(struct fake *fake, const char *rule)
{
	const struct memory_ack ack = {
		.rule = rule, .by = "an operator", .comment = "seen", .now_ns = 5
	};

	return memory_ack(fake->memory.memory, "web-07", &ack);
}

/* ---- what is asked ---- */

static void the_first_round_asks_for_everything_and_the_next_for_what_is_new(void **state)
{
	struct fake *fake = *state;
	struct memory_proven proven;

	trusted(fake, NULL);
	assert_int_equal(fake->since, 0);
	forge_add_load(&fake->log, "seven", VERDICT_VERIFIED, true);
	trusted(fake, NULL);
	assert_int_equal(fake->since, 8);
	assert_int_equal(memory_proven_get(fake->memory.memory, "web-07", &proven), 0);
	assert_int_equal(proven.anchor.seq, 9);
	assert_int_equal(proven.round, 2);
	assert_int_equal(proven.epoch_seq, 1);
}

static void nothing_new_is_one_small_answer(void **state)
{
	struct fake *fake = *state;

	trusted(fake, NULL);
	trusted(fake, NULL);
	assert_int_equal(fake->questions, 1);
	assert_int_equal(fake->since, 8);
	assert_in_range(fake->body_len, 1, 3500);
}

static void a_server_that_lost_the_place_is_asked_for_the_epoch(void **state)
{
	struct fake *fake = *state;

	trusted(fake, NULL);
	forge_add_load(&fake->log, "seven", VERDICT_VERIFIED, true);
	fake->is_forgetful = true;
	trusted(fake, NULL);
	assert_int_equal(fake->questions, 1);
}

static void lose_the_place(struct fake *fake, struct forge *evidence)
{
	evidence->statement.start.digest[BANK_SHA256][0] ^= 1;
	fake->status = 503;
}

static void a_server_that_lost_the_place_and_then_cannot_answer_is_not_accused(void **state)
{
	struct fake *fake = *state;

	trusted(fake, NULL);
	forge_add_load(&fake->log, "seven", VERDICT_VERIFIED, true);
	fake->spoil = lose_the_place;
	fake_expect(fake, NULL, VERIFY_UNKNOWN, "refused", "503");
	assert_int_equal(fake->questions, 1);
	fake->spoil = NULL;
	fake->status = 0;
	trusted(fake, NULL);
}

static void a_machine_that_is_not_enrolled_is_not_asked(void **state)
{
	struct fake *fake = *state;
	struct round_options options = fake_options(fake, NULL);
	struct round_result result;

	options.machine = "web-08";
	assert_int_equal(round_run(&options, &result), -ENOENT);
	assert_int_equal(fake->questions, 0);
}

/* ---- what could not be found out ---- */

static void a_machine_that_does_not_answer_is_unknown(void **state)
{
	static const struct {
		int err;
		const char *reason;
	} cases[] = {
		{ -ECONNREFUSED, "unreachable" },
		{ -ETIMEDOUT, "unreachable" },
		{ -EPROTO, "channel" },
		{ -EMSGSIZE, "too-large" },
		{ -ENOMEM, "failed" },
	};
	struct fake *fake = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake->err = cases[i].err;
		fake_expect(fake, NULL, VERIFY_UNKNOWN, cases[i].reason, "nobody answers.");
	}
	fake->err = 0;
	trusted(fake, NULL);
}

static void a_server_that_refuses_is_unknown_and_its_words_are_harmless(void **state)
{
	struct fake *fake = *state;

	fake->status = 503;
	fake_expect(fake, NULL, VERIFY_UNKNOWN, "refused",
		"The server answered 503: not measuring?[2J yet.");
}

static void say_behind(struct fake *fake, struct forge *evidence)
{
	(void)fake;
	evidence->statement.behind = 3;
}

static void a_machine_that_is_behind_is_unknown_and_proven(void **state)
{
	struct fake *fake = *state;

	fake->spoil = say_behind;
	fake_expect(fake, NULL, VERIFY_UNKNOWN, "behind", "3 more events");
	fake->spoil = NULL;
	trusted(fake, NULL);
	assert_int_equal(fake->since, 8);
}

/* ---- attacks ---- */

static void an_answer_without_a_good_statement_is_not_taken_to_its_end(void **state)
{
	struct fake *fake = *state;

	fake->floods = true;
	fake_expect(fake, NULL, VERIFY_UNTRUSTED, "malformed", "");
	assert_in_range(fake->body_len, 1, 256 * 1024);
	fake->floods = false;
	trusted(fake, NULL);
}

static void an_old_answer_is_refused_and_not_remembered(void **state)
{
	struct fake *fake = *state;

	trusted(fake, NULL);
	fake->replays = true;
	fake_expect(fake, NULL, VERIFY_UNTRUSTED, "nonce", "answers the challenge");
	fake->replays = false;
	trusted(fake, NULL);
}

/* Two hours pass, and another round forgets what was not answered. */
static void expire(struct fake *fake)
{
	const uint8_t other[SHA256_LEN] = { 1 };

	assert_int_equal(memory_nonce_put(fake->memory.memory, "web-07", other, UINT64_MAX / 2), 0);
}

static void an_answer_that_comes_too_late_is_refused(void **state)
{
	struct fake *fake = *state;

	fake->meanwhile = expire;
	fake_expect(fake, NULL, VERIFY_UNTRUSTED, "not-outstanding", "is not outstanding");
	trusted(fake, NULL);
	assert_int_equal(fake->since, 0); /* nothing of it was believed */
}

static void pass_on(struct fake *fake, struct forge *evidence)
{
	(void)fake;
	memset(evidence->statement.binding, 8, SHA256_LEN);
	forge_challenge(evidence);
}

static void an_answer_through_another_channel_is_refused_and_not_remembered(void **state)
{
	struct fake *fake = *state;

	fake->spoil = pass_on;
	fake_expect(fake, NULL, VERIFY_UNTRUSTED, "binding", "another channel");
	fake->spoil = NULL;
	trusted(fake, NULL);
}

static void a_log_rolled_back_in_the_same_boot_stays_refused(void **state)
{
	struct fake *fake = *state;

	trusted(fake, NULL);
	fake->log.count -= 2;
	fake_expect(fake, NULL, VERIFY_UNTRUSTED, "rollback", "rolled back");
	assert_int_equal(fake->questions, 2); /* what was asked for is not there */
	fake->log.count += 2;
	fake_expect(
		fake, NULL, VERIFY_UNTRUSTED, "remembered", "rollback: The log ends with record 6");
	assert_int_equal(ack(fake, "rollback"), 1);
	trusted(fake, NULL);

	/* Acknowledged once is not for ever. */
	fake->log.count -= 2;
	fake_expect(fake, NULL, VERIFY_UNTRUSTED, "rollback", "rolled back");
	fake->log.count += 2;
	fake_expect(fake, NULL, VERIFY_UNTRUSTED, "remembered", "");
}

static void a_log_rolled_back_across_boots_is_refused(void **state)
{
	struct fake *fake = *state;

	trusted(fake, NULL);
	fake->log.count -= 2;
	fake_boot(fake);
	fake_expect(fake, NULL, VERIFY_UNTRUSTED, "rollback", "");
	forge_add_load(&fake->log, "one", VERDICT_VERIFIED, true);
	fake_expect(fake, NULL, VERIFY_UNTRUSTED, "fork", "Record 8 is not the one");
}

static void another_record_in_a_proven_place_is_refused(void **state)
{
	struct fake *fake = *state;

	trusted(fake, NULL);
	forge_edit(&fake->log, 4, "three", "other");
	forge_relink(&fake->log, 5);
	forge_add_load(&fake->log, "seven", VERDICT_VERIFIED, true);
	fake->is_forgetful = true;
	fake_expect(fake, NULL, VERIFY_UNTRUSTED, "fork", "Record 8 is not the one");
}

static void go_back(struct fake *fake, struct forge *evidence)
{
	(void)fake;
	evidence->clock_ms -= 1;
}

static void a_tpm_that_goes_back_is_refused(void **state)
{
	struct fake *fake = *state;

	trusted(fake, NULL);
	fake->spoil = go_back;
	fake_expect(fake, NULL, VERIFY_UNTRUSTED, "clock", "");
	fake->spoil = NULL;
	assert_int_equal(ack(fake, NULL), 1);
	trusted(fake, NULL);

	fake_boot(fake);
	fake->log.reset_count--; /* booted, and the TPM put back */
	struct record_epoch epoch = forge_epoch_record(&fake->log);
	fake->log.count--;
	epoch.why = WHY_BOOT;
	epoch.last_seq = 8;
	epoch.clock_ms = fake->log.clock_ms;
	forge_add_epoch(&fake->log, &epoch);
	fake_expect(fake, NULL, VERIFY_UNTRUSTED, "reset-count", "");
}

/* Somebody answers who has not the enrolled key: that is refused, and nobody may accuse so. */
static void another_key_is_refused_and_not_remembered(void **state)
{
	struct fake *fake = *state;
	EVP_PKEY *key = fake->log.key;

	fake->log.key = EVP_EC_gen("P-256");
	forge_attributes(&fake->log, FORGE_ATTRIBUTES);
	fake_expect(fake, NULL, VERIFY_UNTRUSTED, "ak-unknown", "");
	EVP_PKEY_free(fake->log.key);
	fake->log.key = key;
	forge_attributes(&fake->log, FORGE_ATTRIBUTES);
	trusted(fake, NULL);
}

static void a_software_tpm_that_was_enrolled_as_hardware_is_refused(void **state)
{
	struct fake *fake = *state;
	struct record_epoch epoch;

	fake->log.count = 0;
	epoch = forge_epoch_record(&fake->log);
	epoch.software = true;
	forge_add_epoch(&fake->log, &epoch);
	fake_expect(fake, NULL, VERIFY_UNTRUSTED, "software-tpm", "hardware");
	fake_expect(fake, NULL, VERIFY_UNTRUSTED, "software-tpm", "hardware");
}

/* ---- between a proven record and a new epoch ---- */

static void what_came_before_a_boot_is_asked_for(void **state)
{
	struct fake *fake = *state;

	trusted(fake, NULL);
	forge_add_load(&fake->log, "seven", VERDICT_VERIFIED, true);
	fake_boot(fake);
	assert_false(noted(fake, NULL, "not shown"));
}

/* Whoever rolls the log back and hides where it forks looks the same. */
static void what_came_before_a_boot_and_is_not_shown_is_not_trusted(void **state)
{
	struct fake *fake = *state;

	trusted(fake, NULL);
	forge_add_load(&fake->log, "seven", VERDICT_VERIFIED, true);
	fake_boot(fake);
	fake->has_no_log = true;
	fake_expect(fake, NULL, VERIFY_UNTRUSTED, "not-shown", "Records 9-9 before this boot");
	fake_expect(fake, NULL, VERIFY_UNTRUSTED, "remembered", "not-shown");
	assert_int_equal(ack(fake, "not-shown"), 1);
	trusted(fake, NULL);
}

static void what_came_before_a_boot_is_asked_for_until_there_is_an_answer(void **state)
{
	struct fake *fake = *state;

	trusted(fake, NULL);
	forge_add_load(&fake->log, "seven", VERDICT_VERIFIED, true);
	fake_boot(fake);
	fake->log_err = -ECONNREFUSED;
	fake_expect(fake, NULL, VERIFY_UNKNOWN, "unreachable", "before this boot");
	fake->log_err = 0;
	trusted(fake, NULL);
}

static void what_came_before_a_boot_and_does_not_follow_is_refused(void **state)
{
	struct fake *fake = *state;

	trusted(fake, NULL);
	forge_edit(&fake->log, 4, "three", "other");
	forge_relink(&fake->log, 5);
	forge_add_load(&fake->log, "seven", VERDICT_VERIFIED, true);
	fake_boot(fake);
	fake_expect(fake, NULL, VERIFY_UNTRUSTED, "fork", "Record 9 does not follow record 8");
}

static void a_first_round_without_the_beginning_is_trusted_where_nothing_is_claimed_of_it(
	void **state)
{
	struct fake *fake = *state;

	forge_add_load(&fake->log, "good", VERDICT_VERIFIED, true);
	fake->spoil = fake_hide;
	assert_true(noted(fake, NULL, "history before record 5 is not shown"));
}

/* ---- several verifiers ---- */

static void do_a_round(struct fake *fake)
{
	fake_expect(fake, NULL, VERIFY_TRUSTED, "ok", "");
}

static void two_rounds_at_a_time_both_count(void **state)
{
	struct fake *fake = *state;
	struct memory_proven proven;

	fake->meanwhile = do_a_round;
	trusted(fake, NULL);
	assert_int_equal(memory_proven_get(fake->memory.memory, "web-07", &proven), 0);
	assert_int_equal(proven.round, 2);
	assert_int_equal(fake->since, 8); /* it was done again, by what the other had proven */
}

static void the_verdict_before_is_known(void **state)
{
	struct fake *fake = *state;
	struct round_result result = fake_round_with(fake, NULL);

	assert_false(result.has_before);
	round_result_done(&result);
	fake->status = 503;
	result = fake_round_with(fake, NULL);
	assert_true(result.has_before);
	assert_int_equal(result.before.verdict, VERIFY_TRUSTED);
	assert_int_equal(result.last, 8);
	round_result_done(&result);
	result = fake_round_with(fake, NULL);
	assert_string_equal(result.before.reason, "refused");
	round_result_done(&result);
}

#define test(name) cmocka_unit_test_setup_teardown(name, fake_make, fake_unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(the_first_round_asks_for_everything_and_the_next_for_what_is_new),
		test(nothing_new_is_one_small_answer),
		test(a_server_that_lost_the_place_is_asked_for_the_epoch),
		test(a_server_that_lost_the_place_and_then_cannot_answer_is_not_accused),
		test(a_machine_that_is_not_enrolled_is_not_asked),
		test(a_machine_that_does_not_answer_is_unknown),
		test(a_server_that_refuses_is_unknown_and_its_words_are_harmless),
		test(a_machine_that_is_behind_is_unknown_and_proven),
		test(an_answer_without_a_good_statement_is_not_taken_to_its_end),
		test(an_old_answer_is_refused_and_not_remembered),
		test(an_answer_that_comes_too_late_is_refused),
		test(an_answer_through_another_channel_is_refused_and_not_remembered),
		test(a_log_rolled_back_in_the_same_boot_stays_refused),
		test(a_log_rolled_back_across_boots_is_refused),
		test(another_record_in_a_proven_place_is_refused),
		test(a_tpm_that_goes_back_is_refused),
		test(another_key_is_refused_and_not_remembered),
		test(a_software_tpm_that_was_enrolled_as_hardware_is_refused),
		test(what_came_before_a_boot_is_asked_for),
		test(what_came_before_a_boot_and_is_not_shown_is_not_trusted),
		test(what_came_before_a_boot_is_asked_for_until_there_is_an_answer),
		test(a_first_round_without_the_beginning_is_trusted_where_nothing_is_claimed_of_it),
		test(what_came_before_a_boot_and_does_not_follow_is_refused),
		test(two_rounds_at_a_time_both_count),
		test(the_verdict_before_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
