/* SPDX-License-Identifier: BSD-2-Clause */
/* Quotes that the daemon keeps: their line, and what they prove by themselves. */
#include "attest_expect.h"
#include "attest_forge_kept.h"

#include <errno.h>

static size_t encode(const struct evidence_kept *kept, char buf[static EVIDENCE_KEPT_MAX])
{
	struct line line;

	line_init(&line, buf, EVIDENCE_KEPT_MAX);
	evidence_kept_encode(&line, kept);
	return line.len;
}

static void expect_kept(
	const struct evidence_kept *kept, const struct ak *ak, enum verify_reason reason)
{
	struct tpms_attest attest;
	char text[VERIFY_TEXT_MAX] = "";
	enum verify_reason got = verify_kept(kept, ak, &attest, text);

	if (got != reason)
		print_message("%s\n", text);
	assert_string_equal(verify_reason_name(got), verify_reason_name(reason));
	assert_int_equal(text[0] == '\0', reason == VERIFY_OK);
}

/* ---- the line ---- */

static void a_kept_quote_is_decoded_as_it_was_encoded(void **state)
{
	struct evidence_kept kept = forge_keep(*state, 5), decoded;
	struct line_error error;
	char first[EVIDENCE_KEPT_MAX], second[EVIDENCE_KEPT_MAX];
	size_t len = encode(&kept, first);

	assert_int_equal(evidence_kept_decode(first, len, &decoded, &error), 0);
	assert_memory_equal(first, "{\"bpfmeasure\":\"kept/1\",\"seq\":5,", 31);
	assert_int_equal(encode(&decoded, second), len);
	assert_memory_equal(first, second, len);
	assert_memory_equal(&decoded.values, &kept.values, sizeof(kept.values));
	expect_kept(&decoded, NULL, VERIFY_OK);
}

static void the_largest_kept_quote_fits(void **state)
{
	struct evidence_kept kept = {
		.seq = LINE_UINT_MAX,
		.pcr = EVIDENCE_PCR_MAX,
		.banks = (1u << BANK_COUNT) - 1,
		.quote_len = EVIDENCE_QUOTE_MAX,
		.signature_len = EVIDENCE_SIGNATURE_MAX,
		.ak_len = EVIDENCE_AK_MAX,
	};
	struct evidence_kept decoded;
	struct line_error error;
	char buf[EVIDENCE_KEPT_MAX];

	(void)state;
	size_t len = encode(&kept, buf);
	assert_int_equal(evidence_kept_decode(buf, len, &decoded, &error), 0);
	assert_int_equal(decoded.quote_len, EVIDENCE_QUOTE_MAX);
}

static void every_prefix_of_a_kept_quote_is_refused(void **state)
{
	struct evidence_kept kept = forge_keep(*state, 5), decoded;
	struct line_error error;
	char buf[EVIDENCE_KEPT_MAX];
	size_t len = encode(&kept, buf);

	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(evidence_kept_decode(buf, cut, &decoded, &error), -EBADMSG);
}

static void a_kept_quote_without_sha256_is_refused(void **state)
{
	struct evidence_kept kept = forge_keep(*state, 5), decoded;
	struct line_error error;
	char buf[EVIDENCE_KEPT_MAX];
	size_t len = encode(&kept, buf);
	char *at = memmem(buf, len, "{\"sha256\"", 9);

	memmove(at + 1, at + 77, len - (size_t)(at + 77 - buf)); /* sha384 stays */
	assert_int_equal(evidence_kept_decode(buf, len - 76, &decoded, &error), -EBADMSG);
	assert_string_equal(error.what, "no sha256 bank");
}

/* seq is the daemon's word: what it stands for is the sha256, which a replay compares. */
static void no_byte_of_a_kept_quote_can_be_changed(void **state)
{
	static const uint8_t masks[] = { 0x01, 0x02, 0x20, 0x90 };
	struct ak ak = forge_ak(*state);
	struct evidence_kept kept = forge_keep(*state, 5), changed;
	struct tpms_attest attest;
	struct line_error error;
	char buf[EVIDENCE_KEPT_MAX], text[VERIFY_TEXT_MAX];
	size_t len = encode(&kept, buf);
	size_t seq = (size_t)((char *)memmem(buf, len, "\"seq\":5", 7) + 6 - buf);

	for (size_t at = 0; at < len; at++)
		for (size_t i = 0; i < sizeof(masks) && at != seq; i++) {
			buf[at] = (char)(buf[at] ^ masks[i]);
			if (evidence_kept_decode(buf, len, &changed, &error) == 0 &&
				verify_kept(&changed, &ak, &attest, text) == VERIFY_OK)
				fail_msg("byte %zu: %.*s", at, (int)len, buf);
			buf[at] = (char)(buf[at] ^ masks[i]);
		}
}

/* ---- what it proves ---- */

static void a_kept_quote_says_what_the_tpm_counted(void **state)
{
	struct forge *forge = *state;
	struct ak ak = forge_ak(forge);
	struct tpms_attest attest;
	char text[VERIFY_TEXT_MAX];

	forge->clock_ms = 1700;
	struct evidence_kept kept = forge_keep(forge, 5);
	assert_int_equal(verify_kept(&kept, &ak, &attest, text), VERIFY_OK);
	assert_int_equal(attest.clock_ms, 1700);
	assert_int_equal(attest.reset_count, 5);
	assert_int_equal(attest.restart_count, 1);
}

static void a_kept_quote_of_another_key_is_refused(void **state)
{
	struct forge *forge = *state;
	struct ak enrolled = forge_ak(forge);
	EVP_PKEY *other = EVP_EC_gen("P-256");

	forge->key = other;
	forge_attributes(forge, FORGE_ATTRIBUTES);
	struct evidence_kept kept = forge_keep(forge, 5);
	expect_kept(&kept, &enrolled, VERIFY_AK_UNKNOWN);
	expect_kept(&kept, NULL, VERIFY_OK);
	EVP_PKEY_free(other);
}

static void a_kept_quote_of_a_key_that_cannot_attest_is_refused(void **state)
{
	struct forge *forge = *state;

	forge_attributes(forge, FORGE_ATTRIBUTES & ~(uint32_t)TPMS_RESTRICTED);
	struct evidence_kept kept = forge_keep(forge, 5);
	expect_kept(&kept, NULL, VERIFY_AK_ATTRIBUTES);
}

static void a_kept_quote_signed_by_somebody_else_is_refused(void **state)
{
	struct forge *forge = *state;
	struct ak enrolled = forge_ak(forge);
	struct evidence_kept honest = forge_keep(forge, 5);

	forge->key = EVP_EC_gen("P-256");
	struct evidence_kept kept = forge_keep(forge, 5);
	memcpy(kept.ak, honest.ak, honest.ak_len);
	expect_kept(&kept, &enrolled, VERIFY_SIGNATURE);
	EVP_PKEY_free(forge->key);
}

static void a_kept_quote_that_is_no_quote_is_refused(void **state)
{
	struct forge *forge = *state;

	forge->magic = 0x4556494c;
	struct evidence_kept kept = forge_keep(forge, 5);
	expect_kept(&kept, NULL, VERIFY_MAGIC);
	forge->magic = 0xff544347;
	forge->type = 0x8017;
	kept = forge_keep(forge, 5);
	expect_kept(&kept, NULL, VERIFY_TYPE);
	forge->type = 0x8018;
	forge->hierarchy = 0x40000001;
	kept = forge_keep(forge, 5);
	expect_kept(&kept, NULL, VERIFY_SIGNER);
}

static void a_kept_quote_of_other_values_is_refused(void **state)
{
	struct evidence_kept kept = forge_keep(*state, 5);

	kept.values.digest[BANK_SHA384][3] ^= 1;
	expect_kept(&kept, NULL, VERIFY_PCR_DIGEST);
}

static void a_kept_quote_of_another_pcr_or_fewer_banks_is_refused(void **state)
{
	struct evidence_kept kept = forge_keep(*state, 5);

	kept.pcr = 14;
	expect_kept(&kept, NULL, VERIFY_PCR_SELECTION);
	kept.pcr = 13;
	kept.banks = 1u << BANK_SHA256;
	expect_kept(&kept, NULL, VERIFY_PCR_SELECTION);
}

static void a_kept_quote_of_another_line_is_refused(void **state)
{
	struct evidence_kept kept = forge_keep(*state, 5);

	kept.sha256[0] ^= 1;
	expect_kept(&kept, NULL, VERIFY_QUALIFYING_DATA);
}

/* ---- neither passes for the other ---- */

static void an_answer_is_no_kept_quote(void **state)
{
	struct forge *forge = *state;
	const struct evidence_statement *statement = &forge->statement;
	struct evidence_kept kept = forge_keep(forge, FORGE_RECORDS);

	/* To a challenger who had the line's sha256 for a nonce. */
	memcpy(forge->statement.nonce, kept.sha256, SHA256_LEN);
	forge_challenge(forge);
	forge_quote(forge);
	kept.quote_len = statement->quote_len;
	memcpy(kept.quote, statement->quote, statement->quote_len);
	memcpy(kept.signature, statement->signature, statement->signature_len);
	expect_kept(&kept, NULL, VERIFY_QUALIFYING_DATA);
}

static void a_kept_quote_is_no_answer(void **state)
{
	struct forge *forge = *state;
	struct evidence_kept kept = forge_keep(forge, FORGE_RECORDS);

	memcpy(forge->statement.nonce, kept.sha256, SHA256_LEN);
	forge->statement.quote_len = kept.quote_len;
	memcpy(forge->statement.quote, kept.quote, kept.quote_len);
	memcpy(forge->statement.signature, kept.signature, kept.signature_len);
	expect(forge, VERIFY_QUALIFYING_DATA);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_kept_quote_is_decoded_as_it_was_encoded),
		cmocka_unit_test(the_largest_kept_quote_fits),
		TEST(every_prefix_of_a_kept_quote_is_refused),
		TEST(a_kept_quote_without_sha256_is_refused),
		TEST(no_byte_of_a_kept_quote_can_be_changed),
		TEST(a_kept_quote_says_what_the_tpm_counted),
		TEST(a_kept_quote_of_another_key_is_refused),
		TEST(a_kept_quote_of_a_key_that_cannot_attest_is_refused),
		TEST(a_kept_quote_signed_by_somebody_else_is_refused),
		TEST(a_kept_quote_that_is_no_quote_is_refused),
		TEST(a_kept_quote_of_other_values_is_refused),
		TEST(a_kept_quote_of_another_pcr_or_fewer_banks_is_refused),
		TEST(a_kept_quote_of_another_line_is_refused),
		TEST(an_answer_is_no_kept_quote),
		TEST(a_kept_quote_is_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
