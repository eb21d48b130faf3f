/* SPDX-License-Identifier: BSD-2-Clause */
/* Logs that were interrupted: suspended, trimmed, extended by somebody else; and kept quotes. */
#include "attest_expect.h"
#include "attest_forge_kept.h"

static void expect_words(const struct forge *forge, enum verify_reason reason, const char *words)
{
	struct verify_result result = expect(forge, reason);

	if (!strstr(result.explanation, words))
		fail_msg("%s", result.explanation);
}

/* ---- suspended ---- */

static void a_resume_is_where_the_quote_is_compared(void **state)
{
	struct forge *forge = *state;

	forge_add_resume(forge);
	forge_tpm(forge);
	expect(forge, VERIFY_OK);

	forge->restart_count--; /* as the epoch has it */
	forge_quote(forge);
	expect(forge, VERIFY_EPOCH_COUNTS);
	forge->restart_count++;
	forge->clock_ms--;
	forge_quote(forge);
	expect(forge, VERIFY_CLOCK);
}

static void a_resume_sets_no_counter_back(void **state)
{
	struct forge *forge = *state;

	forge_add_resume(forge);
	forge->restart_count -= 2; /* to what it was before the epoch, and the next adds one */
	forge_add_resume(forge);
	forge_tpm(forge);
	expect_words(forge, VERIFY_EPOCH_COUNTS, "Record 10 says that the PCR went on");
}

static void a_resume_sets_no_clock_back(void **state)
{
	struct forge *forge = *state;

	forge_add_resume(forge);
	forge->clock_ms--;
	forge_add_resume(forge);
	forge_tpm(forge);
	expect_words(forge, VERIFY_CLOCK, "Record 10 says that the PCR went on");
}

/* After a reset the PCR is not what it was: somebody has replayed the log into it. */
static void a_resume_is_no_reset(void **state)
{
	struct forge *forge = *state;

	forge->reset_count++;
	forge_add_resume(forge);
	forge_tpm(forge);
	expect(forge, VERIFY_EPOCH_COUNTS);
}

static void a_resume_must_be_extended(void **state)
{
	struct forge *forge = *state;

	forge_add_resume(forge);
	forge_edit(forge, 9, "\"resume\"", "\"resume\",\"extend\":false");
	forge_add_load(forge, "seven", VERDICT_UNSIGNED, true);
	forge_tpm(forge);
	expect(forge, VERIFY_UNEXTENDED);
}

/* ---- kept quotes among the records ---- */

static void a_kept_quote_among_the_records_is_met(void **state)
{
	struct forge *forge = *state;
	struct evidence_kept kept = forge_keep(forge, 5);

	forge_hand_over(forge, &kept);
	expect(forge, VERIFY_OK);
	kept = forge_keep(forge, FORGE_RECORDS);
	forge_hand_over(forge, &kept);
	expect(forge, VERIFY_OK);
}

static void a_kept_quote_that_is_not_met_is_refused(void **state)
{
	struct forge *forge = *state;
	struct evidence_kept kept = forge_keep(forge, 5);

	kept.seq = 7; /* nothing in the quote vouches for it */
	forge_hand_over(forge, &kept);
	expect_words(forge, VERIFY_REPLAY, "kept after record 7");

	kept = forge_keep(forge, 4); /* which is not extended itself */
	forge_hand_over(forge, &kept);
	expect_words(forge, VERIFY_REPLAY, "kept after record 4");
}

static void a_kept_quote_of_another_boot_is_refused(void **state)
{
	struct forge *forge = *state;

	forge->reset_count++; /* and somebody replayed the log after it */
	struct evidence_kept kept = forge_keep(forge, 5);
	forge->reset_count--;
	forge_hand_over(forge, &kept);
	expect(forge, VERIFY_EPOCH_COUNTS);

	uint64_t clock_ms = forge->clock_ms;
	forge->clock_ms = 999;
	kept = forge_keep(forge, 5);
	forge->clock_ms = clock_ms;
	forge_hand_over(forge, &kept);
	expect(forge, VERIFY_CLOCK);
}

static void a_kept_quote_that_is_spoilt_is_named(void **state)
{
	struct forge *forge = *state;
	struct evidence_kept kept = forge_keep(forge, 5);

	forge_hand_over(forge, &kept);
	forge->statement.kept.quote[60] ^= 1;
	expect_words(forge, VERIFY_SIGNATURE, "The quote that was kept after record 5 is refused.");
	forge->statement.kept = kept;
	forge->statement.kept.values.digest[BANK_SHA256][0] ^= 1;
	expect_words(
		forge, VERIFY_PCR_DIGEST, "The quote that was kept after record 5 is refused.");
	forge->statement.kept = kept;
	forge->statement.kept.sha256[0] ^= 1;
	expect_words(forge, VERIFY_QUALIFYING_DATA, "kept after record 5 is refused.");
}

static void the_answer_itself_is_no_kept_quote(void **state)
{
	struct forge *forge = *state;
	struct evidence_kept kept = forge_keep(forge, FORGE_RECORDS);

	memcpy(kept.quote, forge->statement.quote, forge->statement.quote_len);
	memcpy(kept.signature, forge->statement.signature, forge->statement.signature_len);
	forge_hand_over(forge, &kept);
	expect_words(forge, VERIFY_QUALIFYING_DATA, "kept after record 8 is refused.");
}

static void what_a_kept_quote_proves_stays_proven(void **state)
{
	struct forge *forge = *state;
	struct evidence_kept kept = forge_keep(forge, 5);

	forge_hand_over(forge, &kept);
	forge->statement.values.digest[BANK_SHA256][0] ^= 1; /* extended by somebody else */
	forge_quote(forge);
	expect_words(forge, VERIFY_REPLAY,
		"Records 1-5 are proven by the quote that was kept after record 5.");
}

/* ---- extended by somebody else ---- */

static void a_foreign_extend_is_explained(void **state)
{
	struct forge *forge = *state;
	struct evidence_kept kept = forge_keep(forge, 5);

	forge_break(forge);
	forge_add_load(forge, "seven", VERDICT_VERIFIED, true);
	forge_tpm(forge);
	expect_words(forge, VERIFY_FOREIGN,
		"Records 1-8 were measured before the break, and only the records' own chain vouches "
		"for them: no quote of them was kept. Between 2026-05-28T20:26:10Z and "
		"2026-05-28T20:26:40Z the PCR was extended with something that is not in the log; "
		"reset count unchanged: foreign extend; what the agent expected is what the records "
		"lead to. Records 9-11 follow it.");

	forge_hand_over(forge, &kept);
	expect_words(forge, VERIFY_FOREIGN,
		"Records 1-5 are proven by the quote that was kept after record 5. Records 6-8 were "
		"measured before the break");
}

static void a_kept_quote_right_before_the_break_proves_all_before_it(void **state)
{
	struct forge *forge = *state;
	struct evidence_kept kept = forge_keep(forge, FORGE_RECORDS);

	forge_break(forge);
	forge_tpm(forge);
	forge_hand_over(forge, &kept);
	expect_words(forge, VERIFY_FOREIGN,
		"Records 1-8 are proven by the quote that was kept after record 8. Between");
}

static void a_kept_quote_after_the_break_proves_nothing_before_it(void **state)
{
	struct forge *forge = *state;

	forge_break(forge);
	forge_tpm(forge);
	struct evidence_kept kept = forge_keep(forge, 10);
	forge_hand_over(forge, &kept);
	expect_words(forge, VERIFY_FOREIGN, "Records 1-8 were measured before the break");
}

static void what_the_agent_did_not_expect_is_said(void **state)
{
	struct forge *forge = *state;

	forge_break(forge);
	static const char key[] = "\"expected\":{\"sha256\":\"";
	char *digit = strstr(forge_line(forge, 10)->text, key);
	digit += strlen(key);
	*digit = *digit == '0' ? '1' : '0';
	forge_edit(forge, 10, "\"last_seen\":\"2026-05-28T20:26:10.000000000Z\"",
		"\"last_seen\":null");
	forge_tpm(forge);
	expect_words(forge, VERIFY_FOREIGN, "Some time before 2026-05-28T20:26:40Z the PCR");
	expect_words(forge, VERIFY_FOREIGN, "expected is not what the records lead to");
}

static void a_break_that_the_log_does_not_explain_is_unexplained(void **state)
{
	struct forge *forge = *state;

	forge_break(forge);
	forge_remove(forge, 10);
	forge->statement.last--;
	forge_tpm(forge);
	expect_words(forge, VERIFY_BASE, "Record 9 begins an epoch with a PCR that somebody else");
}

static void a_break_lasts_until_the_tpm_is_reset(void **state)
{
	struct forge *forge = *state;

	forge_break(forge);
	struct record_epoch epoch = forge_epoch_record(forge);
	forge_tpm(forge);
	epoch.why = WHY_KEXEC; /* goes on where the broken one was */
	epoch.base = forge->statement.values;
	forge_add_epoch(forge, &epoch);
	forge_tpm(forge);
	expect(forge, VERIFY_FOREIGN);

	epoch.why = WHY_BOOT;
	epoch.base = (struct bank_values){ 0 };
	epoch.reset_count = ++forge->reset_count;
	epoch.restart_count = forge->restart_count = 0;
	forge_add_epoch(forge, &epoch);
	forge_tpm(forge);
	struct verify_result result = expect(forge, VERIFY_OK);
	assert_true(has_note(&result, "records 9-11 were measured into a PCR that somebody else"));
	assert_non_null(strstr(result.explanation, "Records 12-12 are what PCR 13 holds"));
}

static void a_log_that_begins_after_the_break_is_no_better(void **state)
{
	struct forge *forge = *state;

	forge_break(forge);
	while (forge->statement.first < 9) {
		forge_remove(forge, forge->statement.first);
		forge->statement.first++;
	}
	struct record_epoch_facts facts;
	record_epoch_facts(forge->lines[0].text, forge->lines[0].len, &facts);
	forge->statement.start = facts.base;
	forge_tpm(forge);
	expect(forge, VERIFY_FOREIGN);
}

/* A quote of the PCR as somebody else has left it, kept under the line before the break. */
static void a_kept_quote_does_not_hide_a_break(void **state)
{
	struct forge *forge = *state;
	struct record_epoch_facts facts;
	struct evidence_kept kept = forge_keep(forge, FORGE_RECORDS);

	forge_break(forge);
	record_epoch_facts(forge_line(forge, 9)->text, forge_line(forge, 9)->len, &facts);
	kept.values = facts.base;
	forge_quote_kept(forge, &kept);
	forge_trim(forge, &kept);
	forge_tpm(forge);
	expect(forge, VERIFY_FOREIGN);
}

/* ---- trimmed ---- */

static void a_trimmed_log_starts_from_a_kept_quote(void **state)
{
	struct forge *forge = *state;
	struct evidence_kept kept = forge_keep(forge, 5);

	forge_add_trim(forge, &kept);
	forge_trim(forge, &kept);
	forge_tpm(forge);
	struct verify_result result = expect(forge, VERIFY_OK);
	assert_true(has_note(&result, "history before record 6 is not shown"));
	assert_non_null(strstr(result.explanation, "Records 6-9 lead from the quote"));
	assert_memory_equal(result.facts.log_id, forge_epoch_record(forge).log_id, 16);
	assert_int_equal(result.end.seq, 9);

	forge->statement.has_kept = false;
	expect(forge, VERIFY_START);
}

static void the_log_of_a_trimmed_one_may_be_unknown(void **state)
{
	static const uint8_t zeros[16];
	struct forge *forge = *state;
	struct ak ak = forge_ak(forge);
	struct verify_options options = forge_options(forge, &ak);
	struct evidence_kept kept = forge_keep(forge, 5);

	forge_trim(forge, &kept);
	struct verify_result result = expect(forge, VERIFY_OK);
	assert_memory_equal(result.facts.log_id, zeros, sizeof(zeros));

	/* What goes on from it may say which log it is. */
	struct record_epoch epoch = forge_epoch_record(forge);
	epoch.why = WHY_KEXEC;
	epoch.clock_ms = forge->clock_ms;
	epoch.base = forge->statement.values;
	forge_add_epoch(forge, &epoch);
	forge->statement.since = FORGE_RECORDS;
	while (forge->statement.first <= FORGE_RECORDS) {
		forge_remove(forge, forge->statement.first);
		forge->statement.first++;
	}
	forge->statement.start = epoch.base;
	forge->statement.has_kept = false;
	forge_tpm(forge);
	options.after = &result.end;
	result = expect_with(forge, &options, VERIFY_OK);
	assert_memory_equal(result.facts.log_id, epoch.log_id, sizeof(epoch.log_id));
}

static void the_counters_of_a_trimmed_log_are_those_of_the_quote(void **state)
{
	struct forge *forge = *state;
	struct evidence_kept kept = forge_keep(forge, 5);

	forge_trim(forge, &kept);
	forge->restart_count++;
	forge_quote(forge);
	expect(forge, VERIFY_EPOCH_COUNTS);
	forge->restart_count--;
	forge->clock_ms--;
	forge_quote(forge);
	expect(forge, VERIFY_CLOCK);
}

static void a_wrong_start_anchor_is_refused(void **state)
{
	struct forge *forge = *state;
	struct evidence_kept kept = forge_keep(forge, 5);
	struct evidence_kept other = forge_keep(forge, 3);

	forge_trim(forge, &kept);
	forge->statement.start.digest[BANK_SHA384][0] ^= 1;
	forge_tpm(forge);
	expect_words(forge, VERIFY_START, "The kept quote after record 5 was made with other PCR");

	forge->statement.start = kept.values;
	forge_tpm(forge);
	other.seq = 5;
	forge->statement.kept = other;
	expect_words(forge, VERIFY_START, "Record 6 does not follow the one that the kept quote");
}

static void a_trim_must_name_what_the_quote_covers(void **state)
{
	struct forge *forge = *state;
	struct evidence_kept kept = forge_keep(forge, 5), other = kept;

	other.sha256[0] ^= 1;
	forge_add_trim(forge, &other);
	forge_trim(forge, &kept);
	forge_tpm(forge);
	expect_words(forge, VERIFY_START, "Record 9 says");
}

static void a_trim_of_another_log_is_refused(void **state)
{
	struct forge *forge = *state;
	struct evidence_kept kept = forge_keep(forge, 5);

	forge_add_trim(forge, &kept);
	forge_edit(forge, 9, "\"log_id\":\"3031", "\"log_id\":\"3130");
	forge_tpm(forge);
	expect(forge, VERIFY_OTHER_LOG);
}

static void a_log_trimmed_up_to_an_epoch_starts_at_its_base(void **state)
{
	struct forge *forge = *state;
	struct evidence_kept kept = forge_keep(forge, FORGE_RECORDS);
	struct record_epoch epoch = forge_epoch_record(forge);

	forge_add_epoch(forge, &epoch);
	forge_trim(forge, &kept);
	forge->statement.start = epoch.base;
	forge_tpm(forge);
	expect(forge, VERIFY_OK);

	forge->statement.kept = forge_keep(forge, 9);
	forge->statement.kept.seq = 8;
	expect(forge, VERIFY_START);
}

static void no_byte_of_trimmed_evidence_can_be_changed(void **state)
{
	struct forge *forge = *state;
	struct ak ak = forge_ak(forge);
	struct verify_options options = forge_options(forge, &ak);
	struct evidence_kept kept = forge_keep(forge, 5);

	forge_trim(forge, &kept);
	forge_tpm(forge);
	size_t len;
	char *text = forge_text(forge, &len);
	size_t from = (size_t)(strstr(text, "\"kept\":") - text);
	size_t to = (size_t)(strstr(text, "\"behind\":") - text);
	for (size_t at = from; at < to; at++)
		for (unsigned mask = 1; mask < 0x80; mask <<= 1) {
			text[at] = (char)(text[at] ^ (char)mask);
			if (forge_verify_text(text, len, &options).verdict != VERIFY_UNTRUSTED)
				fail_msg("byte %zu", at - from);
			text[at] = (char)(text[at] ^ (char)mask);
		}
	assert_int_equal(forge_verify_text(text, len, &options).verdict, VERIFY_TRUSTED);
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_resume_is_where_the_quote_is_compared),
		TEST(a_resume_sets_no_counter_back),
		TEST(a_resume_sets_no_clock_back),
		TEST(a_resume_is_no_reset),
		TEST(a_resume_must_be_extended),
		TEST(a_kept_quote_among_the_records_is_met),
		TEST(a_kept_quote_that_is_not_met_is_refused),
		TEST(a_kept_quote_of_another_boot_is_refused),
		TEST(a_kept_quote_that_is_spoilt_is_named),
		TEST(the_answer_itself_is_no_kept_quote),
		TEST(what_a_kept_quote_proves_stays_proven),
		TEST(a_foreign_extend_is_explained),
		TEST(a_kept_quote_right_before_the_break_proves_all_before_it),
		TEST(a_kept_quote_after_the_break_proves_nothing_before_it),
		TEST(what_the_agent_did_not_expect_is_said),
		TEST(a_break_that_the_log_does_not_explain_is_unexplained),
		TEST(a_break_lasts_until_the_tpm_is_reset),
		TEST(a_log_that_begins_after_the_break_is_no_better),
		TEST(a_kept_quote_does_not_hide_a_break),
		TEST(a_trimmed_log_starts_from_a_kept_quote),
		TEST(the_log_of_a_trimmed_one_may_be_unknown),
		TEST(the_counters_of_a_trimmed_log_are_those_of_the_quote),
		TEST(a_wrong_start_anchor_is_refused),
		TEST(a_trim_must_name_what_the_quote_covers),
		TEST(a_trim_of_another_log_is_refused),
		TEST(a_log_trimmed_up_to_an_epoch_starts_at_its_base),
		TEST(no_byte_of_trimmed_evidence_can_be_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
