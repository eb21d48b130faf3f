/* SPDX-License-Identifier: BSD-2-Clause */
/* Certificates of a software TPM's EK: its maker's, and others made for it here. */
#include "ca_fixture.h"

#include "attest/ek.h"
#include "tpm/ek.h"

static struct ek rsa, ecc; /* the TPM's, with its maker's certificates: */
static struct tpm_ek rsa_found, ecc_found;
static EVP_PKEY *ecc_key;

static int begin(void **state)
{
	struct tpm_ek eks[TPM_EK_COUNT];
	char error[EK_ERROR_MAX];

	if (fixture_setup(state))
		return -1;
	[[gnu::cleanup(tpm_freep)]] struct tpm *tpm = connected();
	assert_int_equal(tpm_ek_find(tpm, eks), 2);
	rsa_found = eks[0];
	ecc_found = eks[1];
	assert_int_equal(ek_decode(rsa_found.public, rsa_found.public_len, &rsa, error), 0);
	assert_int_equal(ek_decode(ecc_found.public, ecc_found.public_len, &ecc, error), 0);
	return ek_to_pkey(&ecc, &ecc_key);
}

static int end(void **state)
{
	EVP_PKEY_free(ecc_key);
	return fixture_teardown(state);
}

/* ---- helpers ---- */

static struct ek_roots *load(const char *dir)
{
	struct ek_roots *roots;
	char error[EK_ERROR_MAX];

	if (ek_roots_load(dir, &roots, error))
		fail_msg("%s", error);
	return roots;
}

/* Of the roots as they are in the folders now. */
static enum ek_fault judge(const struct ek *ek, const uint8_t *der, size_t len,
	enum machine_tpm *ret_tpm, char error[static EK_ERROR_MAX])
{
	[[gnu::cleanup(ek_roots_freep)]] struct ek_roots *roots = load(ca_dir());

	return ek_certificate_judge(roots, ek, der, len, ret_tpm, error);
}

static void expect(enum ek_fault expected, enum ek_fault fault, const char *error)
{
	if (fault != expected)
		fail_msg("%d instead of %d: %s", fault, expected, fault ? error : "good");
}

static void expect_of(const struct ek *ek, X509 *cert, enum ek_fault expected)
{
	uint8_t *der = NULL;
	enum machine_tpm tpm;
	char error[EK_ERROR_MAX];
	int len = i2d_X509(cert, &der);

	expect(expected, judge(ek, der, (size_t)len, &tpm, error), error);
	OPENSSL_free(der);
}

/* A certificate of the ECC EK, by some authority. */
static void expect_issued(const struct ca *ca, const struct ca_wish *wish, enum ek_fault expected)
{
	X509 *cert = ca_certify(ca, ecc_key, wish);

	expect_of(&ecc, cert, expected);
	X509_free(cert);
}

static void expect_maker(enum ek_fault expected, enum machine_tpm expected_tpm)
{
	enum machine_tpm tpm = MACHINE_UNPROVEN;
	char error[EK_ERROR_MAX] = "";

	expect(expected, judge(&ecc, ecc_found.certificate, ecc_found.certificate_len, &tpm, error),
		error);
	assert_int_equal(tpm, expected_tpm);
	tpm = MACHINE_UNPROVEN;
	expect(expected, judge(&rsa, rsa_found.certificate, rsa_found.certificate_len, &tpm, error),
		error);
	assert_int_equal(tpm, expected_tpm);
}

#define MAKER_ROOT         "state/ca/swtpm-localca-rootca-cert.pem"
#define MAKER_INTERMEDIATE "state/ca/issuercert.pem"

static void give(const char *file, const char *folder, const char *name)
{
	sh("cp %s/%s %s/roots/%s/%s", fixture_dir, file, fixture_dir, folder, name);
}

/* ---- tests ---- */

static void the_folder_of_the_root_says_what_kind_of_tpm(void **)
{
	ca_folders();
	give(MAKER_ROOT, "software", "root.pem");
	give(MAKER_INTERMEDIATE, "software", "intermediate.pem");
	expect_maker(EK_GOOD, MACHINE_SOFTWARE);

	ca_folders();
	give(MAKER_ROOT, "hardware", "root.pem");
	give(MAKER_INTERMEDIATE, "software", "intermediate.pem");
	expect_maker(EK_GOOD, MACHINE_HARDWARE);

	give(MAKER_ROOT, "software", "root.pem");
	expect_maker(EK_GOOD, MACHINE_SOFTWARE);
}

static void a_chain_with_a_hole_is_refused(void **)
{
	ca_folders();
	give(MAKER_ROOT, "hardware", "root.pem");
	expect_maker(EK_CHAIN, MACHINE_UNPROVEN);
}

static void an_ek_of_another_authority_is_refused(void **)
{
	struct ca_wish wish = ca_authority("another");
	struct ca other = ca_new(NULL, &wish);

	ca_folders();
	ca_write("roots/hardware/root.pem", other.cert);
	give(MAKER_INTERMEDIATE, "hardware", "intermediate.pem");
	expect_maker(EK_CHAIN, MACHINE_UNPROVEN);
	ca_free(&other);
}

/* Names and key identifiers are claims: only the signature counts. */
static void a_clone_of_a_vendors_authority_is_refused(void **)
{
	struct ca_wish wish = ca_authority("TPM vendor");
	struct ca vendor = ca_new(NULL, &wish);
	const struct ca_wish of_ek = { .extensions = {
					       { NID_authority_key_identifier, "keyid:always" } } };
	char keyid[128], *p = keyid;

	const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(vendor.cert);
	for (int i = 0; i < ASN1_STRING_length(id); i++)
		p += sprintf(p, "%02X", ASN1_STRING_get0_data(id)[i]);
	wish.extensions[2].value = keyid;
	struct ca clone = ca_new(NULL, &wish);
	assert_int_equal(X509_NAME_cmp(X509_get_subject_name(clone.cert),
				 X509_get_subject_name(vendor.cert)),
		0);
	assert_int_equal(ASN1_OCTET_STRING_cmp(X509_get0_subject_key_id(clone.cert), id), 0);

	ca_folders();
	ca_write("roots/hardware/root.pem", vendor.cert);
	expect_issued(&vendor, &of_ek, EK_GOOD);
	expect_issued(&clone, &of_ek, EK_CHAIN);
	ca_free(&vendor);
	ca_free(&clone);
}

static void a_certificate_of_another_key_is_refused(void **)
{
	enum machine_tpm tpm;
	char error[EK_ERROR_MAX];

	ca_folders();
	give(MAKER_ROOT, "hardware", "root.pem");
	give(MAKER_INTERMEDIATE, "hardware", "intermediate.pem");
	expect(EK_KEY, judge(&rsa, ecc_found.certificate, ecc_found.certificate_len, &tpm, error),
		error);

	struct ek other = ecc;
	other.y[ecc.number_len - 1] ^= 1; /* off the curve */
	expect(EK_KEY, judge(&other, ecc_found.certificate, ecc_found.certificate_len, &tpm, error),
		error);
}

static void what_is_not_valid_today_is_refused(void **)
{
	struct ca_wish wish = ca_authority("root"), old = ca_authority("old");
	const struct ca_wish good = { 0 }, past = { .from_s = -7200, .until_s = -60 },
			     future = { .from_s = 60, .until_s = 7200 };

	old.from_s = -7200;
	old.until_s = -60;
	struct ca root = ca_new(NULL, &wish), intermediate = ca_new(&root, &old);
	ca_folders();
	ca_write("roots/hardware/root.pem", root.cert);
	ca_write("roots/hardware/old.pem", intermediate.cert);
	expect_issued(&root, &good, EK_GOOD);
	expect_issued(&root, &past, EK_CHAIN);
	expect_issued(&root, &future, EK_CHAIN);
	expect_issued(&intermediate, &good, EK_CHAIN);
	ca_free(&root);
	ca_free(&intermediate);
}

static void a_certificate_must_be_fit_for_an_ek(void **)
{
	static const struct {
		enum ek_fault fault;
		struct ca_wish wish;
	} cases[] = {
		{ EK_GOOD, { .extensions = { { NID_ext_key_usage, "2.23.133.8.1" } } } },
		{ EK_GOOD, { .extensions = { { NID_ext_key_usage, "clientAuth,2.23.133.8.1" } } } },
		{ EK_CERTIFICATE, { .extensions = { { NID_ext_key_usage, "clientAuth" } } } },
		{ EK_CERTIFICATE, { .extensions = { { NID_ext_key_usage, "2.23.133.8.1.1" } } } },
		{ EK_CERTIFICATE, { .extensions = { { NID_ext_key_usage, "2.23.133.8.3" } } } },
		{ EK_GOOD, { .extensions = { { NID_key_usage, "critical,keyAgreement" } } } },
		{ EK_GOOD, { .extensions = { { NID_key_usage, "keyEncipherment" } } } },
		{ EK_CERTIFICATE, { .extensions = { { NID_key_usage, "digitalSignature" } } } },
		{ EK_CERTIFICATE, { .extensions = { { NID_basic_constraints, "CA:TRUE" } } } },
		{ EK_GOOD, { .extensions = { { NID_basic_constraints, "critical,CA:FALSE" } } } },
		{ EK_GOOD, { .extensions = { { NID_subject_alt_name, "critical,DNS:tpm" } } } },
		{ EK_CHAIN, { .extensions = { { NID_undef, "nobody knows" } } } },
	};
	struct ca_wish wish = ca_authority("root");
	struct ca root = ca_new(NULL, &wish);

	ca_folders();
	ca_write("roots/hardware/root.pem", root.cert);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_issued(&root, &cases[i].wish, cases[i].fault);
	ca_free(&root);
}

static void only_authorities_issue(void **)
{
	static const struct ca_wish issuers[] = {
		{ .subject = "end", .extensions = { { NID_basic_constraints, "CA:FALSE" } } },
		{ .subject = "plain" },
		{ .subject = "looks like one", .extensions = { { NID_key_usage, "keyCertSign" } } },
	};
	const struct ca_wish good = { 0 };
	struct ca_wish wish = ca_authority("root");
	struct ca root = ca_new(NULL, &wish);

	ca_folders();
	ca_write("roots/hardware/root.pem", root.cert);
	for (size_t i = 0; i < sizeof(issuers) / sizeof(issuers[0]); i++) {
		struct ca issuer = ca_new(&root, &issuers[i]);
		ca_write("roots/hardware/issuer.pem", issuer.cert);
		expect_issued(&issuer, &good, EK_CHAIN);
		ca_free(&issuer);
	}
	ca_free(&root);
}

/* Some vendors mark their RSA EKs so, RFC 4055. */
static void a_key_marked_for_oaep_is_refused_by_its_name(void **)
{
	struct ca_wish wish = ca_authority("root");
	const struct ca_wish good = { 0 };
	struct ca root = ca_new(NULL, &wish);
	EVP_PKEY *key;
	uint8_t *encoded = NULL;

	assert_int_equal(ek_to_pkey(&rsa, &key), 0);
	X509 *cert = ca_certify(&root, key, &good);
	int len = i2d_PublicKey(key, &encoded);
	assert_int_equal(X509_PUBKEY_set0_param(X509_get_X509_PUBKEY(cert),
				 OBJ_nid2obj(NID_rsaesOaep), V_ASN1_NULL, NULL, encoded, len),
		1);
	assert_true(X509_sign(cert, root.key, EVP_sha256()) > 0);

	ca_folders();
	ca_write("roots/hardware/root.pem", root.cert);
	uint8_t *der = NULL;
	enum machine_tpm tpm;
	char error[EK_ERROR_MAX];
	len = i2d_X509(cert, &der);
	expect(EK_CERTIFICATE, judge(&rsa, der, (size_t)len, &tpm, error), error);
	assert_non_null(strstr(error, "id-RSAES-OAEP"));
	OPENSSL_free(der);
	X509_free(cert);
	EVP_PKEY_free(key);
	ca_free(&root);
}

static void bytes_that_are_no_certificate_are_refused(void **)
{
	uint8_t bytes[TPM_EK_CERTIFICATE_MAX + 64];
	size_t len = ecc_found.certificate_len;
	enum machine_tpm tpm;
	char error[EK_ERROR_MAX];

	ca_folders();
	give(MAKER_ROOT, "hardware", "root.pem");
	give(MAKER_INTERMEDIATE, "hardware", "intermediate.pem");
	[[gnu::cleanup(ek_roots_freep)]] struct ek_roots *roots = load(ca_dir());
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(
			ek_certificate_judge(roots, &ecc, ecc_found.certificate, cut, &tpm, error),
			EK_CERTIFICATE);
	for (size_t bit = 0; bit < 8 * len; bit += 3) {
		memcpy(bytes, ecc_found.certificate, len);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(
			ek_certificate_judge(roots, &ecc, bytes, len, &tpm, error), EK_GOOD);
	}
	memcpy(bytes, ecc_found.certificate, len);
	memset(bytes + len, 0xff, 64); /* as an NV index that is larger than what is in it */
	assert_int_equal(ek_certificate_judge(roots, &ecc, bytes, len + 64, &tpm, error), EK_GOOD);
}

static void folders_without_a_root_are_said(void **)
{
	struct ek_roots *roots;
	char error[EK_ERROR_MAX];

	assert_int_equal(ek_roots_load("/nonexistent", &roots, error), -ENOENT);
	assert_string_equal(error, "/nonexistent: No such file or directory");
	assert_string_equal(error, "/nonexistent: No such file or directory");
	ca_folders();
	const char *dir = ca_dir();
	assert_int_equal(ek_roots_load(dir, &roots, error), -ENOENT);
	give(MAKER_INTERMEDIATE, "hardware", "intermediate.pem");
	assert_int_equal(ek_roots_load(dir, &roots, error), -ENOENT);
	give(MAKER_ROOT, "hardware", "README");
	assert_int_equal(ek_roots_load(dir, &roots, error), -ENOENT);

	sh("openssl x509 -in %s/%s -outform der -out %s/hardware/root.DER", fixture_dir, MAKER_ROOT,
		dir);
	ek_roots_free(load(dir));
	sh("cat %s/%s %s/%s >%s/hardware/intermediate.pem && rm %s/hardware/root.DER", fixture_dir,
		MAKER_INTERMEDIATE, fixture_dir, MAKER_ROOT, dir, dir);
	ek_roots_free(load(dir));

	sh("head -c 300 %s/%s >>%s/hardware/intermediate.pem", fixture_dir, MAKER_ROOT, dir);
	assert_int_equal(ek_roots_load(dir, &roots, error), -EBADMSG);
	assert_non_null(strstr(error, "hardware/intermediate.pem"));
	sh("echo hello >%s/hardware/intermediate.pem", dir);
	assert_int_equal(ek_roots_load(dir, &roots, error), -EBADMSG);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_folder_of_the_root_says_what_kind_of_tpm),
		cmocka_unit_test(a_chain_with_a_hole_is_refused),
		cmocka_unit_test(an_ek_of_another_authority_is_refused),
		cmocka_unit_test(a_clone_of_a_vendors_authority_is_refused),
		cmocka_unit_test(a_certificate_of_another_key_is_refused),
		cmocka_unit_test(what_is_not_valid_today_is_refused),
		cmocka_unit_test(a_certificate_must_be_fit_for_an_ek),
		cmocka_unit_test(only_authorities_issue),
		cmocka_unit_test(a_key_marked_for_oaep_is_refused_by_its_name),
		cmocka_unit_test(bytes_that_are_no_certificate_are_refused),
		cmocka_unit_test(folders_without_a_root_are_said),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
