/* SPDX-License-Identifier: BSD-2-Clause */
/* The verifier over the log and its own memory: every check is failed at least once. */
#include "attest_expect.h"
#include "attest_forge_kept.h"

/* ---- the log ---- */

static void a_log_without_its_beginning_is_refused(void **state)
{
	struct forge *forge = *state;

	forge_remove(forge, 1);
	forge->statement.first = 2;
	expect(forge, VERIFY_START);
}

static void another_start_than_the_epochs_is_refused(void **state)
{
	struct forge *forge = *state;

	forge->statement.start.digest[BANK_SHA256][0] = 1;
	expect(forge, VERIFY_START);
}

static void a_base_that_nobody_explains_is_refused(void **state)
{
	struct forge *forge = *state;
	struct record_epoch epoch = forge_epoch_record(forge);
	struct ak ak = forge_ak(forge);
	struct verify_options options = forge_options(forge, &ak);

	epoch.base.digest[BANK_SHA256][0] = 7;
	forge->statement.start = epoch.base;
	forge->count = 0;
	forge_add_epoch(forge, &epoch);
	forge_tpm(forge);
	expect(forge, VERIFY_BASE);

	options.base_banks = FORGE_BANKS;
	options.base = &epoch.base; /* pinned when it was enrolled */
	expect_with(forge, &options, VERIFY_OK);
}

static void an_epoch_in_mid_log_begins_at_zero(void **state)
{
	struct forge *forge = *state;
	struct record_epoch epoch = forge_epoch_record(forge);

	forge->reset_count = epoch.reset_count = 6;
	forge_add_epoch(forge, &epoch);
	forge_add_load(forge, "seven", VERDICT_VERIFIED, true);
	forge_tpm(forge);
	struct verify_result result = expect(forge, VERIFY_OK);
	assert_int_equal(result.facts.epoch_seq, FORGE_RECORDS + 1);

	/* One more, with a PCR that somebody has used. */
	epoch.base.digest[BANK_SHA256][0] = 7;
	forge_add_epoch(forge, &epoch);
	forge_tpm(forge);
	expect(forge, VERIFY_BASE);
}

static void an_epoch_may_go_on_where_the_last_one_was(void **state)
{
	struct forge *forge = *state;
	struct record_epoch epoch = forge_epoch_record(forge);

	epoch.why = WHY_KEXEC;
	epoch.base = forge->statement.values;
	forge_add_epoch(forge, &epoch);
	forge_tpm(forge);
	expect(forge, VERIFY_OK);
}

/* Somebody has extended a PCR that was reset with the same lines. */
static void an_epoch_that_goes_on_is_of_the_same_reset(void **state)
{
	struct forge *forge = *state;
	struct ak ak = forge_ak(forge);
	struct verify_options options = forge_options(forge, &ak);
	struct verify_result before = expect(forge, VERIFY_OK);
	struct record_epoch epoch;

	forge->reset_count++;
	epoch = forge_epoch_record(forge);
	epoch.why = WHY_KEXEC;
	epoch.base = forge->statement.values;
	forge_add_epoch(forge, &epoch);
	forge_tpm(forge);
	expect(forge, VERIFY_EPOCH_COUNTS);
	options.after = &before.end;
	expect_with(forge, &options, VERIFY_EPOCH_COUNTS);

	/* Suspended before the kexec. */
	forge->count--;
	epoch.reset_count = --forge->reset_count;
	epoch.restart_count = ++forge->restart_count;
	forge_add_epoch(forge, &epoch);
	forge_tpm(forge);
	expect_with(forge, &options, VERIFY_OK);

	forge->count--;
	epoch.restart_count = forge->restart_count -= 2;
	forge_add_epoch(forge, &epoch);
	forge_tpm(forge);
	expect_with(forge, &options, VERIFY_EPOCH_COUNTS);
}

static void a_measured_line_that_is_no_record_is_refused(void **state)
{
	struct forge *forge = *state;

	forge_edit(forge, 3, "\"two\"", "\"two\",\"more\":1");
	forge_relink(forge, 4);
	forge_tpm(forge);
	expect(forge, VERIFY_GRAMMAR);
}

static void a_measured_record_with_a_wrong_prev_is_refused(void **state)
{
	struct forge *forge = *state;

	forge_spoil_prev(forge, 5);
	forge_relink(forge, 6);
	forge_tpm(forge);
	expect(forge, VERIFY_PREV);
}

static void a_measured_gap_in_seq_is_refused(void **state)
{
	struct forge *forge = *state;

	forge_edit(forge, 8, "\"seq\":8", "\"seq\":9");
	forge_tpm(forge);
	expect(forge, VERIFY_SEQ);
}

static void an_end_that_was_not_stated_is_refused(void **state)
{
	struct forge *forge = *state;

	forge->statement.last = 9;
	expect(forge, VERIFY_SEQ);
}

static void more_is_lost_than_can_be_counted(void **state)
{
	struct forge *forge = *state;

	forge_add_lost(forge, LINE_UINT_MAX);
	forge_add_lost(forge, LINE_UINT_MAX - 4);
	forge_tpm(forge);
	struct verify_result result = expect(forge, VERIFY_OK);
	assert_int_equal(result.facts.lost, LINE_UINT_MAX);
	assert_true(has_note(&result, "9223372036854775807 events were lost"));
}

static void a_verified_load_must_be_extended(void **state)
{
	struct forge *forge = *state;

	forge_add_load(forge, "seven", VERDICT_VERIFIED, false);
	forge_add_load(forge, "eight", VERDICT_UNSIGNED, true);
	forge_tpm(forge);
	expect(forge, VERIFY_UNEXTENDED);
}

static void the_last_line_must_be_extended(void **state)
{
	struct forge *forge = *state;

	forge_add_load(forge, "seven", VERDICT_UNSIGNED, false);
	forge_tpm(forge);
	expect(forge, VERIFY_UNEXTENDED);
}

static void an_epoch_of_another_key_is_refused(void **state)
{
	struct forge *forge = *state;
	struct record_epoch epoch = forge_epoch_record(forge);

	epoch.ak_name.bytes = "another name, of another key...";
	epoch.ak_name.len = 31;
	forge->count = 0;
	forge_add_epoch(forge, &epoch);
	forge_tpm(forge);
	expect(forge, VERIFY_AK_NAME);
}

static void a_reset_that_the_log_does_not_know_is_refused(void **state)
{
	struct forge *forge = *state;

	forge->restart_count++;
	forge_quote(forge);
	expect(forge, VERIFY_EPOCH_COUNTS);
	forge->restart_count--;
	forge->reset_count--;
	forge_quote(forge);
	expect(forge, VERIFY_EPOCH_COUNTS);
}

static void a_quote_older_than_its_epoch_is_refused(void **state)
{
	struct forge *forge = *state;

	forge->clock_ms = 999;
	forge_quote(forge);
	expect(forge, VERIFY_CLOCK);
}

/* ---- what was proven before ---- */

static struct verify_anchor prove(const struct forge *forge)
{
	return expect(forge, VERIFY_OK).end;
}

/* Drop what the verifier has, as the agent does for `since`. */
static void continue_after(struct forge *forge, const struct verify_anchor *anchor)
{
	while (forge->statement.first <= anchor->seq) {
		forge_remove(forge, forge->statement.first);
		forge->statement.first++;
	}
	forge->statement.since = anchor->seq;
	forge->statement.start = anchor->values;
	forge->statement.start_banks = anchor->banks;
}

static void evidence_goes_on_where_the_last_ended(void **state)
{
	struct forge *forge = *state;
	struct ak ak = forge_ak(forge);
	struct verify_options options = forge_options(forge, &ak);
	struct verify_anchor anchor = prove(forge);

	forge_add_load(forge, "seven", VERDICT_VERIFIED, true);
	forge_add_load(forge, "eight", VERDICT_UNSIGNED, true);
	continue_after(forge, &anchor);
	forge_tpm(forge);
	options.after = &anchor;
	struct verify_result result = expect_with(forge, &options, VERIFY_OK);
	assert_int_equal(result.facts.records, 2);
	assert_int_equal(result.end.seq, 10);
	assert_memory_equal(result.end.log_id, anchor.log_id, sizeof(anchor.log_id));

	expect(forge, VERIFY_START); /* without the anchor */

	forge->restart_count++; /* the counters are still those of the epoch */
	forge_quote(forge);
	expect_with(forge, &options, VERIFY_EPOCH_COUNTS);
	forge->restart_count--;
	forge->clock_ms = anchor.clock_ms - 1;
	forge_quote(forge);
	expect_with(forge, &options, VERIFY_CLOCK);
}

/* The challenger had everything when the machine was booted again. */
static void an_epoch_may_begin_right_after_what_was_proven(void **state)
{
	struct forge *forge = *state;
	struct ak ak = forge_ak(forge);
	struct verify_options options = forge_options(forge, &ak);
	struct verify_anchor anchor = prove(forge);
	struct record_epoch epoch = forge_epoch_record(forge);

	epoch.why = WHY_BOOT;
	epoch.reset_count = ++forge->reset_count;
	forge_add_epoch(forge, &epoch);
	continue_after(forge, &anchor);
	forge->statement.start = epoch.base;
	forge_tpm(forge);
	options.after = &anchor;
	struct verify_result result = expect_with(forge, &options, VERIFY_OK);
	assert_int_equal(result.note_count, 0);

	forge->statement.start = anchor.values;
	forge_tpm(forge);
	expect_with(forge, &options, VERIFY_START);
}

static void nothing_new_is_proven_too(void **state)
{
	struct forge *forge = *state;
	struct ak ak = forge_ak(forge);
	struct verify_options options = forge_options(forge, &ak);
	struct verify_anchor anchor = prove(forge);

	continue_after(forge, &anchor);
	forge_tpm(forge);
	options.after = &anchor;
	struct verify_result result = expect_with(forge, &options, VERIFY_OK);
	assert_int_equal(result.end.seq, anchor.seq);
	assert_memory_equal(result.end.sha256, anchor.sha256, SHA256_LEN);

	/* But the PCR has gone on. */
	forge->statement.values.digest[BANK_SHA256][0] ^= 1;
	forge_quote(forge);
	expect_with(forge, &options, VERIFY_REPLAY);
	expect(forge, VERIFY_START); /* without the anchor */
}

static void a_start_that_was_not_proven_is_refused(void **state)
{
	struct forge *forge = *state;
	struct ak ak = forge_ak(forge);
	struct verify_options options = forge_options(forge, &ak);
	struct verify_anchor anchor = prove(forge);

	forge_add_load(forge, "seven", VERDICT_VERIFIED, true);
	continue_after(forge, &anchor);
	forge->statement.start.digest[BANK_SHA256][0] ^= 1;
	forge_tpm(forge);
	options.after = &anchor;
	expect_with(forge, &options, VERIFY_START);
}

static void a_log_rolled_back_is_refused(void **state)
{
	struct forge *forge = *state;
	struct ak ak = forge_ak(forge);
	struct verify_options options = forge_options(forge, &ak);
	struct verify_anchor anchor = prove(forge);

	forge->count -= 2; /* as after a reset that root had the TPM replay */
	forge->statement.last -= 2;
	forge_tpm(forge);
	options.after = &anchor;
	expect_with(forge, &options, VERIFY_ROLLBACK);
}

static void a_log_rewritten_is_refused(void **state)
{
	struct forge *forge = *state;
	struct ak ak = forge_ak(forge);
	struct verify_options options = forge_options(forge, &ak);
	struct verify_anchor anchor = prove(forge);

	forge_edit(forge, 4, "three", "other");
	forge_relink(forge, 5);
	forge_tpm(forge);
	options.after = &anchor;
	expect_with(forge, &options, VERIFY_FORK);
}

static void another_log_is_refused(void **state)
{
	struct forge *forge = *state;
	struct record_epoch epoch = forge_epoch_record(forge);

	epoch.log_id[0] ^= 1;
	forge_add_epoch(forge, &epoch);
	forge_tpm(forge);
	expect(forge, VERIFY_OTHER_LOG);
}

static void what_was_not_shown_is_said(void **state)
{
	struct forge *forge = *state;
	struct verify_anchor anchor = prove(forge);
	struct ak ak = forge_ak(forge);
	struct verify_options options = forge_options(forge, &ak);

	forge->statement.first = 20;
	forge->count = 0;
	forge->reset_count++;
	struct record_epoch epoch = forge_epoch_record(forge);
	forge_add_epoch(forge, &epoch);
	forge_tpm(forge);
	struct verify_result result = expect(forge, VERIFY_OK);
	assert_true(has_note(&result, "records 1-19 were not shown"));

	options.after = &anchor;
	result = expect_with(forge, &options, VERIFY_OK);
	assert_true(has_note(&result, "records 9-19 were not shown"));

	options.has_gap = true;
	result = expect_with(forge, &options, VERIFY_OK);
	assert_int_equal(result.note_count, 0);
}

/* What the machine shows after a boot: an epoch behind record `last`, and nothing before it. */
static void boot(struct forge *forge, uint64_t last, uint64_t last_seq)
{
	struct record_epoch epoch;

	forge->count = 0;
	forge->statement.first = last + 1;
	forge->reset_count++;
	epoch = forge_epoch_record(forge);
	epoch.why = WHY_BOOT;
	epoch.last_seq = last_seq;
	forge_add_epoch(forge, &epoch);
	forge_tpm(forge);
}

static void a_log_rolled_back_before_a_boot_is_refused(void **state)
{
	struct forge *forge = *state;
	struct ak ak = forge_ak(forge);
	struct verify_options options = forge_options(forge, &ak);
	struct verify_anchor anchor = prove(forge);

	options.after = &anchor;
	memcpy(forge->before, anchor.sha256, SHA256_LEN);
	boot(forge, 8, 8);
	expect_with(forge, &options, VERIFY_OK);
	boot(forge, 6, 6);
	expect_with(forge, &options, VERIFY_ROLLBACK);
	boot(forge, 9, 7);
	expect_with(forge, &options, VERIFY_ROLLBACK);

	boot(forge, 6, 6); /* and written on, past what was proven */
	forge_add_load(forge, "one", VERDICT_UNSIGNED, true);
	forge_add_load(forge, "two", VERDICT_UNSIGNED, true);
	forge_tpm(forge);
	expect_with(forge, &options, VERIFY_FORK);
}

static void a_boot_that_the_tpm_did_not_count_is_refused(void **state)
{
	struct forge *forge = *state;
	struct ak ak = forge_ak(forge);
	struct verify_options options = forge_options(forge, &ak);
	struct verify_anchor anchor = prove(forge);

	options.after = &anchor;
	memcpy(forge->before, anchor.sha256, SHA256_LEN);
	for (uint32_t back = 1; back <= 2; back++) {
		forge->reset_count = anchor.reset_count - back;
		boot(forge, 8, 8);
		expect_with(forge, &options, VERIFY_RESET_COUNT);
	}

	/* TPM Restart: hibernated, the same reset and one more restart. */
	forge->reset_count = anchor.reset_count - 1;
	forge->restart_count = anchor.restart_count + 1;
	boot(forge, 8, 8);
	expect_with(forge, &options, VERIFY_OK);
}

/* As a snapshot of a virtual TPM that is put back: the log is the same, and the counters are. */
static void a_clock_that_goes_back_in_the_same_boot_is_refused(void **state)
{
	struct forge *forge = *state;
	struct ak ak = forge_ak(forge);
	struct verify_options options = forge_options(forge, &ak);
	struct verify_anchor anchor = prove(forge);

	options.after = &anchor;
	forge->clock_ms = anchor.clock_ms - 1;
	forge_tpm(forge);
	expect_with(forge, &options, VERIFY_CLOCK);
	forge->clock_ms = anchor.clock_ms;
	forge_tpm(forge);
	expect_with(forge, &options, VERIFY_OK);
}

/* Whoever is root can have a quote kept of any PCR, after any line: here after a reset of which the log says
 * nothing, with what was extended since. */
static void a_kept_quote_before_what_was_proven_leads_to_it(void **state)
{
	struct forge *forge = *state;
	struct ak ak = forge_ak(forge);
	struct verify_options options = forge_options(forge, &ak);
	struct verify_anchor anchor = prove(forge);
	struct evidence_kept kept = forge_keep(forge, 4);
	struct forge log = *forge;

	options.after = &anchor;
	forge_trim(forge, &kept);
	forge_add_load(forge, "more", VERDICT_UNSIGNED, true);
	forge_tpm(forge);
	expect_with(forge, &options, VERIFY_OK);

	/* The values are as they were: everything was extended once more. */
	*forge = log;
	forge->reset_count++;
	forge_quote_kept(forge, &kept);
	forge_trim(forge, &kept);
	forge_add_load(forge, "more", VERDICT_UNSIGNED, true);
	forge_tpm(forge);
	expect_with(forge, &options, VERIFY_EPOCH_COUNTS);

	*forge = log;
	kept.values.digest[BANK_SHA256][0] ^= 1;
	forge_quote_kept(forge, &kept);
	forge_trim(forge, &kept);
	forge_add_load(forge, "more", VERDICT_UNSIGNED, true);
	forge_tpm(forge);
	expect_with(forge, &options, VERIFY_START);
}

/* TPM2_Clear sets every counter to zero and leaves the PCR. */
static void a_clear_that_is_in_the_log_explains_its_counters(void **state)
{
	struct forge *forge = *state;
	struct ak ak = forge_ak(forge);
	struct verify_options options = forge_options(forge, &ak);
	struct verify_anchor anchor = prove(forge);

	options.after = &anchor;
	forge->reset_count = forge->restart_count = 0;
	forge->clock_ms = 10;
	struct record_epoch epoch = forge_epoch_record(forge);
	epoch.why = WHY_TPM_CLEAR;
	epoch.base = anchor.values;
	epoch.clock_ms = 5;
	forge_add_epoch(forge, &epoch);
	continue_after(forge, &anchor);
	forge_tpm(forge);
	struct verify_result result = expect_with(forge, &options, VERIFY_OK);
	assert_true(has_note(&result, "record 9 says that the TPM was cleared"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_log_without_its_beginning_is_refused),
		TEST(another_start_than_the_epochs_is_refused),
		TEST(a_base_that_nobody_explains_is_refused),
		TEST(an_epoch_in_mid_log_begins_at_zero),
		TEST(an_epoch_may_go_on_where_the_last_one_was),
		TEST(an_epoch_that_goes_on_is_of_the_same_reset),
		TEST(a_measured_line_that_is_no_record_is_refused),
		TEST(a_measured_record_with_a_wrong_prev_is_refused),
		TEST(a_measured_gap_in_seq_is_refused),
		TEST(an_end_that_was_not_stated_is_refused),
		TEST(more_is_lost_than_can_be_counted),
		TEST(a_verified_load_must_be_extended),
		TEST(the_last_line_must_be_extended),
		TEST(an_epoch_of_another_key_is_refused),
		TEST(a_reset_that_the_log_does_not_know_is_refused),
		TEST(a_quote_older_than_its_epoch_is_refused),
		TEST(evidence_goes_on_where_the_last_ended),
		TEST(an_epoch_may_begin_right_after_what_was_proven),
		TEST(nothing_new_is_proven_too),
		TEST(a_start_that_was_not_proven_is_refused),
		TEST(a_log_rolled_back_is_refused),
		TEST(a_log_rewritten_is_refused),
		TEST(another_log_is_refused),
		TEST(what_was_not_shown_is_said),
		TEST(a_log_rolled_back_before_a_boot_is_refused),
		TEST(a_boot_that_the_tpm_did_not_count_is_refused),
		TEST(a_clock_that_goes_back_in_the_same_boot_is_refused),
		TEST(a_kept_quote_before_what_was_proven_leads_to_it),
		TEST(a_clear_that_is_in_the_log_explains_its_counters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
