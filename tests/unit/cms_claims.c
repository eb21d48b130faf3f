/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/cms.h"

#include "tests/signers.h"

static void a_key_identifier_is_claimed(void **)
{
	struct cms_claims one = claims(sign(&alice, NOATTR | CMS_USE_KEYID));

	assert_int_equal(one.signers.value, 1);
	assert_int_equal(one.count, 1);
	assert_claims_key(&one, 0, &alice);
	cms_claims_done(&one);
}

static void an_issuer_is_claimed_by_the_digest_of_its_der(void **)
{
	struct cms_claims one = claims(sign(&alice, NOATTR));
	/* SEQUENCE { SEQUENCE { SET { SEQUENCE { commonName, UTF8String alice } } }, INTEGER 7 } */
	static const uint8_t der[] = "\x30\x15\x30\x10\x31\x0e\x30\x0c\x06\x03\x55\x04\x03\x0c\x05"
				     "alice\x02\x01\x07";
	uint8_t digest[SHA256_LEN];

	assert_int_equal(sha256(der, sizeof(der) - 1, digest), 0);
	assert_claim(&one, 0, "issuer:", digest, sizeof(digest));
	cms_claims_done(&one);
}

static void every_signer_is_claimed(void **)
{
	CMS_ContentInfo *cms = begin_signing(0);

	sign_by(cms, &alice, EVP_sha256(), NOATTR | CMS_USE_KEYID);
	sign_by(cms, &bob, EVP_sha256(), NOATTR | CMS_USE_KEYID);
	struct cms_claims two = claims(end_signing(cms));
	assert_int_equal(two.signers.value, 2);
	assert_int_equal(two.count, 2);

	const ASN1_OCTET_STRING *keyid = X509_get0_subject_key_id(alice.cert);
	char first[] = { two.key_ids[0].bytes[6], two.key_ids[0].bytes[7], '\0' };
	bool alice_first = strtoul(first, NULL, 16) == ASN1_STRING_get0_data(keyid)[0];
	assert_claims_key(&two, !alice_first, &alice);
	assert_claims_key(&two, alice_first, &bob);
	cms_claims_done(&two);
}

static void the_digest_of_every_signer_is_told(void **)
{
	CMS_ContentInfo *cms = begin_signing(0);

	sign_by(cms, &alice, EVP_sha512(), NOATTR | CMS_USE_KEYID);
	sign_by(cms, &alice, EVP_sha384(), NOATTR | CMS_USE_KEYID);
	struct cms_claims two = claims(end_signing(cms));
	bool told[ALG_SHA3_512 + 1] = { 0 };

	assert_int_equal(two.count, 2);
	for (size_t i = 0; i < two.count; i++) /* DER sorts them */
		told[two.digest_algs[i]] = true;
	assert_true(told[ALG_SHA512]);
	assert_true(told[ALG_SHA384]);
	cms_claims_done(&two);
}

static void more_signers_than_fit_are_counted(void **)
{
	CMS_ContentInfo *cms = begin_signing(0);

	for (size_t i = 0; i < RECORD_SIGNERS_MAX + 3; i++)
		sign_by(cms, &alice, EVP_sha256(), NOATTR | CMS_USE_KEYID);
	struct signature signature = end_signing(cms);
	struct cms_claims many = claims(signature);
	assert_int_equal(many.signers.value, RECORD_SIGNERS_MAX + 3);
	assert_int_equal(many.count, RECORD_SIGNERS_MAX);
	assert_claims_key(&many, RECORD_SIGNERS_MAX - 1, &alice);
	cms_claims_done(&many);
	assert_false(pinned(trust_alice, signature));
}

static void a_long_key_identifier_is_claimed_whole(void **)
{
	uint8_t keyid[3000];

	memset(keyid, 0xab, sizeof(keyid));
	struct signer verbose = make_signer(EVP_EC_gen("P-256"), "verbose", keyid, sizeof(keyid));
	struct cms_claims one = claims(sign(&verbose, NOATTR | CMS_USE_KEYID));
	assert_int_equal(one.key_ids[0].len, strlen("keyid:") + 2 * sizeof(keyid));
	cms_claims_done(&one);
	EVP_PKEY_free(verbose.key);
	X509_free(verbose.cert);
}

/* ---- what is no signature ---- */

static void garbage_claims_nothing(void **)
{
	uint8_t bytes[256];

	assert_claims_nothing((struct signature){ bytes, 0 });
	for (unsigned i = 0; i < 20000; i++) {
		for (size_t k = 0; k < sizeof(bytes); k++)
			bytes[k] = (uint8_t)random();
		bytes[0] = 0x30;
		assert_claims_nothing((struct signature){ bytes, i % sizeof(bytes) });
	}
}

static void a_part_of_a_signature_claims_nothing(void **)
{
	struct signature whole = sign(&alice, NOATTR | CMS_USE_KEYID);

	for (size_t len = 0; len < whole.len; len++)
		assert_claims_nothing((struct signature){ whole.bytes, len });
}

static void bytes_behind_a_signature_are_refused(void **)
{
	struct signature whole = sign(&alice, NOATTR | CMS_USE_KEYID);
	struct signature longer = { malloc(whole.len + 1), whole.len + 1 };

	memcpy(longer.bytes, whole.bytes, whole.len);
	longer.bytes[whole.len] = 0;
	assert_claims_nothing(longer);
	free(longer.bytes);
}

static void ber_that_is_not_der_is_refused(void **)
{
	struct signature whole = sign(&alice, NOATTR | CMS_USE_KEYID);
	struct signature ber = { malloc(whole.len + 1), whole.len + 1 };

	/* The outermost length becomes an indefinite one: 30 81 LL ... -> 30 80 ... 00 00 */
	assert_memory_equal(whole.bytes, "\x30\x81", 2);
	memcpy(ber.bytes, "\x30\x80", 2);
	memcpy(ber.bytes + 2, whole.bytes + 3, whole.len - 3);
	memset(ber.bytes + whole.len - 1, 0, 2);

	const uint8_t *at = ber.bytes;
	CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &at, (long)ber.len);
	assert_non_null(cms); /* OpenSSL takes it */
	CMS_ContentInfo_free(cms);
	assert_claims_nothing(ber);
	free(ber.bytes);
}

static void other_content_types_are_refused(void **)
{
	BIO *content = BIO_new_mem_buf(data, sizeof(data));

	assert_claims_nothing(encode(CMS_data_create(content, CMS_BINARY)));
	BIO_free(content);
}

static void what_is_too_large_is_not_looked_at(void **)
{
	struct signature large = { calloc(1, CMS_SIGNATURE_MAX + 1), CMS_SIGNATURE_MAX + 1 };

	assert_claims_nothing(large);
	free(large.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_identifier_is_claimed),
		cmocka_unit_test(an_issuer_is_claimed_by_the_digest_of_its_der),
		cmocka_unit_test(every_signer_is_claimed),
		cmocka_unit_test(the_digest_of_every_signer_is_told),
		cmocka_unit_test(more_signers_than_fit_are_counted),
		cmocka_unit_test(a_long_key_identifier_is_claimed_whole),
		cmocka_unit_test(garbage_claims_nothing),
		cmocka_unit_test(a_part_of_a_signature_claims_nothing),
		cmocka_unit_test(bytes_behind_a_signature_are_refused),
		cmocka_unit_test(ber_that_is_not_der_is_refused),
		cmocka_unit_test(other_content_types_are_refused),
		cmocka_unit_test(what_is_too_large_is_not_looked_at),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
