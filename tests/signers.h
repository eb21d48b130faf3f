/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * People who sign, for the tests of agent/cms.h: their keys, certificates and signatures, made with
 * OpenSSL when the tests begin.
 */
#ifndef TESTS_SIGNERS_H
#define TESTS_SIGNERS_H

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

static inline const char *in_dir(const char *name)
{
	static char paths[4][128];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static inline void write_file(const char *name, const void *bytes, size_t len)
{
	FILE *file = fopen(in_dir(name), "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static inline void write_cert(const char *name, const char *mode, const struct signer *signer)
{
	FILE *file = fopen(in_dir(name), mode);

	assert_non_null(file);
	assert_int_equal(PEM_write_X509(file, signer->cert), 1);
	assert_int_equal(fclose(file), 0);
}

static inline void write_key(const char *name, const struct signer *signer)
{
	FILE *file = fopen(in_dir(name), "w");

	assert_non_null(file);
	assert_int_equal(PEM_write_PrivateKey(file, signer->key, NULL, NULL, 0, NULL, NULL), 1);
	assert_int_equal(fclose(file), 0);
}

/* A self-signed certificate; keyid of key_len bytes, or that of the key where key_len is 0. */
static inline X509 *make_cert(EVP_PKEY *key, const char *name, const void *keyid, int keyid_len)
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

static inline struct signature encode(CMS_ContentInfo *cms)
{
	struct signature signature = { 0 };
	int len = i2d_CMS_ContentInfo(cms, &signature.bytes);

	assert_true(len > 0 && encoded_count < 128);
	encoded[encoded_count++] = signature.bytes;
	signature.len = (size_t)len;
	CMS_ContentInfo_free(cms);
	return signature;
}

static inline CMS_ContentInfo *begin_signing(unsigned flags)
{
	CMS_ContentInfo *cms = CMS_sign(
		NULL, NULL, NULL, NULL, CMS_PARTIAL | CMS_BINARY | CMS_DETACHED | flags);

	assert_non_null(cms);
	return cms;
}

static inline void sign_by(
	CMS_ContentInfo *cms, const struct signer *signer, const EVP_MD *md, unsigned flags)
{
	assert_non_null(CMS_add1_signer(cms, signer->cert, signer->key, md,
		CMS_PARTIAL | CMS_BINARY | CMS_NOCERTS | CMS_NOSMIMECAP | flags));
}

static inline struct signature end_signing(CMS_ContentInfo *cms)
{
	BIO *content = BIO_new_mem_buf(data, sizeof(data));

	assert_int_equal(CMS_final(cms, content, NULL, CMS_BINARY | CMS_DETACHED), 1);
	BIO_free(content);
	return encode(cms);
}

static inline struct signature sign(const struct signer *signer, unsigned flags)
{
	CMS_ContentInfo *cms = begin_signing(0);

	sign_by(cms, signer, EVP_sha256(), flags);
	return end_signing(cms);
}

static inline struct signer make_signer(
	EVP_PKEY *key, const char *name, const void *keyid, int keyid_len)
{
	struct signer signer = { .key = key };

	assert_non_null(key);
	signer.cert = make_cert(key, name, keyid, keyid_len);
	return signer;
}

static inline struct cms_trust *trust_of(const struct signer *signer)
{
	struct cms_trust *trust = cms_trust_new();

	assert_non_null(trust);
	write_cert("trusted.pem", "w", signer);
	assert_int_equal(cms_trust_load(trust, in_dir("trusted.pem")), 0);
	assert_int_equal(cms_trust_count(trust), 1);
	return trust;
}

static inline int set_up(void **)
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

static inline int tear_down(void **)
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

static inline bool pinned(const struct cms_trust *trust, struct signature signature)
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

static inline struct cms_claims claims(struct signature signature)
{
	struct cms_claims claims;

	assert_int_equal(cms_claims(signature.bytes, signature.len, &claims), 0);
	assert_int_equal(ERR_peek_error(), 0);
	return claims;
}

static inline void assert_claims_nothing(struct signature signature)
{
	struct cms_claims nothing = claims(signature);

	assert_false(nothing.signers.known);
	assert_int_equal(nothing.count, 0);
	cms_claims_done(&nothing);
	assert_false(pinned(trust_alice, signature));
}

static inline void assert_claim(
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

static inline void assert_claims_key(
	const struct cms_claims *claims, size_t i, const struct signer *signer)
{
	const ASN1_OCTET_STRING *keyid = X509_get0_subject_key_id(signer->cert);

	assert_claim(claims, i, "keyid:", ASN1_STRING_get0_data(keyid),
		(size_t)ASN1_STRING_length(keyid));
}

#endif
