/* SPDX-License-Identifier: BSD-2-Clause */
/* Certificate authorities, and what they and others certify, as a test wants. */
#ifndef TESTS_UNIT_CA_FIXTURE_H
#define TESTS_UNIT_CA_FIXTURE_H

#include "tpm_fixture.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum { EXTENSIONS_MAX = 6 };

struct ca {
	EVP_PKEY *key;
	X509 *cert;
};

/*
 * subject     CN; NULL: empty
 * from_s      from now; until_s likewise, 0: an hour
 * extensions  values for X509V3_EXT_conf_nid(); NID_undef: a critical one that nobody knows
 */
struct ca_wish {
	const char *subject;
	long from_s, until_s;
	struct {
		int nid;
		const char *value;
	} extensions[EXTENSIONS_MAX];
};

static inline X509_EXTENSION *ca_extension(X509V3_CTX *ctx, int nid, const char *value)
{
	if (nid != NID_undef)
		return X509V3_EXT_conf_nid(NULL, ctx, nid, value);

	ASN1_OCTET_STRING *bytes = ASN1_OCTET_STRING_new();
	ASN1_OBJECT *oid = OBJ_txt2obj("1.3.6.1.4.1.99999.1", 1);
	ASN1_OCTET_STRING_set(bytes, (const uint8_t *)"\x05", 2);
	X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, oid, 1, bytes);
	ASN1_OBJECT_free(oid);
	ASN1_OCTET_STRING_free(bytes);
	return extension;
}

/* issuer: NULL: key signs itself. */
static inline X509 *ca_certify(const struct ca *issuer, EVP_PKEY *key, const struct ca_wish *wish)
{
	X509 *cert = X509_new();
	X509V3_CTX ctx;

	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1 + rand());
	X509_gmtime_adj(X509_getm_notBefore(cert), wish->from_s ? wish->from_s : -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), wish->until_s ? wish->until_s : 3600);
	if (wish->subject)
		X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
			(const uint8_t *)wish->subject, -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer->cert : cert));
	assert_int_equal(X509_set_pubkey(cert, key), 1);
	X509V3_set_ctx(&ctx, issuer ? issuer->cert : cert, cert, NULL, NULL, 0);
	for (size_t i = 0; i < EXTENSIONS_MAX && wish->extensions[i].value; i++) {
		X509_EXTENSION *extension = ca_extension(
			&ctx, wish->extensions[i].nid, wish->extensions[i].value);
		assert_non_null(extension);
		X509_add_ext(cert, extension, -1);
		X509_EXTENSION_free(extension);
	}
	assert_true(X509_sign(cert, issuer ? issuer->key : key, EVP_sha256()) > 0);
	return cert;
}

static inline struct ca ca_new(const struct ca *issuer, const struct ca_wish *wish)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	return (struct ca){ .key = key, .cert = ca_certify(issuer, key, wish) };
}

static inline void ca_free(struct ca *ca)
{
	EVP_PKEY_free(ca->key);
	X509_free(ca->cert);
}

/* As an authority has them. */
static inline struct ca_wish ca_authority(const char *subject)
{
	return (struct ca_wish){
		.subject = subject,
		.extensions = {
			{ NID_basic_constraints, "critical,CA:TRUE" },
			{ NID_key_usage, "critical,keyCertSign" },
			{ NID_subject_key_identifier, "hash" },
		},
	};
}

/* name: in the fixture's directory. */
static inline void ca_write(const char *name, X509 *cert)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", fixture_dir, name);
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(PEM_write_X509(file, cert), 1);
	fclose(file);
}

/* The folders of an operator, and make them empty. */
static inline const char *ca_dir(void)
{
	static char dir[64];

	snprintf(dir, sizeof(dir), "%s/roots", fixture_dir);
	return dir;
}

static inline void ca_folders(void)
{
	sh("rm -rf %1$s && mkdir -p %1$s/hardware %1$s/software", ca_dir());
}

#endif
