/* SPDX-License-Identifier: BSD-2-Clause */
/* The verifier up to the values that the TPM signed: every check is failed at least once. */
#include "attest_expect.h"

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

static void every_reason_has_a_word_of_its_own(void **state)
{
	(void)state;
	for (enum verify_reason a = 0; a < VERIFY_REASON_COUNT; a++)
		for (enum verify_reason b = 0; b < a; b++)
			assert_string_not_equal(verify_reason_name(a), verify_reason_name(b));
}

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
		cmocka_unit_test(every_reason_has_a_word_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
