/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/cms.h"

#include <errno.h>
#include <openssl/cms.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "bpf/line.h"

/* Somebody with a key and a certificate of it. */
struct signer {
	EVP_PKEY *key;
	X509 *cert;
};

static struct signer alice, bob, mallory; /* mallory's certificate has alice's key identifier */
static struct cms_trust *trust_alice, *trust_nobody;
static char dir[] = "/tmp/bpfmeasure-cms-XXXXXX";
static const char data[] = "instructions of a program";

enum { NOATTR = CMS_NOATTR, WITH_ATTRIBUTES = 0 };

/* ---- making certificates and signatures ---- */

static const char *in_dir(const char *name)
{
	static char paths[4][128];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static void write_file(const char *name, const void *bytes, size_t len)
{
	FILE *file = fopen(in_dir(name), "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static void write_cert(const char *name, const char *mode, const struct signer *signer)
{
	FILE *file = fopen(in_dir(name), mode);

	assert_non_null(file);
	assert_int_equal(PEM_write_X509(file, signer->cert), 1);
	assert_int_equal(fclose(file), 0);
}

static void write_key(const char *name, const struct signer *signer)
{
	FILE *file = fopen(in_dir(name), "w");

	assert_non_null(file);
	assert_int_equal(PEM_write_PrivateKey(file, signer->key, NULL, NULL, 0, NULL, NULL), 1);
	assert_int_equal(fclose(file), 0);
}

/* A self-signed certificate; keyid of key_len bytes, or that of the key where key_len is 0. */
static X509 *make_cert(EVP_PKEY *key, const char *name, const void *keyid, int keyid_len)
{
	X509 *cert = X509_new();
	X509_NAME *subject = X509_get_subject_name(cert);
	ASN1_OCTET_STRING *identifier = ASN1_OCTET_STRING_new();
	uint8_t digest[20];

	assert_int_equal(X509_set_version(cert, X509_VERSION_3), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(cert), 7), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), -7200));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), -3600)); /* has expired */
	assert_int_equal(X509_set_pubkey(cert, key), 1);
	assert_int_equal(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
				 (const unsigned char *)name, -1, -1, 0),
		1);
	assert_int_equal(X509_set_issuer_name(cert, subject), 1);
	if (!keyid) {
		assert_int_equal(X509_pubkey_digest(cert, EVP_sha1(), digest, NULL), 1);
		keyid = digest;
		keyid_len = sizeof(digest);
	}
	assert_int_equal(ASN1_OCTET_STRING_set(identifier, keyid, keyid_len), 1);
	assert_int_equal(X509_add1_ext_i2d(cert, NID_subject_key_identifier, identifier, 0, 0), 1);
	ASN1_OCTET_STRING_free(identifier);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	return cert;
}

struct signature {
	uint8_t *bytes;
	size_t len;
};

/* Every signature lives until the end of the tests. */
static uint8_t *encoded[128];
static size_t encoded_count;

static struct signature encode(CMS_ContentInfo *cms)
{
	struct signature signature = { 0 };
	int len = i2d_CMS_ContentInfo(cms, &signature.bytes);

	assert_true(len > 0 && encoded_count < 128);
	encoded[encoded_count++] = signature.bytes;
	signature.len = (size_t)len;
	CMS_ContentInfo_free(cms);
	return signature;
}

static CMS_ContentInfo *begin_signing(unsigned flags)
{
	CMS_ContentInfo *cms = CMS_sign(
		NULL, NULL, NULL, NULL, CMS_PARTIAL | CMS_BINARY | CMS_DETACHED | flags);

	assert_non_null(cms);
	return cms;
}

static void sign_by(
	CMS_ContentInfo *cms, const struct signer *signer, const EVP_MD *md, unsigned flags)
{
	assert_non_null(CMS_add1_signer(cms, signer->cert, signer->key, md,
		CMS_PARTIAL | CMS_BINARY | CMS_NOCERTS | CMS_NOSMIMECAP | flags));
}

static struct signature end_signing(CMS_ContentInfo *cms)
{
	BIO *content = BIO_new_mem_buf(data, sizeof(data));

	assert_int_equal(CMS_final(cms, content, NULL, CMS_BINARY | CMS_DETACHED), 1);
	BIO_free(content);
	return encode(cms);
}

static struct signature sign(const struct signer *signer, unsigned flags)
{
	CMS_ContentInfo *cms = begin_signing(0);

	sign_by(cms, signer, EVP_sha256(), flags);
	return end_signing(cms);
}

static struct signer make_signer(EVP_PKEY *key, const char *name, const void *keyid, int keyid_len)
{
	struct signer signer = { .key = key };

	assert_non_null(key);
	signer.cert = make_cert(key, name, keyid, keyid_len);
	return signer;
}

static struct cms_trust *trust_of(const struct signer *signer)
{
	struct cms_trust *trust = cms_trust_new();

	assert_non_null(trust);
	write_cert("trusted.pem", "w", signer);
	assert_int_equal(cms_trust_load(trust, in_dir("trusted.pem")), 0);
	assert_int_equal(cms_trust_count(trust), 1);
	return trust;
}

static int set_up(void **)
{
	assert_non_null(mkdtemp(dir));
	alice = make_signer(EVP_EC_gen("P-256"), "alice", NULL, 0);
	bob = make_signer(EVP_RSA_gen(2048), "bob", NULL, 0);

	const ASN1_OCTET_STRING *keyid = X509_get0_subject_key_id(alice.cert);
	mallory = make_signer(EVP_EC_gen("P-256"), "alice", ASN1_STRING_get0_data(keyid),
		ASN1_STRING_length(keyid));
	trust_alice = trust_of(&alice);
	trust_nobody = cms_trust_new();
	write_cert("alice.pem", "w", &alice);
	write_cert("bob.pem", "w", &bob);
	write_key("alice.key", &alice);
	write_key("bob.key", &bob);
	write_file("data", data, sizeof(data));
	return 0;
}

static int tear_down(void **)
{
	char command[sizeof(dir) + 16];
	struct signer *all[] = { &alice, &bob, &mallory };

	for (size_t i = 0; i < 3; i++) {
		EVP_PKEY_free(all[i]->key);
		X509_free(all[i]->cert);
	}
	for (size_t i = 0; i < encoded_count; i++)
		OPENSSL_free(encoded[i]);
	cms_trust_free(trust_alice);
	cms_trust_free(trust_nobody);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

/* ---- asking ---- */

static bool pinned(const struct cms_trust *trust, struct signature signature)
{
	uint8_t spki[SHA256_LEN], expected[SHA256_LEN], *der = NULL;
	struct signature exact = { malloc(signature.len + 1), signature.len };

	/* At the very end of its memory, for ASan. */
	uint8_t *at = memcpy(exact.bytes + 1, signature.bytes, signature.len);
	bool yes = cms_pinned(trust, data, sizeof(data), at, signature.len, spki);
	free(exact.bytes);
	assert_int_equal(ERR_peek_error(), 0);
	if (yes && trust == trust_alice) {
		int len = i2d_PUBKEY(alice.key, &der);

		assert_int_equal(sha256(der, (size_t)len, expected), 0);
		assert_memory_equal(spki, expected, SHA256_LEN);
		OPENSSL_free(der);
	}
	return yes;
}

static struct cms_claims claims(struct signature signature)
{
	struct cms_claims claims;

	assert_int_equal(cms_claims(signature.bytes, signature.len, &claims), 0);
	assert_int_equal(ERR_peek_error(), 0);
	return claims;
}

static void assert_claims_nothing(struct signature signature)
{
	struct cms_claims nothing = claims(signature);

	assert_false(nothing.signers.known);
	assert_int_equal(nothing.count, 0);
	cms_claims_done(&nothing);
	assert_false(pinned(trust_alice, signature));
}

static void assert_claim(
	const struct cms_claims *claims, size_t i, const char *type, const void *bytes, size_t len)
{
	char expected[300];
	struct line line;

	line_init(&line, expected, sizeof(expected));
	line_hex(&line, NULL, bytes, len); /* with quotes */
	assert_true(i < claims->count);
	assert_int_equal(claims->key_ids[i].len, strlen(type) + line.len - 2);
	assert_memory_equal(claims->key_ids[i].bytes, type, strlen(type));
	assert_memory_equal(claims->key_ids[i].bytes + strlen(type), expected + 1, line.len - 2);
}

static void assert_claims_key(
	const struct cms_claims *claims, size_t i, const struct signer *signer)
{
	const ASN1_OCTET_STRING *keyid = X509_get0_subject_key_id(signer->cert);

	assert_claim(claims, i, "keyid:", ASN1_STRING_get0_data(keyid),
		(size_t)ASN1_STRING_length(keyid));
}

/* ---- claims ---- */

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

/* ---- pinned ---- */

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
		cmocka_unit_test(a_key_identifier_is_claimed),
		cmocka_unit_test(an_issuer_is_claimed_by_the_digest_of_its_der),
		cmocka_unit_test(every_signer_is_claimed),
		cmocka_unit_test(more_signers_than_fit_are_counted),
		cmocka_unit_test(a_long_key_identifier_is_claimed_whole),
		cmocka_unit_test(garbage_claims_nothing),
		cmocka_unit_test(a_part_of_a_signature_claims_nothing),
		cmocka_unit_test(bytes_behind_a_signature_are_refused),
		cmocka_unit_test(ber_that_is_not_der_is_refused),
		cmocka_unit_test(other_content_types_are_refused),
		cmocka_unit_test(what_is_too_large_is_not_looked_at),
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
		cmocka_unit_test(too_many_certificates_are_an_error),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
