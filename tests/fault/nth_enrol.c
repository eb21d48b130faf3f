// SPDX-License-Identifier: BSD-2-Clause
/* An enrolment when memory or OpenSSL fails in the middle of it: it could not find out, which is no
 * refusal, and good is said of nothing that is not. */
#include "tests/unit/ca_fixture.h"

#include "attest/credential.h"

#include "tests/fault/nth_each.h"

static struct ek ek;
static struct ek_pin pin;
static struct ek_roots *roots;
static uint8_t *good, *bad; /* certificates of the EK */
static int good_len, bad_len;

static int certify(const char *subject, const char *root, uint8_t **ret_der)
{
	const struct ca_wish authority = ca_authority(subject), end = { 0 };
	struct ca ca = ca_new(NULL, &authority);
	EVP_PKEY *key;

	assert_int_equal(ek_to_pkey(&ek, &key), 0);
	X509 *cert = ca_certify(&ca, key, &end);
	if (root)
		ca_write(root, ca.cert);
	int len = i2d_X509(cert, ret_der);
	X509_free(cert);
	EVP_PKEY_free(key);
	ca_free(&ca);
	return len;
}

static int begin(void **)
{
	uint8_t seed[1 + MACHINE_EK_MAX];
	char error[EK_ERROR_MAX];

	/* One of the fuzzer's: the byte before it chooses. */
	FILE *file = fopen("tests/fuzz/corpus/identity/ek-ecc256", "re");
	assert_non_null(file);
	size_t len = fread(seed, 1, sizeof(seed), file);
	fclose(file);
	assert_int_equal(ek_decode(seed + 1, len - 1, &ek, error), 0);
	assert_int_equal(ek_pin_decode(seed + 1, len - 1, &pin, error), 0);
	assert_non_null(mkdtemp(fixture_dir));
	ca_folders();
	good_len = certify("root", "roots/hardware/root.pem", &good);
	bad_len = certify("root", NULL, &bad);
	return ek_roots_load(ca_dir(), &roots, error);
}

static int end(void **)
{
	ek_roots_free(roots);
	OPENSSL_free(good);
	OPENSSL_free(bad);
	sh("rm -r %s", fixture_dir);
	return 0;
}

static const int errors[] = { -ENOMEM, -EIO, 0 };

static void each(const char *name, int (*call)(void), void (*check)(int r))
{
	nth_each(&(struct nth_scenario){
		.name = name,
		.classes = 1 << NTH_MEMORY | 1 << NTH_OPENSSL | 1 << NTH_HEAP,
		.errors = errors,
		.call = call,
		.check = check,
	});
}

static void anything_goes(int)
{
}

static int make_credential(void)
{
	const uint8_t secret[ACTIVATION_SECRET_LEN] = { 1 }, name[34] = { 0, 0x0b };
	struct credential credential;

	return credential_make(&ek, name, sizeof(name), secret, &credential);
}

static void a_credential_is_made_or_not(void **)
{
	each("credential_make", make_credential, anything_goes);
}

static int match_pin(void)
{
	int matches = ek_pin_matches(&pin, &ek);

	return matches ? matches : -EPERM;
}

static void a_pinned_ek_is_found_again_or_not_found_bad(void **)
{
	each("ek_pin_matches", match_pin, anything_goes);
}

static enum ek_fault judge(const uint8_t *der, int len)
{
	char error[EK_ERROR_MAX];
	enum machine_tpm tpm;

	return ek_certificate_judge(roots, &ek, der, (size_t)len, &tpm, error);
}

static int judge_good(void)
{
	enum ek_fault fault = judge(good, good_len);

	return fault == EK_FAILED ? -ENOMEM : fault ? -EPERM : 0;
}

/* Why it is refused may be another reason than without the fault. */
static int judge_bad(void)
{
	enum ek_fault fault = judge(bad, bad_len);

	return fault == EK_FAILED ? -ENOMEM : fault ? 0 : -EPERM;
}

static void a_certificate_is_judged_or_not(void **)
{
	each("ek_certificate_judge: good", judge_good, anything_goes);
	each("ek_certificate_judge: bad", judge_bad, anything_goes);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_credential_is_made_or_not),
		cmocka_unit_test(a_pinned_ek_is_found_again_or_not_found_bad),
		cmocka_unit_test(a_certificate_is_judged_or_not),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
