/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/tpm_peer.h"

enum { PCR = 13, HANDLE = 0x81020001, FOREIGN = 0x81020002 };

static const uint8_t nonce[SHA256_LEN] = "thirty-two bytes of a nonce.....";
static uint8_t first_name[TPM_NAME_LEN];

/* The template of the AK in the words of tpm2-tools. */
#define AK_ARGUMENTS                                                                               \
	"-g sha256 -G ecc256:ecdsa-sha256:null "                                                   \
	"-a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign|noda'"

static struct tpm *opened(void)
{
	struct tpm *tpm = connected();

	assert_ok(tpm, tpm_ak_open(tpm, HANDLE));
	return tpm;
}

static void assert_same_name(const struct tpm *tpm)
{
	uint8_t name[TPM_NAME_LEN];

	tpm_ak_name(tpm, name);
	assert_memory_equal(name, first_name, sizeof(name));
}

static void assert_quotes(struct tpm *tpm)
{
	struct tpm_quote quote;

	assert_ok(tpm, tpm_quote(tpm, PCR, nonce, &quote));
}

static void ak_is_made_and_stored(void **)
{
	/* TPM 2.0 Library, Part 2, TPM2B_PUBLIC: up to the point. */
	static const uint8_t expected[] = { 0x00, 0x58, 0x00, 0x23, 0x00, 0x0b, 0x00, 0x05, 0x04,
		0x72, 0x00, 0x00, 0x00, 0x10, 0x00, 0x18, 0x00, 0x0b, 0x00, 0x03, 0x00, 0x10, 0x00,
		0x20 };
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();
	uint8_t digest[SHA256_LEN];
	const uint8_t *bytes;
	size_t len;

	assert_true(tpm_ak_is_persistent(tpm));
	tpm_ak_public(tpm, &bytes, &len);
	assert_int_equal(len, 90);
	assert_memory_equal(bytes, expected, sizeof(expected));

	tpm_ak_name(tpm, first_name);
	assert_int_equal(sha256(bytes + 2, len - 2, digest), 0);
	assert_memory_equal(first_name, "\x00\x0b", 2);
	assert_memory_equal(first_name + 2, digest, sizeof(digest));
	assert_string_equal(sh("tpm2_getcap -T %s handles-transient", fixture_tcti), "");
}

static void ak_is_found_again(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();

	assert_same_name(tpm);
	assert_ok(tpm, tpm_ak_open(tpm, HANDLE));
	assert_same_name(tpm);
	assert_quotes(tpm);
}

static void ak_is_the_same_after_a_reset(void **)
{
	fixture_reset(true);
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();
	assert_same_name(tpm);
}

static void ak_is_the_same_after_clear(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();
	struct tpm_quote quote;

	sh("tpm2_clear -T %s", fixture_tcti);
	assert_int_equal(tpm_quote(tpm, PCR, nonce, &quote), -ENOENT);
	assert_ok(tpm, tpm_ak_open(tpm, HANDLE));
	assert_true(tpm_ak_is_persistent(tpm));
	assert_same_name(tpm);
	assert_quotes(tpm);
}

static void evict(unsigned handle)
{
	sh("tpm2_evictcontrol -Q -T %s -C o -c 0x%x", fixture_tcti, handle);
}

/* A key of tpm2-tools at a persistent handle. */
static void plant(unsigned handle, const char *arguments)
{
	sh("tpm2_createprimary -Q -T %s -c %s/planted.ctx %s", fixture_tcti, fixture_dir,
		arguments);
	sh("tpm2_evictcontrol -Q -T %s -C o -c %s/planted.ctx 0x%x", fixture_tcti, fixture_dir,
		handle);
	sh("tpm2_flushcontext -T %s -t", fixture_tcti);
}

static void a_foreign_key_at_our_handle_is_refused_and_left_alone(void **)
{
	static const char *const foreign[] = {
		"-C o -G rsa",
		"-C o " AK_ARGUMENTS, /* obfuscates the counters */
		"-C e -g sha256 -G ecc256:ecdsa-sha256:null -a "
		"'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign'",
		"-C e -g sha256 -G ecc256:ecdsa-sha256:null -a "
		"'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign|noda'",
	};

	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		plant(FOREIGN, foreign[i]);
		[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
		struct tpm_quote quote;

		assert_int_equal(tpm_ak_open(tpm, FOREIGN), -EEXIST);
		assert_non_null(strstr(tpm_errmsg(tpm), "0x81020002"));
		assert_int_equal(tpm_quote(tpm, PCR, nonce, &quote), -ENOENT);
		assert_ok(tpm, tpm_ak_open(tpm, HANDLE));
		evict(FOREIGN); /* succeeds: it was still there */
	}
}

static void the_same_template_made_by_tpm2_tools_is_our_key(void **)
{
	plant(FOREIGN, "-C e " AK_ARGUMENTS);
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	assert_ok(tpm, tpm_ak_open(tpm, FOREIGN));
	assert_same_name(tpm);
	assert_quotes(tpm);
	evict(FOREIGN);
}

static void only_persistent_handles_are_taken(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();

	assert_int_equal(tpm_ak_open(tpm, 0x80000000), -EINVAL);
	assert_int_equal(tpm_ak_open(tpm, 0x4000000b), -EINVAL);
}

static void with_owner_auth_set_the_ak_is_transient(void **)
{
	evict(HANDLE);
	sh("tpm2_changeauth -T %s -c o secret", fixture_tcti);
	{
		[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();

		assert_false(tpm_ak_is_persistent(tpm));
		assert_non_null(strstr(tpm_errmsg(tpm), "TPM2_EvictControl: "));
		assert_same_name(tpm);
		assert_quotes(tpm);
		assert_ok(tpm, tpm_ak_open(tpm, HANDLE)); /* the first is not left behind */
		assert_string_equal(
			sh("tpm2_getcap -T %s handles-transient", fixture_tcti), "- 0x80000000\n");
	}
	assert_string_equal(sh("tpm2_getcap -T %s handles-transient", fixture_tcti), "");
	sh("tpm2_changeauth -T %s -c o -p secret", fixture_tcti);
}

/* A device is taken to have a resource manager behind it. */
static void a_transient_ak_has_a_connection_of_its_own(void **)
{
	struct bank_values digests = digests_of("x");

	device_setup();
	sh("tpm2_changeauth -T %s -c o secret", fixture_tcti);
	{
		[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = tpm_new();
		assert_ok(tpm, tpm_connect(tpm, device_tcti));
		for (int i = 0; i < 2; i++) {
			assert_ok(tpm, tpm_ak_open(tpm, HANDLE));
			assert_false(tpm_ak_is_persistent(tpm));
			assert_same_name(tpm);
			assert_ok(tpm, tpm_pcr_extend(tpm, PCR, &digests));
			assert_quotes(tpm);
			assert_string_equal(sh("tpm2_getcap -T %s handles-transient", fixture_tcti),
				"- 0x80000000\n");
		}
	}
	assert_string_equal(sh("tpm2_getcap -T %s handles-transient", fixture_tcti), "");
	sh("tpm2_changeauth -T %s -c o -p secret", fixture_tcti);
}

static void a_transient_ak_is_gone_after_a_reset(void **)
{
	sh("tpm2_changeauth -T %s -c o secret", fixture_tcti);
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();
	struct tpm_quote quote;

	fixture_reset(true);
	assert_int_equal(tpm_quote(tpm, PCR, nonce, &quote), -ENOENT);
	assert_ok(tpm, tpm_ak_open(tpm, HANDLE));
	assert_same_name(tpm);
	sh("tpm2_changeauth -T %s -c o -p secret", fixture_tcti);
}

static void with_endorsement_auth_set_only_a_stored_ak_can_be_used(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();

	sh("tpm2_changeauth -T %s -c e secret", fixture_tcti);
	assert_ok(tpm, tpm_ak_open(tpm, HANDLE));
	assert_quotes(tpm);
	evict(HANDLE);
	assert_int_equal(tpm_ak_open(tpm, HANDLE), -EACCES);
	sh("tpm2_changeauth -T %s -c e -p secret", fixture_tcti);
	assert_ok(tpm, tpm_ak_open(tpm, HANDLE));
}

static void fill_the_slots(void)
{
	for (int i = 0; i < 3; i++)
		sh("tpm2_createprimary -Q -T %s -C n -G ecc -c %s/leak.ctx", fixture_tcti,
			fixture_dir);
}

static void full_slots_are_flushed_for_a_quote_and_for_the_ak(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();

	fill_the_slots();
	assert_quotes(tpm);

	evict(HANDLE);
	fill_the_slots();
	assert_ok(tpm, tpm_ak_open(tpm, HANDLE));
	assert_same_name(tpm);
}

static void lockout_stops_neither_quotes_nor_extends(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();
	struct bank_values digests = digests_of("x");

	sh("tpm2_dictionarylockout -T %s -s -n 1 -t 1000 -l 1000", fixture_tcti);
	sh("tpm2_createprimary -Q -T %s -C n -G ecc -p right -c %s/da.ctx", fixture_tcti,
		fixture_dir);
	sh("! tpm2_create -Q -T %s -C %s/da.ctx -P wrong -G ecc -c %s/x.ctx 2>&1", fixture_tcti,
		fixture_dir, fixture_dir);
	sh("tpm2_getcap -T %s properties-variable | grep 'inLockout: *1'", fixture_tcti);
	assert_quotes(tpm);
	assert_ok(tpm, tpm_pcr_extend(tpm, PCR, &digests));
	assert_ok(tpm, tpm_connect(tpm, fixture_tcti));
	assert_ok(tpm, tpm_ak_open(tpm, HANDLE));
	assert_quotes(tpm);
	sh("tpm2_dictionarylockout -T %s -c", fixture_tcti);
	sh("tpm2_flushcontext -T %s -t", fixture_tcti);
}

static uint64_t big_endian(const uint8_t *bytes, size_t len)
{
	uint64_t value = 0;

	while (len--)
		value = value << 8 | *bytes++;
	return value;
}

/*
 * TPMS_ATTEST as we ask for it: magic, type, qualifiedSigner (34), extraData (32), clock, reset,
 * restart, safe, firmware, two selections of one PCR, pcrDigest (32).
 */
static void a_quote_says_what_was_asked(void **)
{
	static const uint8_t selection[] = { 0, 0, 0, 2, 0x00, 0x0b, 3, 0x00, 0x20, 0x00, 0x00,
		0x0c, 3, 0x00, 0x20, 0x00 };
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();
	struct bank_values digests = digests_of("x"), values;
	uint8_t digest[SHA256_LEN], both[32 + 48];
	struct tpm_quote quote;
	struct tpm_clock clock;

	assert_ok(tpm, tpm_pcr_extend(tpm, PCR, &digests));
	assert_ok(tpm, tpm_quote(tpm, PCR, nonce, &quote));
	assert_ok(tpm, tpm_pcr_read(tpm, PCR, &values));
	assert_ok(tpm, tpm_clock_read(tpm, &clock));

	const uint8_t *p = quote.attest;
	assert_int_equal(quote.attest_len, 151);
	assert_memory_equal(p, "\xff\x54\x43\x47\x80\x18\x00\x22", 8);
	assert_memory_equal(p + 42, "\x00\x20", 2);
	assert_memory_equal(p + 44, nonce, sizeof(nonce));
	assert_true(big_endian(p + 76, 8) <= clock.clock_ms);
	assert_int_equal(big_endian(p + 84, 4), clock.reset_count); /* in the clear */
	assert_int_equal(big_endian(p + 88, 4), clock.restart_count);
	assert_int_equal(p[92], clock.safe);
	assert_int_equal(big_endian(p + 93, 8), clock.firmware);
	assert_memory_equal(p + 101, selection, sizeof(selection));
	assert_memory_equal(p + 117, "\x00\x20", 2);

	memcpy(both, values.digest[BANK_SHA256], 32);
	memcpy(both + 32, values.digest[BANK_SHA384], 48);
	assert_int_equal(sha256(both, sizeof(both), digest), 0);
	assert_memory_equal(p + 119, digest, sizeof(digest));
}

static void a_quote_passes_tpm2_checkquote(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();
	struct bank_values values;
	struct tpm_quote quote;
	char hex[2 * sizeof(nonce) + 1];
	uint8_t pcrs[32 + 48];
	const uint8_t *public;
	size_t len;

	assert_ok(tpm, tpm_quote(tpm, PCR, nonce, &quote));
	assert_ok(tpm, tpm_pcr_read(tpm, PCR, &values));
	memcpy(pcrs, values.digest[BANK_SHA256], 32);
	memcpy(pcrs + 32, values.digest[BANK_SHA384], 48);
	tpm_ak_public(tpm, &public, &len);
	to_hex(nonce, sizeof(nonce), hex);

	write_bytes("ak.pub", public, len);
	write_bytes("attest", quote.attest, quote.attest_len);
	write_bytes("signature", quote.signature, quote.signature_len);
	write_bytes("pcrs", pcrs, sizeof(pcrs));
	sh("tpm2_print -t TPM2B_PUBLIC -f pem %1$s/ak.pub >%1$s/ak.pem", fixture_dir);
	sh("cd %s && tpm2_checkquote -u ak.pem -m attest -s signature -f pcrs "
	   "-l sha256:%d+sha384:%d -g sha256 -q %s 2>&1",
		fixture_dir, PCR, PCR, hex);

	pcrs[0] ^= 1;
	write_bytes("pcrs", pcrs, sizeof(pcrs));
	sh("cd %s && ! tpm2_checkquote -u ak.pem -m attest -s signature -f pcrs "
	   "-l sha256:%d+sha384:%d -g sha256 -q %s 2>&1",
		fixture_dir, PCR, PCR, hex);
}

/* TPMT_SIGNATURE: ECDSA, SHA-256, r, s; to the DER that openssl reads. */
static size_t to_der(const struct tpm_quote *quote, uint8_t ret_der[static 80])
{
	const uint8_t *p = quote->signature + 4;
	size_t len = 2;

	assert_memory_equal(quote->signature, "\x00\x18\x00\x0b", 4);
	for (int i = 0; i < 2; i++) {
		size_t size = big_endian(p, 2);

		assert_in_range(size, 1, 32);
		p += 2;
		for (; size > 1 && p[0] == 0; size--) /* DER takes no zero that is not needed */
			p++;
		ret_der[len++] = 0x02;
		ret_der[len++] = (uint8_t)(size + (p[0] >> 7));
		if (p[0] >> 7)
			ret_der[len++] = 0;
		memcpy(ret_der + len, p, size);
		len += size;
		p += size;
	}
	assert_int_equal(p - quote->signature, quote->signature_len);
	ret_der[0] = 0x30;
	ret_der[1] = (uint8_t)(len - 2);
	return len;
}

static void a_quote_passes_openssl_over_the_raw_bytes(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = opened();
	struct tpm_quote quote;
	const uint8_t *public;
	uint8_t der[80];
	size_t len;

	assert_ok(tpm, tpm_quote(tpm, PCR, nonce, &quote));
	tpm_ak_public(tpm, &public, &len);
	write_bytes("ak.pub", public, len);
	write_bytes("attest", quote.attest, quote.attest_len);
	write_bytes("signature.der", der, to_der(&quote, der));
	sh("tpm2_print -t TPM2B_PUBLIC -f pem %1$s/ak.pub >%1$s/ak.pem", fixture_dir);
	sh("cd %s && openssl dgst -sha256 -verify ak.pem -signature signature.der attest",
		fixture_dir);

	quote.attest[50] ^= 1;
	write_bytes("attest", quote.attest, quote.attest_len);
	sh("cd %s && ! openssl dgst -sha256 -verify ak.pem -signature signature.der attest 2>&1",
		fixture_dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ak_is_made_and_stored),
		cmocka_unit_test(ak_is_found_again),
		cmocka_unit_test(ak_is_the_same_after_a_reset),
		cmocka_unit_test(ak_is_the_same_after_clear),
		cmocka_unit_test(a_foreign_key_at_our_handle_is_refused_and_left_alone),
		cmocka_unit_test(the_same_template_made_by_tpm2_tools_is_our_key),
		cmocka_unit_test(only_persistent_handles_are_taken),
		cmocka_unit_test(with_owner_auth_set_the_ak_is_transient),
		cmocka_unit_test(a_transient_ak_has_a_connection_of_its_own),
		cmocka_unit_test(a_transient_ak_is_gone_after_a_reset),
		cmocka_unit_test(with_endorsement_auth_set_only_a_stored_ak_can_be_used),
		cmocka_unit_test(full_slots_are_flushed_for_a_quote_and_for_the_ak),
		cmocka_unit_test(lockout_stops_neither_quotes_nor_extends),
		cmocka_unit_test(a_quote_says_what_was_asked),
		cmocka_unit_test(a_quote_passes_tpm2_checkquote),
		cmocka_unit_test(a_quote_passes_openssl_over_the_raw_bytes),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
