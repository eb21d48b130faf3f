/* SPDX-License-Identifier: BSD-2-Clause */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "attest_forge.h"

#include <cmocka.h>

/* Verify with everything asked for, and expect a reason. */
static struct verify_result expect_with(
	const struct forge *forge, const struct verify_options *options, enum verify_reason reason)
{
	struct verify_result result = forge_verify(forge, options);

	if (result.reason != reason)
		print_message("%s: %s\n", verify_reason_name(result.reason), result.explanation);
	assert_string_equal(verify_reason_name(result.reason), verify_reason_name(reason));
	assert_int_equal(result.is_proven, reason == VERIFY_OK || reason == VERIFY_BEHIND);
	assert_true(strlen(result.explanation) > 0);
	return result;
}

static struct verify_result expect(const struct forge *forge, enum verify_reason reason)
{
	struct ak ak = forge_ak(forge);
	struct verify_options options = forge_options(forge, &ak);

	return expect_with(forge, &options, reason);
}

static bool has_note(const struct verify_result *result, const char *words)
{
	for (size_t i = 0; i < result->note_count; i++)
		if (strstr(result->notes[i], words))
			return true;
	return false;
}

static int make(void **state)
{
	struct forge *forge = malloc(sizeof(*forge));

	if (!forge)
		return -1;
	forge_init(forge);
	forge_tpm(forge);
	*state = forge;
	return 0;
}

static int unmake(void **state)
{
	free(*state);
	return 0;
}

/* ---- what is good ---- */

static void honest_evidence_is_trusted(void **state)
{
	const struct forge *forge = *state;
	struct verify_result result = expect(forge, VERIFY_OK);

	assert_int_equal(result.verdict, VERIFY_TRUSTED);
	assert_int_equal(result.facts.records, FORGE_RECORDS);
	assert_int_equal(result.facts.loads[VERDICT_VERIFIED], 2);
	assert_int_equal(result.facts.loads[VERDICT_UNSIGNED], 3);
	assert_int_equal(result.facts.loads[VERDICT_UNKNOWN], 1);
	assert_int_equal(result.facts.lost, 3);
	assert_string_equal(result.facts.epoch_why, "first_use");
	assert_string_equal(result.facts.agent, "0.1.0");
	assert_true(has_note(&result, "3 events were lost"));
	assert_int_equal(result.note_count, 1);
	assert_int_equal(result.end.seq, FORGE_RECORDS);
}

static void what_was_not_checked_is_said(void **state)
{
	struct forge *forge = *state;
	struct ak ak = forge_ak(forge);
	struct verify_options options = { .ak = &ak, .pcr = 13 };

	ak.has_name = false; /* as from PEM */
	forge->safe = 0;
	forge->statement.state = EVIDENCE_DEGRADED;
	forge_quote(forge);
	struct verify_result result = expect_with(forge, &options, VERIFY_OK);

	assert_true(has_note(&result, "freshness was not checked"));
	assert_true(has_note(&result, "channel was not checked"));
	assert_true(has_note(&result, "without its attributes"));
	assert_true(has_note(&result, "stopped without warning"));
	assert_true(has_note(&result, "degraded"));
}

static void a_software_tpm_is_named(void **state)
{
	struct forge *forge = *state;
	struct record_epoch epoch = forge_epoch_record(forge);

	epoch.software = true;
	forge->count = 0;
	forge_add_epoch(forge, &epoch);
	forge_tpm(forge);
	struct verify_result result = expect(forge, VERIFY_OK);
	assert_true(has_note(&result, "software"));
}

static void an_agent_that_is_behind_leaves_it_unknown(void **state)
{
	struct forge *forge = *state;

	forge->statement.behind = 2;
	struct verify_result result = expect(forge, VERIFY_BEHIND);
	assert_int_equal(result.verdict, VERIFY_UNKNOWN);
}

static void one_quote_answers_many(void **state)
{
	struct forge *forge = *state;
	struct evidence_statement *statement = &forge->statement;
	struct merkle_hash leaves[5] = { 0 };
	struct merkle tree;

	memcpy(leaves[3].sha256, forge->extra, SHA256_LEN); /* ours is the fourth */
	assert_int_equal(merkle_init(&tree, leaves, 5), 0);
	statement->index = 3;
	statement->count = 5;
	statement->path_len = merkle_path(&tree, 3, statement->path);
	memcpy(forge->extra, merkle_root(&tree)->sha256, SHA256_LEN);
	merkle_done(&tree);
	forge_quote(forge);
	expect(forge, VERIFY_OK);

	statement->path[1].sha256[7] ^= 1;
	expect(forge, VERIFY_QUALIFYING_DATA);
	statement->path[1].sha256[7] ^= 1;
	statement->path_len--;
	expect(forge, VERIFY_QUALIFYING_DATA);
}

/* ---- before anything is believed ---- */

static struct verify_result verify_text(const struct forge *forge, const char *text, size_t len)
{
	struct ak ak = forge_ak(forge);
	struct verify_options options = forge_options(forge, &ak);

	return forge_verify_text(text, len, &options);
}

static void what_is_no_evidence_is_malformed(void **state)
{
	static const char *const texts[] = { "\n", "{}\n", "not json\n", "\xff\xfe\n" };
	const struct forge *forge = *state;
	size_t len;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(
			verify_text(forge, texts[i], strlen(texts[i])).reason, VERIFY_MALFORMED);

	char *text = forge_text(forge, &len);
	assert_int_equal(verify_text(forge, text, len - 1).reason, VERIFY_MALFORMED);
	const char *log = memchr(text, '\n', len);
	assert_int_equal(
		verify_text(forge, text, (size_t)(log + 1 - text)).reason, VERIFY_MALFORMED);
	free(text);
}

static void a_line_too_long_is_malformed(void **state)
{
	const struct forge *forge = *state;
	size_t len;
	char *text = forge_text(forge, &len);
	char *longer = malloc(len + RECORD_LINE_MAX + 2);

	assert_non_null(longer);
	memcpy(longer, text, len);
	memset(longer + len, 'x', RECORD_LINE_MAX + 1);
	longer[len + RECORD_LINE_MAX + 1] = '\n';
	assert_int_equal(
		verify_text(forge, longer, len + RECORD_LINE_MAX + 2).reason, VERIFY_MALFORMED);
	free(longer);
	free(text);
}

static void a_stream_that_fails_leaves_it_unknown(void **state)
{
	const struct forge *forge = *state;
	struct ak ak = forge_ak(forge);
	struct verify_options options = forge_options(forge, &ak);
	struct verify_result result;
	FILE *directory = fopen("/", "r");

	assert_non_null(directory);
	verify_evidence(directory, &options, &result);
	fclose(directory);
	assert_int_equal(result.reason, VERIFY_UNREADABLE);
	assert_int_equal(result.verdict, VERIFY_UNKNOWN);
}

static void another_key_is_unknown(void **state)
{
	struct forge *forge = *state;
	struct ak enrolled = forge_ak(forge);
	struct verify_options options = forge_options(forge, &enrolled);
	EVP_PKEY *other = EVP_EC_gen("P-256");

	forge->key = other;
	forge_attributes(forge, FORGE_ATTRIBUTES);
	forge_tpm(forge);
	expect_with(forge, &options, VERIFY_AK_UNKNOWN);
	EVP_PKEY_free(other);
}

static void the_enrolled_key_under_another_name_is_unknown(void **state)
{
	struct forge *forge = *state;
	struct ak enrolled = forge_ak(forge);
	struct verify_options options = forge_options(forge, &enrolled);

	forge_attributes(forge, FORGE_ATTRIBUTES & ~(uint32_t)TPMS_NO_DA);
	expect_with(forge, &options, VERIFY_AK_UNKNOWN);
}

static void a_key_that_cannot_attest_is_refused(void **state)
{
	static const uint32_t bad[] = {
		FORGE_ATTRIBUTES & ~(uint32_t)TPMS_RESTRICTED,
		FORGE_ATTRIBUTES & ~(uint32_t)TPMS_SIGN,
		FORGE_ATTRIBUTES & ~(uint32_t)TPMS_FIXED_TPM,
		FORGE_ATTRIBUTES & ~(uint32_t)TPMS_FIXED_PARENT,
		FORGE_ATTRIBUTES & ~(uint32_t)TPMS_SENSITIVE_DATA_ORIGIN,
		FORGE_ATTRIBUTES | TPMS_DECRYPT,
		FORGE_ATTRIBUTES | TPMS_X509_SIGN,
	};
	struct forge *forge = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		forge_attributes(forge, bad[i]);
		forge_tpm(forge);
		expect(forge, VERIFY_AK_ATTRIBUTES);
	}
}

static void a_quote_changed_after_signing_is_refused(void **state)
{
	struct forge *forge = *state;

	forge->statement.quote[60] ^= 1;
	expect(forge, VERIFY_SIGNATURE);
}

static void a_signature_of_zeros_is_refused(void **state)
{
	struct forge *forge = *state;

	memset(forge->statement.signature + 6, 0, 32);
	expect(forge, VERIFY_SIGNATURE);
}

static void a_signature_of_another_scheme_is_malformed(void **state)
{
	struct forge *forge = *state;

	forge->statement.signature[1] = 0x14; /* RSASSA */
	expect(forge, VERIFY_MALFORMED);
}

/* ---- what the TPM signed ---- */

/* CVE-2024-29038, CVE-2024-29040: a restricted key signs what does not begin with the magic. */
static void what_the_tpm_did_not_make_is_refused(void **state)
{
	struct forge *forge = *state;

	forge->magic = 0x4556494c; /* "EVIL" */
	forge_quote(forge);
	expect(forge, VERIFY_MAGIC);
}

static void another_attestation_is_no_quote(void **state)
{
	struct forge *forge = *state;

	forge->type = 0x8017; /* TPM_ST_ATTEST_CERTIFY */
	forge_quote(forge);
	expect(forge, VERIFY_TYPE);
}

static void a_quote_with_bytes_behind_it_is_malformed(void **state)
{
	struct forge *forge = *state;

	forge->statement.quote[forge->statement.quote_len++] = 0;
	forge_sign(forge);
	expect(forge, VERIFY_MALFORMED);
}

static void a_key_of_another_hierarchy_is_refused(void **state)
{
	struct forge *forge = *state;

	forge->hierarchy = 0x40000001; /* owner */
	forge_quote(forge);
	expect(forge, VERIFY_SIGNER);
}

static void the_answer_to_another_challenge_is_refused(void **state)
{
	const struct forge *forge = *state;
	struct ak ak = forge_ak(forge);
	struct verify_options options = forge_options(forge, &ak);
	uint8_t nonce[SHA256_LEN] = { 1 };

	options.nonce = nonce;
	expect_with(forge, &options, VERIFY_NONCE);
}

static void an_old_quote_under_a_new_nonce_is_refused(void **state)
{
	struct forge *forge = *state;

	forge->statement.nonce[0] ^= 1;
	expect(forge, VERIFY_QUALIFYING_DATA);
}

static void an_answer_passed_on_is_refused(void **state)
{
	const struct forge *forge = *state;
	struct ak ak = forge_ak(forge);
	struct verify_options options = forge_options(forge, &ak);
	uint8_t binding[SHA256_LEN] = { 1 };

	options.binding = binding;
	expect_with(forge, &options, VERIFY_BINDING);
}

/* CVE-2024-29039: the quote of one PCR shown as that of another. */
static void the_quote_of_another_pcr_is_refused(void **state)
{
	struct forge *forge = *state;

	for (size_t i = 0; i < forge->selection_count; i++)
		forge->selections[i].pcrs = 1u << 16;
	forge_quote(forge);
	expect(forge, VERIFY_PCR_SELECTION);

	for (size_t i = 0; i < forge->selection_count; i++)
		forge->selections[i].pcrs = 1u << 13 | 1u << 16;
	forge_quote(forge);
	expect(forge, VERIFY_PCR_SELECTION);
}

static void evidence_about_another_pcr_is_refused(void **state)
{
	struct forge *forge = *state;

	forge->statement.pcr = 16;
	expect(forge, VERIFY_PCR_SELECTION);
}

static void a_bank_left_out_of_the_quote_is_refused(void **state)
{
	struct forge *forge = *state;

	forge->selection_count--;
	forge_quote(forge);
	expect(forge, VERIFY_PCR_SELECTION);

	/* Left out of the statement as well: the epoch record knows it. */
	forge->statement.banks = 1u << BANK_SHA256;
	expect(forge, VERIFY_PCR_SELECTION);
}

static void a_bank_that_is_none_of_ours_is_refused(void **state)
{
	struct forge *forge = *state;

	forge->selections[forge->selection_count++] = (struct tpms_selection){ 0x12, 1u << 13 };
	forge_quote(forge);
	expect(forge, VERIFY_PCR_SELECTION);
}

static void a_bank_selected_twice_is_malformed(void **state)
{
	struct forge *forge = *state;

	forge->selections[forge->selection_count++] = forge->selections[0];
	forge_quote(forge);
	expect(forge, VERIFY_MALFORMED);
}

static void values_that_were_not_signed_are_refused(void **state)
{
	struct forge *forge = *state;

	forge->statement.values.digest[BANK_SHA384][5] ^= 1;
	expect(forge, VERIFY_PCR_DIGEST);
}

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
	expect(forge, VERIFY_MALFORMED); /* no record, and no anchor */
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
	struct record_epoch epoch = forge_epoch_record(forge);
	forge_add_epoch(forge, &epoch);
	forge_tpm(forge);
	struct verify_result result = expect(forge, VERIFY_OK);
	assert_true(has_note(&result, "records 1-19 were not shown"));

	options.after = &anchor;
	result = expect_with(forge, &options, VERIFY_OK);
	assert_true(has_note(&result, "records 9-19 were not shown"));
}

static void every_reason_has_a_word_of_its_own(void **state)
{
	(void)state;
	for (enum verify_reason a = 0; a < VERIFY_REASON_COUNT; a++)
		for (enum verify_reason b = 0; b < a; b++)
			assert_string_not_equal(verify_reason_name(a), verify_reason_name(b));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(honest_evidence_is_trusted),
		TEST(what_was_not_checked_is_said),
		TEST(a_software_tpm_is_named),
		TEST(an_agent_that_is_behind_leaves_it_unknown),
		TEST(one_quote_answers_many),
		TEST(what_is_no_evidence_is_malformed),
		TEST(a_line_too_long_is_malformed),
		TEST(a_stream_that_fails_leaves_it_unknown),
		TEST(another_key_is_unknown),
		TEST(the_enrolled_key_under_another_name_is_unknown),
		TEST(a_key_that_cannot_attest_is_refused),
		TEST(a_quote_changed_after_signing_is_refused),
		TEST(a_signature_of_zeros_is_refused),
		TEST(a_signature_of_another_scheme_is_malformed),
		TEST(what_the_tpm_did_not_make_is_refused),
		TEST(another_attestation_is_no_quote),
		TEST(a_quote_with_bytes_behind_it_is_malformed),
		TEST(a_key_of_another_hierarchy_is_refused),
		TEST(the_answer_to_another_challenge_is_refused),
		TEST(an_old_quote_under_a_new_nonce_is_refused),
		TEST(an_answer_passed_on_is_refused),
		TEST(the_quote_of_another_pcr_is_refused),
		TEST(evidence_about_another_pcr_is_refused),
		TEST(a_bank_left_out_of_the_quote_is_refused),
		TEST(a_bank_that_is_none_of_ours_is_refused),
		TEST(a_bank_selected_twice_is_malformed),
		TEST(values_that_were_not_signed_are_refused),
		TEST(a_log_without_its_beginning_is_refused),
		TEST(another_start_than_the_epochs_is_refused),
		TEST(a_base_that_nobody_explains_is_refused),
		TEST(an_epoch_in_mid_log_begins_at_zero),
		TEST(an_epoch_may_go_on_where_the_last_one_was),
		TEST(a_measured_line_that_is_no_record_is_refused),
		TEST(a_measured_record_with_a_wrong_prev_is_refused),
		TEST(a_measured_gap_in_seq_is_refused),
		TEST(an_end_that_was_not_stated_is_refused),
		TEST(a_verified_load_must_be_extended),
		TEST(the_last_line_must_be_extended),
		TEST(an_epoch_of_another_key_is_refused),
		TEST(a_reset_that_the_log_does_not_know_is_refused),
		TEST(a_quote_older_than_its_epoch_is_refused),
		TEST(evidence_goes_on_where_the_last_ended),
		TEST(nothing_new_is_proven_too),
		TEST(a_start_that_was_not_proven_is_refused),
		TEST(a_log_rolled_back_is_refused),
		TEST(a_log_rewritten_is_refused),
		TEST(another_log_is_refused),
		TEST(what_was_not_shown_is_said),
		cmocka_unit_test(every_reason_has_a_word_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
