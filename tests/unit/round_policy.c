/* SPDX-License-Identifier: BSD-2-Clause */
/* Rounds with policies: violations are found, named, remembered, acknowledged, and end with the boot. */
#include "round_fixture.h"

static struct policy *signed_only(struct fake *fake)
{
	return fake_policy(fake, "signed-only",
		"SELECT seq, program_name AS value FROM load WHERE signature_verdict <> 'verified'");
}

/* A log in which every program is signed. */
static void sign_all(struct fake *fake)
{
	struct record_epoch epoch;

	fake->log.count = 0;
	epoch = forge_epoch_record(&fake->log);
	forge_add_epoch(&fake->log, &epoch);
	forge_add_load(&fake->log, "one", VERDICT_VERIFIED, true);
	forge_add_load(&fake->log, "two", VERDICT_VERIFIED, true);
}

static void trusted(struct fake *fake, struct policy *policy)
{
	fake_expect(fake, policy, VERIFY_TRUSTED, "ok", "");
}

static void untrusted(struct fake *fake, struct policy *policy, const char *words)
{
	fake_expect(fake, policy, VERIFY_UNTRUSTED, "policy", words);
}

static size_t open_violations(struct fake *fake, struct policy *policy)
{
	struct round_result result = fake_round_with(fake, policy);
	size_t open = result.open_count;

	round_result_done(&result);
	return open;
}

static void a_violation_names_record_rule_and_value(void **state)
{
	struct fake *fake = *state;
	struct policy *policy = signed_only(fake);
	struct round_result result;

	sign_all(fake);
	trusted(fake, policy);
	forge_add_load(&fake->log, "bad", VERDICT_UNSIGNED, true);
	result = fake_round_with(fake, policy);
	assert_int_equal(result.verdict, VERIFY_UNTRUSTED);
	assert_int_equal(result.open_count, 1);
	assert_int_equal(result.violations[0].what.seq, 4);
	assert_string_equal(result.violations[0].what.rule, "signed-only");
	assert_non_null(strstr(result.explanation, "Record 4 violates signed-only: "));
	round_result_done(&result);
	policy_free(policy);
}

static void a_violation_stays_when_nothing_is_new(void **state)
{
	struct fake *fake = *state;
	struct policy *policy = signed_only(fake);

	sign_all(fake);
	forge_add_load(&fake->log, "bad", VERDICT_UNSIGNED, true);
	untrusted(fake, policy, "Record 4 violates signed-only");
	untrusted(fake, policy, "Found on ");
	assert_int_equal(fake->since, 4);
	untrusted(fake, NULL, "Record 4 violates signed-only");
	forge_add_load(&fake->log, "good", VERDICT_VERIFIED, true);
	untrusted(fake, policy, "Record 4 violates signed-only");
	memory_reopen(&fake->memory);
	untrusted(fake, policy, "Record 4 violates signed-only");
	policy_free(policy);
}

static void a_violation_ends_with_a_boot(void **state)
{
	struct fake *fake = *state;
	struct policy *policy = signed_only(fake);

	sign_all(fake);
	forge_add_load(&fake->log, "bad", VERDICT_UNSIGNED, true);
	untrusted(fake, policy, "");
	fake_boot(fake);
	trusted(fake, policy);
	assert_int_equal(open_violations(fake, policy), 0);
	policy_free(policy);
}

/* What nobody had asked about before the machine was booted is said, and does not count. */
static void a_violation_before_a_boot_is_noted(void **state)
{
	struct fake *fake = *state;
	struct policy *policy = signed_only(fake);

	sign_all(fake);
	trusted(fake, policy);
	forge_add_load(&fake->log, "bad", VERDICT_UNSIGNED, true);
	fake_boot(fake);
	struct round_result result = fake_round_with(fake, policy);
	assert_int_equal(result.verdict, VERIFY_TRUSTED);
	assert_int_equal(result.evidence.note_count, 1);
	assert_non_null(strstr(result.evidence.notes[0], "1 violation; the first: record 4"));
	round_result_done(&result);
	policy_free(policy);
}

/* Root can write any record, but not have the TPM reset by it. */
static void a_violation_before_an_epoch_that_only_claims_a_boot_counts(void **state)
{
	struct fake *fake = *state;
	struct policy *policy = signed_only(fake);
	struct record_epoch epoch;

	sign_all(fake);
	trusted(fake, policy);
	forge_add_load(&fake->log, "bad", VERDICT_UNSIGNED, true);
	forge_replay(&fake->log);
	epoch = forge_epoch_record(&fake->log);
	epoch.why = WHY_BOOT;
	epoch.base = fake->log.statement.values;
	epoch.clock_ms = fake->log.clock_ms;
	forge_add_epoch(&fake->log, &epoch);
	untrusted(fake, policy, "Record 4 violates signed-only");
	policy_free(policy);
}

static void records_of_this_boot_that_were_not_shown_are_not_trusted(void **state)
{
	struct fake *fake = *state;
	const struct memory_ack ack = { .rule = "not-shown", .by = "ann", .now_ns = 5 };
	struct policy *policy = signed_only(fake);

	sign_all(fake);
	trusted(fake, policy);
	forge_add_load(&fake->log, "bad", VERDICT_UNSIGNED, true);
	forge_add_load(&fake->log, "good", VERDICT_VERIFIED, true);
	fake->spoil = fake_hide;
	fake->has_no_log = true;
	fake_expect(fake, policy, VERIFY_UNTRUSTED, "not-shown",
		"Records 4-4 of this boot were asked for");
	fake->spoil = NULL;
	fake_expect(fake, policy, VERIFY_UNTRUSTED, "remembered", "not-shown");
	assert_int_equal(memory_ack(fake->memory.memory, "web-07", &ack), 1);
	trusted(fake, policy);
	policy_free(policy);
}

static void a_first_round_without_the_beginning_is_not_trusted_by_policies(void **state)
{
	struct fake *fake = *state;
	struct policy *policy = signed_only(fake);

	sign_all(fake);
	forge_add_load(&fake->log, "bad", VERDICT_UNSIGNED, true);
	forge_add_load(&fake->log, "good", VERDICT_VERIFIED, true);
	fake->spoil = fake_hide;
	fake_expect(fake, policy, VERIFY_UNTRUSTED, "not-shown", "Records 1-4 of this boot");
	policy_free(policy);
}

/* Other policies want the whole boot; the server shows what comes after the last round, which fits. */
static void a_violation_stays_when_the_boot_is_not_shown_to_other_policies(void **state)
{
	const struct memory_ack ack = { .rule = "not-shown", .by = "ann", .now_ns = 5 };
	struct fake *fake = *state;
	struct policy *policy = signed_only(fake);
	struct policy *other = fake_policy(fake, "signed-only",
		"SELECT seq, program_name AS value FROM load WHERE signature_verdict = 'unsigned'");

	sign_all(fake);
	forge_add_load(&fake->log, "bad", VERDICT_UNSIGNED, true);
	untrusted(fake, policy, "Record 4");
	forge_add_load(&fake->log, "good", VERDICT_VERIFIED, true);
	fake->begins_at = 5;
	fake_expect(fake, other, VERIFY_UNTRUSTED, "not-shown", "Records 1-4 of this boot");
	assert_int_equal(memory_ack(fake->memory.memory, "web-07", &ack), 1);
	fake->begins_at = 0;
	untrusted(fake, other, "Record 4");
	policy_free(policy);
	policy_free(other);
}

static void other_policies_do_not_trust_what_they_were_not_shown(void **state)
{
	struct fake *fake = *state;
	struct policy *lax = fake_policy(
		fake, "lax", "SELECT seq, 'any' AS value FROM load WHERE seq = 99");
	struct policy *policy = signed_only(fake);

	sign_all(fake);
	forge_add_load(&fake->log, "bad", VERDICT_UNSIGNED, true);
	trusted(fake, lax);
	fake->begins_at = 5;
	fake_expect(fake, policy, VERIFY_UNTRUSTED, "not-shown", "Records 1-4 of this boot");
	policy_free(policy);
	policy_free(lax);
}

/* Some records of an earlier boot do not make up for those before them. */
static void no_gaps_counts_records_before_a_boot_that_were_not_all_shown(void **state)
{
	static const char *const names[] = { "no-gaps" };
	const struct memory_ack ack = { .rule = "not-shown", .by = "ann", .now_ns = 5 };
	struct fake *fake = *state;
	char error[POLICY_ERROR_MAX];
	struct policy *policy;

	assert_int_equal(policy_open(names, 1, NULL, 0, &policy, error), 0);
	sign_all(fake);
	trusted(fake, policy);
	forge_add_load(&fake->log, "bad", VERDICT_UNSIGNED, true);
	forge_add_load(&fake->log, "good", VERDICT_VERIFIED, true);
	fake_boot(fake);
	fake->log_begins_at = 5;
	fake_expect(fake, policy, VERIFY_UNTRUSTED, "not-shown", "Records 4-4 before this boot");
	assert_int_equal(memory_ack(fake->memory.memory, "web-07", &ack), 1);
	untrusted(fake, policy, "Record 6 violates no-gaps: 4-4");
	policy_free(policy);
}

static void an_acknowledged_violation_stays_visible_and_does_not_count(void **state)
{
	struct fake *fake = *state;
	struct policy *policy = signed_only(fake);
	const struct memory_ack other = { .has_seq = true, .seq = 3, .by = "ann", .now_ns = 5 };
	const struct memory_ack this = {
		.has_seq = true, .seq = 4, .by = "ann", .comment = "a drill", .now_ns = 5
	};

	sign_all(fake);
	forge_add_load(&fake->log, "bad", VERDICT_UNSIGNED, true);
	untrusted(fake, policy, "");
	assert_int_equal(memory_ack(fake->memory.memory, "web-07", &other), 0);
	untrusted(fake, policy, "");
	assert_int_equal(memory_ack(fake->memory.memory, "web-07", &this), 1);
	struct round_result result = fake_round_with(fake, policy);
	assert_int_equal(result.verdict, VERIFY_TRUSTED);
	assert_int_equal(result.violation_count, 1);
	assert_int_equal(result.open_count, 0);
	assert_string_equal(result.violations[0].acked_by, "ann");
	assert_string_equal(result.violations[0].comment, "a drill");
	round_result_done(&result);

	forge_add_load(&fake->log, "bad", VERDICT_UNSIGNED, true);
	untrusted(fake, policy, "Record 5 violates signed-only");
	policy_free(policy);
}

static void other_policies_judge_the_whole_epoch(void **state)
{
	struct fake *fake = *state;
	struct policy *policy = signed_only(fake);
	struct policy *strict = fake_policy(
		fake, "signed-only", "SELECT seq, 'any' AS value FROM load WHERE seq = 2");
	struct policy *lax = fake_policy(
		fake, "signed-only", "SELECT seq, 'any' AS value FROM load WHERE seq = 99");

	sign_all(fake);
	trusted(fake, policy);
	untrusted(fake, strict, "Record 2 violates signed-only: any");
	assert_int_equal(fake->since, 0);
	untrusted(fake, strict, "Record 2");
	assert_int_equal(fake->since, 3);
	trusted(fake, lax); /* the rule of that name says otherwise now */
	policy_free(policy);
	policy_free(strict);
	policy_free(lax);
}

static void what_no_policy_has_seen_is_judged_by_the_next(void **state)
{
	struct fake *fake = *state;
	struct policy *policy = signed_only(fake);

	sign_all(fake);
	trusted(fake, policy);
	forge_add_load(&fake->log, "bad", VERDICT_UNSIGNED, true);
	trusted(fake, NULL);
	untrusted(fake, policy, "Record 4");
	policy_free(policy);
}

static void a_policy_that_fails_is_unknown_until_it_does_not(void **state)
{
	struct fake *fake = *state;
	struct policy *broken = fake_policy(fake, "broken", "SELECT seq, no_column FROM load");
	struct policy *policy = signed_only(fake);

	sign_all(fake);
	fake_expect(fake, broken, VERIFY_UNKNOWN, "policy-failed", "broken");
	fake_expect(fake, broken, VERIFY_UNKNOWN, "policy-failed", "broken");
	trusted(fake, policy);
	policy_free(broken);
	policy_free(policy);
}

static void a_policy_that_fails_is_named_beside_a_violation(void **state)
{
	struct fake *fake = *state;
	struct policy *broken = fake_policy(fake, "broken", "SELECT seq, no_column FROM load");
	struct policy *policy = signed_only(fake);

	untrusted(fake, policy, "Record 3");
	fake_expect(fake, broken, VERIFY_UNTRUSTED, "policy", " And a policy failed: broken: ");
	policy_free(broken);
	policy_free(policy);
}

static void add_unload(struct fake *fake, uint64_t seq)
{
	struct line line = forge_buffer(&fake->log);
	struct record_unload unload = { .program_seq = seq, .program_id = 5 };

	record_encode_unload(&line, forge_head(&fake->log), &unload);
	forge_append(&fake->log, &line);
}

/* What was loaded in an earlier round is loaded still, until its end is recorded. */
static void programs_are_remembered_while_they_are_loaded(void **state)
{
	struct fake *fake = *state;
	struct policy *policy = fake_policy(fake, "few",
		"SELECT max(seq) AS seq, count(*) AS value FROM loaded HAVING count(*) > 3");

	sign_all(fake);
	trusted(fake, policy); /* 2 */
	forge_add_load(&fake->log, "three", VERDICT_VERIFIED, true);
	trusted(fake, policy); /* 3 */
	assert_int_equal(fake->since, 3);
	add_unload(fake, 2);
	forge_add_load(&fake->log, "four", VERDICT_VERIFIED, true);
	trusted(fake, policy); /* 3 */
	forge_add_load(&fake->log, "five", VERDICT_VERIFIED, true);
	add_unload(fake, 7);
	trusted(fake, policy); /* 3 */
	assert_int_equal(fake->since, 6);
	forge_add_load(&fake->log, "six", VERDICT_VERIFIED, true);
	untrusted(fake, policy, "violates few: 4");
	fake_boot(fake);
	forge_add_load(&fake->log, "one", VERDICT_VERIFIED, true);
	trusted(fake, policy); /* 1 */
	policy_free(policy);
}

static void add_attach(struct fake *fake, uint64_t program_seq, uint64_t program_id)
{
	struct line line = forge_buffer(&fake->log);
	struct record_attach attach = { .program = { program_seq, { true, program_id }, { 0 } } };

	record_encode_attach(&line, forge_head(&fake->log), &attach);
	forge_append(&fake->log, &line);
}

static void add_detach(struct fake *fake, uint64_t attach_seq)
{
	struct line line = forge_buffer(&fake->log);
	struct record_detach detach = { .attach_seq = attach_seq };

	record_encode_detach(&line, forge_head(&fake->log), &detach);
	forge_append(&fake->log, &line);
}

/* The PCR begins anew, in the boot of that name. */
static void begin_epoch(struct fake *fake, const char *boot_id)
{
	struct record_epoch epoch;

	fake->log.reset_count++;
	epoch = forge_epoch_record(&fake->log);
	epoch.why = WHY_TPM_RESET;
	epoch.boot_id = (struct record_text){ boot_id, strlen(boot_id) };
	forge_add_epoch(&fake->log, &epoch);
	fake->begin = fake_last(fake);
}

/* What was attached in an earlier round is so still, until it ends, its program does, or the boot. */
static void attachments_are_remembered_while_they_are_in_force(void **state)
{
	struct fake *fake = *state;
	struct policy *policy = fake_policy(fake, "places",
		"SELECT 0 AS seq, count(*) AS value FROM attached HAVING count(*) > 2");

	sign_all(fake);
	begin_epoch(fake, "a"); /* 4 */
	add_attach(fake, 2, 11); /* 5 */
	add_attach(fake, 2, 12); /* 6 */
	trusted(fake, policy);
	add_attach(fake, 2, 13); /* 7 */
	add_detach(fake, 5);
	trusted(fake, policy); /* 6, 7 */
	assert_int_equal(fake->since, 6);
	add_attach(fake, 2, 5); /* 9 */
	add_unload(fake, 2); /* of program 5 */
	trusted(fake, policy);
	add_attach(fake, 2, 5); /* 11: another program that has this id now */
	begin_epoch(fake, "a");
	untrusted(fake, policy, "violates places: 3");
	begin_epoch(fake, "b");
	add_attach(fake, 2, 14);
	add_attach(fake, 2, 15);
	trusted(fake, policy);
	policy_free(policy);
}

static void violations_of_evidence_that_is_behind_count(void **state)
{
	struct fake *fake = *state;
	struct policy *policy = signed_only(fake);

	fake->log.statement.behind = 1;
	untrusted(fake, policy, "signed-only");
	policy_free(policy);
}

static void records_of_refused_evidence_are_not_judged(void **state)
{
	struct fake *fake = *state;
	struct policy *policy = signed_only(fake);

	sign_all(fake);
	trusted(fake, policy);
	forge_add_load(&fake->log, "bad", VERDICT_UNSIGNED, true);
	forge_spoil_prev(&fake->log, 4);
	fake_expect(fake, policy, VERIFY_UNTRUSTED, "prev", "");
	struct round_result result = fake_round_with(fake, policy);
	assert_int_equal(result.open_count, 1);
	assert_int_equal(result.violations[0].source, MEMORY_EVIDENCE);
	assert_string_equal(result.violations[0].what.rule, "prev");
	round_result_done(&result);
	policy_free(policy);
}

#define test(name) cmocka_unit_test_setup_teardown(name, fake_make, fake_unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_violation_names_record_rule_and_value),
		test(a_violation_stays_when_nothing_is_new),
		test(a_violation_ends_with_a_boot),
		test(a_violation_before_a_boot_is_noted),
		test(a_violation_before_an_epoch_that_only_claims_a_boot_counts),
		test(records_of_this_boot_that_were_not_shown_are_not_trusted),
		test(a_first_round_without_the_beginning_is_not_trusted_by_policies),
		test(a_violation_stays_when_the_boot_is_not_shown_to_other_policies),
		test(other_policies_do_not_trust_what_they_were_not_shown),
		test(no_gaps_counts_records_before_a_boot_that_were_not_all_shown),
		test(an_acknowledged_violation_stays_visible_and_does_not_count),
		test(other_policies_judge_the_whole_epoch),
		test(what_no_policy_has_seen_is_judged_by_the_next),
		test(a_policy_that_fails_is_unknown_until_it_does_not),
		test(a_policy_that_fails_is_named_beside_a_violation),
		test(programs_are_remembered_while_they_are_loaded),
		test(attachments_are_remembered_while_they_are_in_force),
		test(violations_of_evidence_that_is_behind_count),
		test(records_of_refused_evidence_are_not_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
