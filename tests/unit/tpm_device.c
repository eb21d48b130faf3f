/* SPDX-License-Identifier: BSD-2-Clause */
/* A TPM behind a device, which cannot be let go of while it has a command. */
#include "tests/unit/tpm_peer.h"

#include "tpm/ek.h"

#include <time.h>

enum { PCR = 13, HANDLE = 0x81020001, LIMIT_MS = 200 };

static int setup(void **state)
{
	if (fixture_setup(state) < 0)
		return -1;
	device_setup();
	return 0;
}

static struct tpm *connected_to_device(void)
{
	struct tpm *tpm = tpm_new();

	assert_non_null(tpm);
	assert_ok(tpm, tpm_connect(tpm, device_tcti));
	tpm_set_timeout(tpm, LIMIT_MS);
	return tpm;
}

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void a_device_does_what_a_socket_does(void **)
{
	static const uint8_t nonce[SHA256_LEN];
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected_to_device();
	struct bank_values digests = digests_of("x"), expected;
	struct tpm_quote quote;

	assert_true(tpm_identity(tpm)->software);
	assert_ok(tpm, tpm_pcr_read(tpm, PCR, &expected));
	assert_ok(tpm, tpm_pcr_extend(tpm, PCR, &digests));
	fold(&expected, tpm_banks(tpm, PCR), &digests);
	assert_pcr(tpm, PCR, &expected);
	assert_ok(tpm, tpm_ak_open(tpm, HANDLE));
	assert_ok(tpm, tpm_quote(tpm, PCR, nonce, &quote));
}

static void a_command_without_an_answer_ends_and_the_device_is_kept_until_it_has_one(void **)
{
	struct tpm *tpm = connected_to_device();
	struct bank_values digests = digests_of("x"), expected;
	int before = descriptors();

	assert_ok(tpm, tpm_pcr_read(tpm, PCR, &expected));
	fold(&expected, tpm_banks(tpm, PCR), &digests);
	device_holds = true;
	long long began = now_ms();
	assert_int_equal(tpm_pcr_extend(tpm, PCR, &digests), -ENODEV);
	assert_in_range(now_ms() - began, LIMIT_MS, 5 * LIMIT_MS);
	assert_non_null(strstr(tpm_errmsg(tpm), "TPM2_PCR_Extend: no answer within 200 ms"));

	began = now_ms();
	for (int i = 0; i < 100; i++) {
		assert_int_equal(tpm_connect(tpm, device_tcti), -ENODEV);
		assert_non_null(strstr(tpm_errmsg(tpm), "not been answered yet"));
	}
	assert_in_range(now_ms() - began, 0, LIMIT_MS); /* they did not wait */
	assert_in_range(descriptors(), 0, before);

	device_holds = false;
	for (int i = 0; i < 100 && tpm_connect(tpm, device_tcti) < 0; i++)
		usleep(10000);
	/* The answer of the last command was not taken for one of these. */
	assert_pcr(tpm, PCR, &expected);
	assert_in_range(descriptors(), 0, before);
	tpm_free(tpm);
}

/* A chip takes its time for a key, and the connection that it is made on is another. */
static void a_key_that_is_not_made_in_time_is_waited_for_by_connecting_again(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected_to_device();
	struct tpm_ek ek = { .template = TPM_EK_ECC256_L2 };
	struct tpm_clock clock;

	tpm_set_timeout(tpm, TPM_TIMEOUT_MS);
	assert_ok(tpm, tpm_ek_make(tpm, &ek));
	tpm_set_timeout(tpm, LIMIT_MS);
	int before = descriptors();

	ek.public_len = 0;
	device_holds = true;
	assert_int_equal(tpm_ek_make(tpm, &ek), -ENODEV);
	assert_non_null(strstr(tpm_errmsg(tpm), "TPM2_CreatePrimary: no answer within 200 ms"));
	assert_int_equal(ek.public_len, 0);
	assert_int_equal(tpm_clock_read(tpm, &clock), -ENODEV);
	assert_int_equal(tpm_connect(tpm, device_tcti), -ENODEV);
	assert_in_range(descriptors(), 0, before);

	device_holds = false;
	for (int i = 0; i < 100 && tpm_connect(tpm, device_tcti) < 0; i++)
		usleep(10000);
	assert_ok(tpm, tpm_clock_read(tpm, &clock));
	assert_int_equal(descriptors(), before);
	/* The kernel flushes what was made there; a terminal does not. */
	sh("tpm2_flushcontext -T %s -t", fixture_tcti);
	tpm_set_timeout(tpm, TPM_TIMEOUT_MS);
	assert_ok(tpm, tpm_ek_make(tpm, &ek));
}

static void connecting_to_a_mute_device_ends(void **)
{
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = tpm_new();

	assert_non_null(tpm);
	tpm_set_timeout(tpm, LIMIT_MS);
	device_holds = true;
	long long began = now_ms();
	assert_int_equal(tpm_connect(tpm, device_tcti), -ENODEV);
	assert_in_range(now_ms() - began, LIMIT_MS, 5 * LIMIT_MS);
	assert_non_null(strstr(tpm_errmsg(tpm), "TPM2_GetCapability: no answer"));
	device_holds = false;
	for (int i = 0; i < 100 && tpm_connect(tpm, device_tcti) < 0; i++)
		usleep(10000);
	assert_ok(tpm, tpm_connect(tpm, device_tcti));
}

static void a_way_that_is_none_is_refused(void **)
{
	static const char *const names[] = { "device:/nowhere", "device:/dev/null",
		"device:", "swtpm:path=", "swtpm:host=localhost", "swtpm", "mssim", "" };
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = tpm_new();
	char name[256] = "swtpm:path=/";

	assert_non_null(tpm);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(tpm_connect(tpm, names[i]), -ENODEV);
		assert_string_not_equal(tpm_errmsg(tpm), "");
	}
	memset(name + strlen(name), 'x', 120);
	assert_int_equal(tpm_connect(tpm, name), -ENODEV);
	assert_non_null(strstr(tpm_errmsg(tpm), "too long"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_does_what_a_socket_does),
		cmocka_unit_test(
			a_command_without_an_answer_ends_and_the_device_is_kept_until_it_has_one),
		cmocka_unit_test(a_key_that_is_not_made_in_time_is_waited_for_by_connecting_again),
		cmocka_unit_test(connecting_to_a_mute_device_ends),
		cmocka_unit_test(a_way_that_is_none_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, fixture_teardown);
}
