/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/tpm_fixture.h"

enum { PCR = 13, SHA256_AND_384 = 1u << BANK_SHA256 | 1u << BANK_SHA384, ALL_BANKS = 0xf };

static void identity_is_what_the_tpm_says_and_software(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	const struct tpm_identity *identity = tpm_identity(tpm);

	assert_string_equal(identity->manufacturer, "IBM");
	assert_string_equal(identity->vendor, "SW   TPM");
	assert_true(identity->software);
	assert_int_not_equal(identity->firmware, 0);
}

static void banks_are_those_allocated(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();

	assert_int_equal(tpm_banks(tpm, PCR), SHA256_AND_384);
	assert_int_equal(tpm_foreign_bank(tpm, PCR), 0);
	assert_int_equal(tpm_banks(tpm, TPM_PCR_COUNT), 0);
	assert_int_equal(tpm_foreign_bank(tpm, TPM_PCR_COUNT), 0);
}

static void assert_pcrread(enum bank bank, const struct bank_values *values)
{
	char hex[2 * BANK_DIGEST_MAX + 1];
	const char *output = sh(
		"tpm2_pcrread -T %s %s:%d | tr A-F a-f", fixture_tcti, bank_name(bank), PCR);

	to_hex(values->digest[bank], bank_size(bank), hex);
	if (!strstr(output, hex))
		fail_msg("%s is not in %s", hex, output);
}

static void extend_is_bank_extend_in_every_bank(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct bank_values values;

	assert_ok(tpm, tpm_pcr_read(tpm, PCR, &values));
	for (int i = 0; i < 3; i++) {
		char line[32];

		snprintf(line, sizeof(line), "line %d", i);
		struct bank_values digests = digests_of(line);
		assert_ok(tpm, tpm_pcr_extend(tpm, PCR, &digests));
		fold(&values, tpm_banks(tpm, PCR), &digests);
	}
	assert_pcr(tpm, PCR, &values);
	for (enum bank bank = 0; bank < BANK_COUNT; bank++)
		if (tpm_banks(tpm, PCR) & 1u << bank)
			assert_pcrread(bank, &values);
}

static void four_banks_are_extended_in_one_command(void **state)
{
	sh("tpm2_pcrallocate -T %s sha1:all+sha256:all+sha384:all+sha512:all", fixture_tcti);
	fixture_reset(true);

	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	assert_int_equal(tpm_banks(tpm, PCR), ALL_BANKS);
	extend_is_bank_extend_in_every_bank(state);
}

static void a_bank_may_be_allocated_for_some_pcrs_only(void **)
{
	sh("tpm2_pcrallocate -T %s sha1:1,2+sha256:all+sha384:all+sha512:none", fixture_tcti);
	fixture_reset(true);

	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	assert_int_equal(tpm_banks(tpm, 2), SHA256_AND_384 | 1u << BANK_SHA1);
	assert_int_equal(tpm_banks(tpm, PCR), SHA256_AND_384);
}

static void a_pcr_out_of_reach_is_refused(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct bank_values digests = digests_of("x"), values;

	assert_int_equal(tpm_pcr_extend(tpm, 17, &digests), -EIO);
	assert_non_null(strstr(tpm_errmsg(tpm), "TPM2_PCR_Extend: "));
	assert_non_null(strstr(tpm_errmsg(tpm), "(0x907)"));
	assert_int_equal(tpm_pcr_extend(tpm, TPM_PCR_COUNT, &digests), -EIO);
	assert_int_equal(tpm_pcr_read(tpm, TPM_PCR_COUNT, &values), -EIO);
	assert_ok(tpm, tpm_pcr_read(tpm, PCR, &values));
}

static void without_a_connection_nothing_works(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = tpm_new();
	struct bank_values values = { 0 };
	struct tpm_clock clock;

	assert_string_equal(tpm_errmsg(tpm), "");
	assert_int_equal(tpm_pcr_read(tpm, PCR, &values), -ENODEV);
	assert_int_equal(tpm_pcr_extend(tpm, PCR, &values), -ENODEV);
	assert_int_equal(tpm_clock_read(tpm, &clock), -ENODEV);
	assert_int_equal(tpm_ak_open(tpm, 0x81020001), -ENODEV);
	assert_int_equal(tpm_connect(tpm, "swtpm:path=/nonexistent/sock"), -ENODEV);
	assert_string_not_equal(tpm_errmsg(tpm), "");
	assert_int_equal(tpm_connect(tpm, "nonsense:"), -ENODEV);
	tpm_free(NULL);
}

static void a_reset_moves_the_count_and_zeroes_the_pcr(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct bank_values digests = digests_of("x"), zero = { 0 };
	struct tpm_clock before, after;

	assert_ok(tpm, tpm_pcr_extend(tpm, PCR, &digests));
	assert_ok(tpm, tpm_clock_read(tpm, &before));
	fixture_reset(true);
	assert_ok(tpm, tpm_clock_read(tpm, &after));
	assert_int_equal(after.reset_count, before.reset_count + 1);
	assert_int_equal(after.restart_count, 0);
	assert_int_equal(after.firmware, tpm_identity(tpm)->firmware);
	assert_pcr(tpm, PCR, &zero);
}

static void suspend_moves_the_restart_count_and_keeps_the_pcr(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct bank_values digests = digests_of("x"), values;
	struct tpm_clock before, after;

	assert_ok(tpm, tpm_pcr_extend(tpm, PCR, &digests));
	assert_ok(tpm, tpm_pcr_read(tpm, PCR, &values));
	assert_ok(tpm, tpm_clock_read(tpm, &before));
	sh("tpm2_shutdown -T %s", fixture_tcti);
	fixture_reset(false);
	sh("tpm2_startup -T %s", fixture_tcti);
	assert_ok(tpm, tpm_clock_read(tpm, &after));
	assert_int_equal(after.reset_count, before.reset_count);
	assert_int_equal(after.restart_count, before.restart_count + 1);
	assert_pcr(tpm, PCR, &values);
}

static void a_tpm_not_started_up_is_stale_until_reconnected(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct bank_values digests = digests_of("x"), zero = { 0 };

	fixture_reset(false);
	assert_int_equal(tpm_pcr_extend(tpm, PCR, &digests), -ESTALE);
	assert_non_null(strstr(tpm_errmsg(tpm), "(0x100)"));
	assert_ok(tpm, tpm_connect(tpm, fixture_tcti));
	assert_pcr(tpm, PCR, &zero);
	assert_ok(tpm, tpm_pcr_extend(tpm, PCR, &digests));
}

static void a_killed_tpm_is_gone_until_reconnected(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	struct bank_values digests = digests_of("x"), zero = { 0 };

	assert_ok(tpm, tpm_pcr_extend(tpm, PCR, &digests));
	swtpm_kill(fixture_dir);
	assert_int_equal(tpm_pcr_extend(tpm, PCR, &digests), -ENODEV);
	assert_non_null(strstr(tpm_errmsg(tpm), "TPM2_PCR_Extend: "));
	assert_non_null(strstr(tpm_errmsg(tpm), "/tpm.sock: Connection refused"));
	assert_int_equal(tpm_pcr_extend(tpm, PCR, &digests), -ENODEV);
	assert_int_equal(tpm_connect(tpm, fixture_tcti), -ENODEV);

	fixture_ensure();
	assert_ok(tpm, tpm_connect(tpm, fixture_tcti));
	assert_pcr(tpm, PCR, &zero);
}

static void what_others_leaked_is_flushed_at_connect(void **)
{
	for (int i = 0; i < 3; i++)
		sh("tpm2_createprimary -Q -T %s -C n -G ecc -c %s/leak.ctx", fixture_tcti,
			fixture_dir);
	sh("tpm2_startauthsession -T %s -S %s/session.ctx --policy-session", fixture_tcti,
		fixture_dir);
	assert_string_not_equal(sh("tpm2_getcap -T %s handles-transient", fixture_tcti), "");
	assert_string_not_equal(sh("tpm2_getcap -T %s handles-saved-session", fixture_tcti), "");

	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	assert_string_equal(sh("tpm2_getcap -T %s handles-transient", fixture_tcti), "");
	assert_string_equal(sh("tpm2_getcap -T %s handles-loaded-session", fixture_tcti), "");
	assert_string_equal(sh("tpm2_getcap -T %s handles-saved-session", fixture_tcti), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(identity_is_what_the_tpm_says_and_software),
		cmocka_unit_test(banks_are_those_allocated),
		cmocka_unit_test(extend_is_bank_extend_in_every_bank),
		cmocka_unit_test(four_banks_are_extended_in_one_command),
		cmocka_unit_test(a_bank_may_be_allocated_for_some_pcrs_only),
		cmocka_unit_test(a_pcr_out_of_reach_is_refused),
		cmocka_unit_test(without_a_connection_nothing_works),
		cmocka_unit_test(a_reset_moves_the_count_and_zeroes_the_pcr),
		cmocka_unit_test(suspend_moves_the_restart_count_and_keeps_the_pcr),
		cmocka_unit_test(a_tpm_not_started_up_is_stale_until_reconnected),
		cmocka_unit_test(a_killed_tpm_is_gone_until_reconnected),
		cmocka_unit_test(what_others_leaked_is_flushed_at_connect),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
