/* SPDX-License-Identifier: BSD-2-Clause */
/* The verifier against a TPM that is not ours: a software TPM's own keys, extends and quotes. */
#include "attest_forge.h"
#include "tpm_fixture.h"

enum { HANDLE = 0x81020001 };

static struct tpm *opened(void)
{
	struct tpm *tpm = connected();

	assert_ok(tpm, tpm_ak_open(tpm, HANDLE));
	return tpm;
}

/* The log of the forge, but its epoch is the TPM's. */
static void begin(struct forge *forge, struct tpm *tpm)
{
	struct evidence_statement *statement = &forge->statement;
	struct tpms_error error;
	struct tpm_clock clock;
	const uint8_t *public;
	size_t len;

	forge_init(forge);
	tpm_ak_public(tpm, &public, &len);
	memcpy(statement->ak, public, len);
	statement->ak_len = len;
	assert_int_equal(tpms_public_decode(public, len, &forge->public, &error), 0);
	assert_ok(tpm, tpm_clock_read(tpm, &clock));
	forge->reset_count = clock.reset_count;
	forge->restart_count = clock.restart_count;

	struct record_epoch epoch = forge_epoch_record(forge);
	epoch.banks = statement->start_banks = tpm_banks(tpm, statement->pcr);
	epoch.clock_ms = clock.clock_ms;
	epoch.software = true;
	assert_ok(tpm, tpm_pcr_read(tpm, statement->pcr, &epoch.base));
	statement->start = epoch.base;
	forge->count = 0;
	forge_add_epoch(forge, &epoch);
	forge_add_load(forge, "one", VERDICT_VERIFIED, true);
	forge_add_load(forge, "two", VERDICT_UNSIGNED, false);
	forge_add_load(forge, "three", VERDICT_UNSIGNED, true);
}

static void extend_log(const struct forge *forge, struct tpm *tpm)
{
	for (size_t i = 0; i < forge->count; i++) {
		const struct forge_line *line = &forge->lines[i];
		struct bank_values digests = { 0 };
		if (memmem(line->text, line->len, "\"extend\":false", 14))
			continue;
		for (enum bank bank = 0; bank < BANK_COUNT; bank++)
			assert_int_equal(
				bank_hash(bank, line->text, line->len, digests.digest[bank]), 0);
		assert_ok(tpm, tpm_pcr_extend(tpm, forge->statement.pcr, &digests));
	}
}

static void quote(struct forge *forge, struct tpm *tpm)
{
	struct evidence_statement *statement = &forge->statement;
	struct tpm_quote quote;

	statement->banks = tpm_banks(tpm, statement->pcr);
	assert_ok(tpm, tpm_pcr_read(tpm, statement->pcr, &statement->values));
	assert_ok(tpm, tpm_quote(tpm, statement->pcr, forge->extra, &quote));
	memcpy(statement->quote, quote.attest, quote.attest_len);
	statement->quote_len = quote.attest_len;
	memcpy(statement->signature, quote.signature, quote.signature_len);
	statement->signature_len = quote.signature_len;
}

static void expect(const struct forge *forge, enum verify_reason reason)
{
	struct ak ak = forge_ak(forge);
	struct verify_options options = forge_options(forge, &ak);
	struct verify_result result = forge_verify(forge, &options);

	if (result.reason != reason)
		print_message("%s\n", result.explanation);
	assert_string_equal(verify_reason_name(result.reason), verify_reason_name(reason));
}

static void what_a_tpm_signs_is_trusted(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();
	static struct forge forge;

	fixture_reset(true);
	begin(&forge, tpm);
	extend_log(&forge, tpm);
	quote(&forge, tpm);
	expect(&forge, VERIFY_OK);

	forge_edit(&forge, 2, "one", "ONE");
	expect(&forge, VERIFY_REPLAY);
}

static void an_extend_by_others_breaks_the_replay(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();
	static struct forge forge;

	fixture_reset(true);
	begin(&forge, tpm);
	extend_log(&forge, tpm);
	sh("tpm2_pcrextend -T %s 13:sha384=$(printf %%096d 7)", fixture_tcti);
	quote(&forge, tpm);
	expect(&forge, VERIFY_REPLAY);
}

static void a_reset_does_not_bring_the_log_back(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();
	static struct forge forge;

	fixture_reset(true);
	begin(&forge, tpm);
	extend_log(&forge, tpm);
	fixture_reset(true);
	extend_log(&forge, tpm); /* as root could, to look as if nothing had been */
	quote(&forge, tpm);
	expect(&forge, VERIFY_EPOCH_COUNTS);
}

/* CVE-2024-29038, CVE-2024-29040: the TPM signs with its restricted key what somebody else made. */
static void what_a_tpm_was_handed_is_no_quote(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();
	static struct forge forge;
	struct evidence_statement *statement = &forge.statement;
	char path[64];

	fixture_reset(true);
	begin(&forge, tpm);
	extend_log(&forge, tpm);
	quote(&forge, tpm);
	memcpy(statement->quote, "EVIL", 4);
	snprintf(path, sizeof(path), "%s/evil", fixture_dir);
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(
		fwrite(statement->quote, 1, statement->quote_len, file), statement->quote_len);
	fclose(file);
	sh("cd %s && tpm2_hash -Q -T %s -C e -g sha256 -t ticket -o digest evil && "
	   "tpm2_sign -Q -T %s -c 0x%x -g sha256 -s ecdsa -d -t ticket -o signature digest",
		fixture_dir, fixture_tcti, fixture_tcti, HANDLE);
	snprintf(path, sizeof(path), "%s/signature", fixture_dir);
	file = fopen(path, "rb");
	assert_non_null(file);
	statement->signature_len = fread(statement->signature, 1, EVIDENCE_SIGNATURE_MAX, file);
	fclose(file);
	expect(&forge, VERIFY_MAGIC);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_tpm_signs_is_trusted),
		cmocka_unit_test(an_extend_by_others_breaks_the_replay),
		cmocka_unit_test(a_reset_does_not_bring_the_log_back),
		cmocka_unit_test(what_a_tpm_was_handed_is_no_quote),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
