/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/cms.h"

#include "tests/signers.h"

static void a_signature_of_a_configured_key_is_pinned(void **)
{
	struct cms_trust *trust_bob = trust_of(&bob);

	assert_true(pinned(trust_alice, sign(&alice, NOATTR | CMS_USE_KEYID)));
	assert_true(pinned(trust_alice, sign(&alice, NOATTR)));
	assert_true(pinned(trust_alice, sign(&alice, WITH_ATTRIBUTES)));
	assert_true(pinned(trust_bob, sign(&bob, NOATTR)));
	assert_true(pinned(trust_bob, sign(&bob, WITH_ATTRIBUTES | CMS_USE_KEYID)));
	assert_false(pinned(trust_bob, sign(&alice, NOATTR)));
	assert_false(pinned(trust_alice, sign(&bob, NOATTR)));
	assert_false(pinned(trust_nobody, sign(&alice, NOATTR)));
	cms_trust_free(trust_bob);
}

static void a_renewed_certificate_of_the_key_is_as_good(void **)
{
	struct signer renewed = alice;

	renewed.cert = make_cert(alice.key, "alice 2", "another id", 10);
	assert_true(pinned(trust_alice, sign(&renewed, NOATTR | CMS_USE_KEYID)));
	X509_free(renewed.cert);
}

static void a_cloned_key_identifier_is_not_pinned(void **)
{
	struct signature forged = sign(&mallory, NOATTR | CMS_USE_KEYID);
	struct cms_claims claimed = claims(forged);

	assert_claims_key(&claimed, 0, &alice);
	cms_claims_done(&claimed);
	assert_false(pinned(trust_alice, forged));
	assert_false(pinned(trust_alice, sign(&mallory, WITH_ATTRIBUTES)));
}

static void a_certificate_inside_the_signature_is_not_used(void **)
{
	CMS_ContentInfo *cms = begin_signing(0);

	assert_non_null(CMS_add1_signer(cms, mallory.cert, mallory.key, EVP_sha256(),
		CMS_PARTIAL | CMS_BINARY | CMS_NOATTR));
	struct signature forged = end_signing(cms);
	assert_false(pinned(trust_alice, forged));
	assert_false(pinned(trust_nobody, forged));
}

static void two_signers_are_pinned_only_if_they_are_one(void **)
{
	CMS_ContentInfo *both = begin_signing(0);
	sign_by(both, &alice, EVP_sha256(), NOATTR | CMS_USE_KEYID);
	sign_by(both, &alice, EVP_sha512(), WITH_ATTRIBUTES);
	assert_true(pinned(trust_alice, end_signing(both)));

	const struct signer *others[] = { &bob, &mallory };
	for (size_t i = 0; i < 2; i++) {
		struct cms_trust *all = cms_trust_new();
		CMS_ContentInfo *cms = begin_signing(0);

		sign_by(cms, &alice, EVP_sha256(), NOATTR | CMS_USE_KEYID);
		sign_by(cms, others[i], EVP_sha256(), NOATTR | CMS_USE_KEYID);
		struct signature mixed = end_signing(cms);
		assert_false(pinned(trust_alice, mixed));

		/* Not even where both are configured: of which one would it be? */
		write_cert("all.pem", "w", &alice);
		write_cert("all.pem", "a", others[i]);
		assert_int_equal(cms_trust_load(all, in_dir("all.pem")), 0);
		assert_int_equal(cms_trust_count(all), 2);
		assert_false(pinned(all, mixed));
		assert_true(pinned(all, sign(others[i], NOATTR)));
		cms_trust_free(all);
	}
}

static void no_signers_are_pinned_to_nobody(void **)
{
	struct signature none = encode(begin_signing(0));
	struct cms_claims nothing = claims(none);

	assert_true(nothing.signers.known);
	assert_int_equal(nothing.signers.value, 0);
	assert_int_equal(nothing.count, 0);
	cms_claims_done(&nothing);
	assert_false(pinned(trust_alice, none));
}

static void a_signature_with_its_own_content_is_not_pinned(void **)
{
	BIO *content = BIO_new_mem_buf(data, sizeof(data));
	CMS_ContentInfo *cms = CMS_sign(
		alice.cert, alice.key, NULL, content, CMS_BINARY | CMS_NOCERTS | CMS_NOATTR);

	assert_non_null(cms);
	assert_false(pinned(trust_alice, encode(cms)));
	BIO_free(content);
}

static void other_data_is_not_pinned(void **)
{
	struct signature good = sign(&alice, NOATTR);
	struct signature signed_attributes = sign(&alice, WITH_ATTRIBUTES);
	uint8_t spki[SHA256_LEN];
	char changed[sizeof(data)];

	for (size_t bit = 0; bit < 8 * sizeof(data); bit++) {
		memcpy(changed, data, sizeof(data));
		changed[bit / 8] = (char)(changed[bit / 8] ^ 1 << bit % 8);
		assert_false(
			cms_pinned(trust_alice, changed, sizeof(data), good.bytes, good.len, spki));
		assert_false(cms_pinned(trust_alice, changed, sizeof(data), signed_attributes.bytes,
			signed_attributes.len, spki));
	}
	assert_false(cms_pinned(trust_alice, data, sizeof(data) - 1, good.bytes, good.len, spki));
	assert_false(cms_pinned(trust_alice, NULL, 0, good.bytes, good.len, spki));
}

/* The signature proper is the last element of the last SignerInfo. */
static void a_flipped_bit_of_the_signature_is_not_pinned(void **)
{
	struct signature good = sign(&alice, NOATTR | CMS_USE_KEYID);
	size_t begin = good.len - 70;

	for (size_t bit = 8 * begin; bit < 8 * good.len; bit++) {
		good.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(pinned(trust_alice, good));
		good.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_true(pinned(trust_alice, good));
	/* Anywhere else it must not do harm. */
	for (size_t bit = 0; bit < 8 * begin; bit++) {
		good.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		pinned(trust_alice, good);
		struct cms_claims any = claims(good);
		cms_claims_done(&any);
		good.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void an_unknown_digest_is_not_pinned(void **)
{
	static const uint8_t sha256_oid[] = { 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
		0x01 };
	struct signature signature = sign(&alice, NOATTR | CMS_USE_KEYID);

	for (size_t i = 0; i + sizeof(sha256_oid) <= signature.len; i++)
		if (memcmp(signature.bytes + i, sha256_oid, sizeof(sha256_oid)) == 0)
			signature.bytes[i + 8] = 0x7e;
	assert_false(pinned(trust_alice, signature));
	struct cms_claims claimed = claims(signature);
	assert_claims_key(&claimed, 0, &alice);
	assert_int_equal(claimed.digest_algs[0], ALG_OTHER);
	cms_claims_done(&claimed);
}

static void a_heap_of_digests_is_not_pinned(void **)
{
	const EVP_MD *many[] = { EVP_sha224(), EVP_sha256(), EVP_sha384(), EVP_sha512(),
		EVP_sha3_224(), EVP_sha3_256(), EVP_sha3_384(), EVP_sha3_512(), EVP_sha512_256() };
	struct cms_trust *trust_bob = trust_of(&bob);

	for (size_t count = CMS_DIGESTS_MAX; count <= CMS_DIGESTS_MAX + 1; count++) {
		CMS_ContentInfo *cms = begin_signing(0);

		for (size_t i = 0; i < count; i++)
			sign_by(cms, &bob, many[i], NOATTR | CMS_USE_KEYID);
		assert_int_equal(pinned(trust_bob, end_signing(cms)), count == CMS_DIGESTS_MAX);
	}
	cms_trust_free(trust_bob);
}

static void errors_of_others_stay_in_the_queue(void **)
{
	ERR_raise(ERR_LIB_USER, 42);
	struct cms_claims nothing;
	assert_int_equal(cms_claims("garbage", 7, &nothing), 0);
	cms_claims_done(&nothing);
	assert_int_equal(ERR_GET_REASON(ERR_get_error()), 42);
	assert_int_equal(ERR_peek_error(), 0);
}

/* ---- the command line of OpenSSL as a witness ---- */

static int openssl(const char *arguments)
{
	char command[512];

	snprintf(command, sizeof(command), "cd %s && openssl cms %s >/dev/null 2>&1", dir,
		arguments);
	return system(command);
}

static struct signature read_signature(const char *name)
{
	static uint8_t bytes[4096];
	FILE *file = fopen(in_dir(name), "r");

	assert_non_null(file);
	struct signature signature = { bytes, fread(bytes, 1, sizeof(bytes), file) };
	fclose(file);
	return signature;
}

static void signatures_of_the_command_line_are_judged_alike(void **)
{
	static const char *const options[] = { "-noattr -keyid", "-noattr", "-keyid", "",
		"-nocerts -noattr" };

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		char arguments[256];

		for (int by_alice = 0; by_alice < 2; by_alice++) {
			snprintf(arguments, sizeof(arguments),
				"-sign -binary -in data -signer %s.pem -inkey %s.key -outform DER -out sig %s",
				by_alice ? "alice" : "bob", by_alice ? "alice" : "bob", options[i]);
			assert_int_equal(openssl(arguments), 0);
			assert_int_equal(pinned(trust_alice, read_signature("sig")), by_alice);
		}
	}
	write_cert("both.pem", "w", &alice);
	assert_int_equal(
		openssl("-sign -binary -in data -noattr -signer alice.pem -inkey alice.key "
			"-signer bob.pem -inkey bob.key -outform DER -out sig"),
		0);
	assert_false(pinned(trust_alice, read_signature("sig")));
}

static void signatures_are_judged_as_by_the_command_line(void **)
{
	const struct {
		struct signature signature;
		bool good;
	} cases[] = {
		{ sign(&alice, NOATTR | CMS_USE_KEYID), true },
		{ sign(&alice, WITH_ATTRIBUTES), true },
		{ sign(&bob, NOATTR), false },
		{ sign(&mallory, NOATTR | CMS_USE_KEYID), false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		write_file("sig", cases[i].signature.bytes, cases[i].signature.len);
		int status = openssl("-verify -binary -inform DER -in sig -content data "
				     "-certfile alice.pem -nointern -noverify");
		assert_int_equal(status == 0, cases[i].good);
		assert_int_equal(pinned(trust_alice, cases[i].signature), cases[i].good);
	}
}

/* ---- trusted certificates ---- */

static void certificates_come_from_files_and_directories(void **)
{
	struct cms_trust *trust = cms_trust_new();

	assert_int_equal(mkdir(in_dir("certs"), 0700), 0);
	write_cert("certs/a.pem", "w", &alice);
	write_cert("certs/b", "w", &bob);
	write_cert("certs/b", "a", &mallory);
	write_file("certs/.hidden", "nonsense", 8);
	assert_int_equal(cms_trust_load(trust, in_dir("certs")), 0);
	assert_int_equal(cms_trust_count(trust), 3);
	assert_true(pinned(trust, sign(&bob, NOATTR)));
	assert_true(pinned(trust, sign(&mallory, NOATTR)));
	cms_trust_free(trust);
}

static void what_holds_no_certificate_is_an_error(void **)
{
	[[gnu::cleanup(cms_trust_freep)]] struct cms_trust *trust = cms_trust_new();

	assert_int_equal(cms_trust_load(trust, in_dir("absent")), -ENOENT);
	assert_non_null(strstr(cms_trust_errmsg(trust), "absent: "));
	write_file("empty", "", 0);
	assert_int_equal(cms_trust_load(trust, in_dir("empty")), -EINVAL);
	assert_non_null(strstr(cms_trust_errmsg(trust), "empty: no certificate in it"));
	assert_int_equal(cms_trust_load(trust, in_dir("alice.key")), -EINVAL);
	write_cert("half.pem", "w", &alice);
	assert_int_equal(truncate(in_dir("half.pem"), 200), 0);
	assert_int_equal(cms_trust_load(trust, in_dir("half.pem")), -EINVAL);
	write_file(
		"broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 59);
	assert_int_equal(cms_trust_load(trust, in_dir("broken.pem")), -EINVAL);
	assert_int_equal(cms_trust_count(trust), 0);
	assert_int_equal(ERR_peek_error(), 0);
}

static void a_key_has_the_subject_of_its_first_certificate(void **)
{
	[[gnu::cleanup(cms_trust_freep)]] struct cms_trust *trust = cms_trust_new();
	uint8_t spki[SHA256_LEN] = { 0 };
	struct signature good = sign(&alice, NOATTR | CMS_USE_KEYID);
	X509_NAME *name = X509_NAME_dup(X509_get_subject_name(alice.cert));
	struct signer renewed = { .cert = X509_dup(alice.cert) };

	assert_non_null(renewed.cert);
	assert_int_equal(X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC,
				 (const unsigned char *)"Acme, Inc.", -1, -1, 0),
		1);
	assert_int_equal(X509_set_subject_name(renewed.cert, name), 1);
	assert_true(i2d_re_X509_tbs(renewed.cert, NULL) > 0);
	write_cert("renewed.pem", "w", &renewed);
	assert_int_equal(cms_trust_load(trust, in_dir("renewed.pem")), 0);
	assert_int_equal(cms_trust_load(trust, in_dir("alice.pem")), 0);
	assert_true(cms_pinned(trust, data, sizeof(data), good.bytes, good.len, spki));
	assert_string_equal(cms_trust_subject(trust, spki), "O=Acme\\, Inc.,CN=alice");
	assert_string_equal(cms_trust_subject(trust_alice, spki), "CN=alice");
	assert_null(cms_trust_subject(trust_nobody, spki));
	X509_NAME_free(name);
	X509_free(renewed.cert);
}

static void too_many_certificates_are_an_error(void **)
{
	[[gnu::cleanup(cms_trust_freep)]] struct cms_trust *trust = cms_trust_new();

	write_cert("many.pem", "w", &alice);
	for (size_t i = 1; i < CMS_TRUST_MAX; i++)
		write_cert("many.pem", "a", &alice);
	assert_int_equal(cms_trust_load(trust, in_dir("many.pem")), 0);
	assert_int_equal(cms_trust_load(trust, in_dir("alice.pem")), -E2BIG);
	assert_int_equal(cms_trust_count(trust), CMS_TRUST_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signature_of_a_configured_key_is_pinned),
		cmocka_unit_test(a_renewed_certificate_of_the_key_is_as_good),
		cmocka_unit_test(a_cloned_key_identifier_is_not_pinned),
		cmocka_unit_test(a_certificate_inside_the_signature_is_not_used),
		cmocka_unit_test(two_signers_are_pinned_only_if_they_are_one),
		cmocka_unit_test(no_signers_are_pinned_to_nobody),
		cmocka_unit_test(a_signature_with_its_own_content_is_not_pinned),
		cmocka_unit_test(other_data_is_not_pinned),
		cmocka_unit_test(a_flipped_bit_of_the_signature_is_not_pinned),
		cmocka_unit_test(an_unknown_digest_is_not_pinned),
		cmocka_unit_test(a_heap_of_digests_is_not_pinned),
		cmocka_unit_test(errors_of_others_stay_in_the_queue),
		cmocka_unit_test(signatures_of_the_command_line_are_judged_alike),
		cmocka_unit_test(signatures_are_judged_as_by_the_command_line),
		cmocka_unit_test(certificates_come_from_files_and_directories),
		cmocka_unit_test(what_holds_no_certificate_is_an_error),
		cmocka_unit_test(a_key_has_the_subject_of_its_first_certificate),
		cmocka_unit_test(too_many_certificates_are_an_error),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
