// SPDX-License-Identifier: BSD-2-Clause
/* The TPM when ESYS, memory or OpenSSL fails in the middle of a call: the error is one of tpm.h, and after
 * -ENODEV the PCR is where it was or where it should be. */
#include "tests/unit/ek_fixture.h"

#include "tests/fault/nth_each.h"

static const int errors[] = { -ENOMEM, -EAGAIN, -EIO, -ENODEV, -ENOSPC, 0 };
static const int activate_errors[] = { -ENOMEM, -EAGAIN, -EIO, -ENODEV, -ENOSPC, -EBADMSG, 0 };
enum {
	CLASSES = 1 << NTH_MEMORY | 1 << NTH_ESYS |
		1 << NTH_OPENSSL, /* libtss2 leaks without a heap */
	PCR = 13,
	AK_HANDLE = 0x81020013
};

static struct tpm *tpm;

static void tpm_new_connected(void)
{
	tpm = connected();
	assert_ok(tpm, tpm_ak_open(tpm, AK_HANDLE));
}

static void tpm_end(void)
{
	tpm_free(tpm);
}

/* After -ENODEV the context says so until it is connected again. */
static void reconnect(int r)
{
	struct tpm_clock clock;

	if (r != -ENODEV)
		return;
	assert_int_equal(tpm_clock_read(tpm, &clock), -ENODEV);
	assert_ok(tpm, tpm_connect(tpm, fixture_tcti));
	assert_ok(tpm, tpm_ak_open(tpm, AK_HANDLE));
}

/* ---- connecting ---- */

static void tpm_new_only(void)
{
	tpm = tpm_new();
	assert_non_null(tpm);
}

static int connect_and_open(void)
{
	int r = tpm_connect(tpm, fixture_tcti);

	return r < 0 ? r : tpm_ak_open(tpm, AK_HANDLE);
}

static void has_ak(int r)
{
	uint8_t name[TPM_NAME_LEN];

	if (r < 0)
		return;
	assert_true(tpm_banks(tpm, PCR) & 1 << BANK_SHA256);
	tpm_ak_name(tpm, name);
	assert_int_equal(name[1], 0x0b);
}

static void a_connection_is_made_or_not(void **)
{
	nth_each(&(struct nth_scenario){ .name = "tpm_connect, tpm_ak_open",
		.classes = CLASSES,
		.errors = errors,
		.before = tpm_new_only,
		.call = connect_and_open,
		.check = has_ak,
		.done = tpm_end });
}

static void without_the_key(void)
{
	tpm_new_only();
	sh("tpm2_evictcontrol -T %s -C o -c 0x%x 2>&1 || true", fixture_tcti, AK_HANDLE);
}

static void the_key_is_made_or_not(void **)
{
	nth_each(&(struct nth_scenario){ .name = "tpm_ak_open of a new key",
		.classes = CLASSES,
		.errors = errors,
		.before = without_the_key,
		.call = connect_and_open,
		.check = has_ak,
		.done = tpm_end });
}

/* ---- the PCR ---- */

static struct bank_values before, digests, values;
static struct tpm_clock counters, pattern;
static struct tpm_quote quote, no_quote;

static void with_a_pcr(void)
{
	tpm_new_connected();
	assert_ok(tpm, tpm_pcr_read(tpm, PCR, &before));
	digests = digests_of("a line");
	memset(&values, 0x5a, sizeof(values));
	memset(&pattern, 0x5a, sizeof(pattern));
	memset(&no_quote, 0x5a, sizeof(no_quote));
	counters = pattern;
	quote = no_quote;
}

static int extend(void)
{
	return tpm_pcr_extend(tpm, PCR, &digests);
}

/* It is extended once, or not at all; which, after -ENODEV, the PCR tells. */
static void is_extended(int r)
{
	struct bank_values after = before, now;

	reconnect(r);
	fold(&after, tpm_banks(tpm, PCR), &digests);
	assert_ok(tpm, tpm_pcr_read(tpm, PCR, &now));
	if (r == -ENODEV) {
		if (memcmp(&now, &after, sizeof(now)) != 0)
			assert_memory_equal(&now, &before, sizeof(now));
		before = now;
		return;
	}
	assert_memory_equal(&now, r < 0 ? &before : &after, sizeof(now));
}

static void a_pcr_is_extended_once_or_not(void **)
{
	for (int i = 0; i < 2; i++) /* an extend that gets no answer is done, or not, in turn */
		nth_each(&(struct nth_scenario){ .name = "tpm_pcr_extend",
			.classes = CLASSES,
			.errors = errors,
			.before = with_a_pcr,
			.call = extend,
			.check = is_extended,
			.done = tpm_end });
}

static int read_pcr(void)
{
	return tpm_pcr_read(tpm, PCR, &values);
}

static void pcr_is_read(int r)
{
	struct bank_values untouched;

	reconnect(r);
	memset(&untouched, 0x5a, sizeof(untouched));
	assert_memory_equal(&values, r < 0 ? &untouched : &before, sizeof(values));
}

static void a_pcr_is_read_or_not(void **)
{
	nth_each(&(struct nth_scenario){ .name = "tpm_pcr_read",
		.classes = CLASSES,
		.errors = errors,
		.before = with_a_pcr,
		.call = read_pcr,
		.check = pcr_is_read,
		.done = tpm_end });
}

static int read_clock(void)
{
	return tpm_clock_read(tpm, &counters);
}

static void clock_is_read(int r)
{
	reconnect(r);
	if (r < 0)
		assert_memory_equal(&counters, &pattern, sizeof(counters));
	else
		assert_int_not_equal(counters.clock_ms, pattern.clock_ms);
}

static void the_clock_is_read_or_not(void **)
{
	nth_each(&(struct nth_scenario){ .name = "tpm_clock_read",
		.classes = CLASSES,
		.errors = errors,
		.before = with_a_pcr,
		.call = read_clock,
		.check = clock_is_read,
		.done = tpm_end });
}

static int take_quote(void)
{
	static const uint8_t qualifying[SHA256_LEN] = { 1 };

	return tpm_quote(tpm, PCR, qualifying, &quote);
}

static void quote_is_taken(int r)
{
	reconnect(r);
	if (r < 0)
		assert_memory_equal(&quote, &no_quote, sizeof(quote));
	else
		assert_in_range(quote.attest_len, 100, TPM_ATTEST_MAX);
}

static void a_quote_is_taken_or_not(void **)
{
	nth_each(&(struct nth_scenario){ .name = "tpm_quote",
		.classes = CLASSES,
		.errors = errors,
		.before = with_a_pcr,
		.call = take_quote,
		.check = quote_is_taken,
		.done = tpm_end });
}

/* ---- the endorsement keys ---- */

static struct tpm_ek eks[TPM_EK_COUNT], new_ek, no_ek;
static struct credential credential;
static uint8_t secret[TPM_EK_SECRET_MAX], no_secret[TPM_EK_SECRET_MAX];

static void with_an_ek(void)
{
	tpm_new_connected();
	new_ek = made(tpm, TPM_EK_ECC256_L2);
	credential = credential_for(&new_ek, tpm);
	memset(secret, 0x5a, sizeof(secret));
	memset(no_secret, 0x5a, sizeof(no_secret));
	no_ek = (struct tpm_ek){ .template = TPM_EK_ECC256_L2 };
}

static int find_eks(void)
{
	return tpm_ek_find(tpm, eks);
}

/* One that is refused is left out. */
static void eks_are_found(int r)
{
	reconnect(r);
	assert_true(r <= 2);
	for (int i = 0; i < r; i++)
		assert_true(eks[i].certificate_len ? eks[i].certificate[0] == 0x30
						   : eks[i].public_len > 0);
	assert_loaded("");
}

static void eks_are_found_or_not(void **)
{
	nth_each(&(struct nth_scenario){ .name = "tpm_ek_find",
		.classes = CLASSES,
		.errors = errors,
		.before = tpm_new_connected,
		.call = find_eks,
		.check = eks_are_found,
		.done = tpm_end });
}

static int make_ek(void)
{
	new_ek = no_ek;
	return tpm_ek_make(tpm, &new_ek);
}

static void ek_is_made(int r)
{
	reconnect(r);
	if (r < 0)
		assert_memory_equal(&new_ek, &no_ek, sizeof(new_ek));
	else
		assert_true(new_ek.public_len > 0);
	assert_loaded("");
}

static void an_ek_is_made_or_not(void **)
{
	nth_each(&(struct nth_scenario){ .name = "tpm_ek_make",
		.classes = CLASSES,
		.errors = errors,
		.before = with_an_ek,
		.call = make_ek,
		.check = ek_is_made,
		.done = tpm_end });
}

static int activate_credential(void)
{
	return activate(tpm, &new_ek, &credential, secret);
}

static void credential_is_activated(int r)
{
	reconnect(r);
	if (r < 0)
		assert_memory_equal(secret, no_secret, sizeof(secret));
	else
		assert_memory_equal(secret, secret_of_the_verifier, SECRET_LEN);
	assert_loaded("");
}

static void a_credential_is_activated_or_not(void **)
{
	nth_each(&(struct nth_scenario){ .name = "tpm_ek_activate",
		.classes = CLASSES,
		.errors = activate_errors,
		.before = with_an_ek,
		.call = activate_credential,
		.check = credential_is_activated,
		.done = tpm_end });
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_key_is_made_or_not),
		cmocka_unit_test(a_connection_is_made_or_not),
		cmocka_unit_test(a_pcr_is_extended_once_or_not),
		cmocka_unit_test(a_pcr_is_read_or_not),
		cmocka_unit_test(the_clock_is_read_or_not),
		cmocka_unit_test(a_quote_is_taken_or_not),
		cmocka_unit_test(eks_are_found_or_not),
		cmocka_unit_test(an_ek_is_made_or_not),
		cmocka_unit_test(a_credential_is_activated_or_not),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
