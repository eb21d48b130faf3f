/* SPDX-License-Identifier: BSD-2-Clause */
#include "attest/ek.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

/* TPM 2.0 Library, Part 2, 6.3 TPM_ALG_ID, 6.4 TPM_ECC_CURVE, 8.3.2 TPMA_OBJECT. */
enum {
	ALG_RSA = 0x0001,
	ALG_AES = 0x0006,
	ALG_NULL = 0x0010,
	ALG_ECC = 0x0023,
	ALG_CFB = 0x0043,
	ECC_NIST_P256 = 0x0003,
	ECC_NIST_P384 = 0x0004,
	ECC_NIST_P521 = 0x0005,

	/* fixedTPM, fixedParent, sensitiveDataOrigin, adminWithPolicy, restricted, decrypt */
	LOW = 0x000300b2,
	HIGH = LOW | 0x40, /* and userWithAuth */
};

/* B.6.2 PolicyA: PolicySecret(TPM_RH_ENDORSEMENT) */
static const uint8_t policy_a_sha256[] = { 0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a,
	0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64,
	0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa };
/* B.6.4 PolicyB: PolicyA, or what the NV index of policy C says */
static const uint8_t policy_b_sha256[] = { 0xca, 0x3d, 0x0a, 0x99, 0xa2, 0xb9, 0x39, 0x06, 0xf7,
	0xa3, 0x34, 0x24, 0x14, 0xef, 0xcf, 0xb3, 0xa3, 0x85, 0xd4, 0x4c, 0xd1, 0xfd, 0x45, 0x90,
	0x89, 0xd1, 0x9b, 0x50, 0x71, 0xc0, 0xb7, 0xa0 };
static const uint8_t policy_b_sha384[] = { 0xb2, 0x6e, 0x7d, 0x28, 0xd1, 0x1a, 0x50, 0xbc, 0x53,
	0xd8, 0x82, 0xbc, 0xf5, 0xfd, 0x3a, 0x1a, 0x07, 0x41, 0x48, 0xbb, 0x35, 0xd3, 0xb4, 0xe4,
	0xcb, 0x1c, 0x0a, 0xd9, 0xbd, 0xe4, 0x19, 0xca, 0xcb, 0x47, 0xba, 0x09, 0x69, 0x96, 0x46,
	0x15, 0x0f, 0x9f, 0xc0, 0x00, 0xf3, 0xf8, 0x0e, 0x12 };
static const uint8_t policy_b_sha512[] = { 0xb8, 0x22, 0x1c, 0xa6, 0x9e, 0x85, 0x50, 0xa4, 0x91,
	0x4d, 0xe3, 0xfa, 0xa6, 0xa1, 0x8c, 0x07, 0x2c, 0xc0, 0x12, 0x08, 0x07, 0x3a, 0x92, 0x8d,
	0x5d, 0x66, 0xd5, 0x9e, 0xf7, 0x9e, 0x49, 0xa4, 0x29, 0xc4, 0x1a, 0x6b, 0x26, 0x95, 0x71,
	0xd5, 0x7e, 0xdb, 0x25, 0xfb, 0xdb, 0x18, 0x38, 0x42, 0x56, 0x08, 0xb4, 0x13, 0xcd, 0x61,
	0x6a, 0x5f, 0x6d, 0xb5, 0xb6, 0x07, 0x1a, 0xf9, 0x9b, 0xea };

static const struct row {
	const char *name;
	const char *group; /* NULL: RSA */
	uint16_t bits; /* RSA: of the modulus; ECC: the TPM_ECC_CURVE */
	enum bank hash;
	uint32_t attributes;
	const uint8_t *policy;
	uint16_t symmetric_bits;
	uint16_t number_len;
} templates[EK_TEMPLATE_COUNT] = {
	[EK_RSA2048_L1] = { "rsa2048-l1", NULL, 2048, BANK_SHA256, LOW, policy_a_sha256, 128, 256 },
	[EK_RSA2048_H1] = { "rsa2048-h1", NULL, 2048, BANK_SHA256, HIGH, policy_b_sha256, 128,
		256 },
	[EK_ECC256_L2] = { "ecc256-l2", SN_X9_62_prime256v1, ECC_NIST_P256, BANK_SHA256, LOW,
		policy_a_sha256, 128, 32 },
	[EK_ECC256_H2] = { "ecc256-h2", SN_X9_62_prime256v1, ECC_NIST_P256, BANK_SHA256, HIGH,
		policy_b_sha256, 128, 32 },
	[EK_RSA3072_H6] = { "rsa3072-h6", NULL, 3072, BANK_SHA384, HIGH, policy_b_sha384, 256,
		384 },
	[EK_RSA4096_H7] = { "rsa4096-h7", NULL, 4096, BANK_SHA384, HIGH, policy_b_sha384, 256,
		512 },
	[EK_ECC384_H3] = { "ecc384-h3", SN_secp384r1, ECC_NIST_P384, BANK_SHA384, HIGH,
		policy_b_sha384, 256, 48 },
	[EK_ECC521_H4] = { "ecc521-h4", SN_secp521r1, ECC_NIST_P521, BANK_SHA512, HIGH,
		policy_b_sha512, 256, 66 },
};

const char *ek_template_name(enum ek_template kind)
{
	return templates[kind].name;
}

enum bank ek_name_hash(const struct ek *ek)
{
	return templates[ek->kind].hash;
}

unsigned ek_symmetric_bits(const struct ek *ek)
{
	return templates[ek->kind].symmetric_bits;
}

/* OpenSSL would ask at the terminal. */
static const char no_passphrase[] = "";

static void bn_freep(BIGNUM **bn)
{
	BN_free(*bn);
}

static void bio_freep(BIO **bio)
{
	BIO_free(*bio);
}

static void pkey_freep(EVP_PKEY **pkey)
{
	EVP_PKEY_free(*pkey);
}

static void pkey_ctx_freep(EVP_PKEY_CTX **ctx)
{
	EVP_PKEY_CTX_free(*ctx);
}

static void params_freep(OSSL_PARAM **params)
{
	OSSL_PARAM_free(*params);
}

static void builder_freep(OSSL_PARAM_BLD **builder)
{
	OSSL_PARAM_BLD_free(*builder);
}

static void x509_freep(X509 **cert)
{
	X509_free(*cert);
}

static void der_freep(uint8_t **der)
{
	OPENSSL_free(*der);
}

/* ---- TPM2B_PUBLIC ---- */

enum { PREFIX_MAX = 2 + 2 + 4 + 2 + BANK_DIGEST_MAX + 6 + 2 + 6 };

static uint8_t *put_u16(uint8_t *at, unsigned value)
{
	*at++ = (uint8_t)(value >> 8);
	*at++ = (uint8_t)value;
	return at;
}

/*
 * Everything of the public area but the key, which is the same for every EK of a template. Returns its
 * length.
 *
 * TPM 2.0 Library, Part 2, 12.2.4 TPMT_PUBLIC, 12.2.3.5 TPMS_RSA_PARMS, 12.2.3.6 TPMS_ECC_PARMS.
 */
static size_t prefix_of(const struct row *row, uint8_t ret[static PREFIX_MAX])
{
	size_t policy_len = bank_size(row->hash);
	uint8_t *at = ret;

	at = put_u16(at, row->group ? ALG_ECC : ALG_RSA);
	at = put_u16(at, bank_alg(row->hash));
	at = put_u16(at, row->attributes >> 16);
	at = put_u16(at, row->attributes & 0xffff);
	at = put_u16(at, (unsigned)policy_len);
	memcpy(at, row->policy, policy_len);
	at = put_u16(at + policy_len, ALG_AES);
	at = put_u16(at, row->symmetric_bits);
	at = put_u16(at, ALG_CFB);
	at = put_u16(at, ALG_NULL); /* scheme */
	at = put_u16(at, row->bits);
	at = put_u16(at, row->group ? ALG_NULL : 0); /* kdf; exponent: 0 is 65537 */
	if (!row->group)
		at = put_u16(at, 0);
	return (size_t)(at - ret);
}

/* A TPM2B_ of 1 to len bytes, padded with zeros on the left. Returns what follows it, or NULL. */
static const uint8_t *take_number(
	const uint8_t *at, const uint8_t *end, size_t len, uint8_t *ret_number)
{
	if (!at || end - at < 2)
		return NULL;
	size_t size = (size_t)(at[0] << 8 | at[1]);
	at += 2;
	if (!size || size > len || (size_t)(end - at) < size)
		return NULL;
	memset(ret_number, 0, len - size);
	memcpy(ret_number + len - size, at, size);
	return at + size;
}

static bool decode_key(const struct row *row, const uint8_t *at, const uint8_t *end, struct ek *ek)
{
	ek->number_len = row->number_len;
	at = take_number(at, end, ek->number_len, ek->x);
	if (row->group)
		at = take_number(at, end, ek->number_len, ek->y);
	else if (at && !(ek->x[0] & 0x80 && ek->x[ek->number_len - 1] & 1))
		return false; /* not the length that it says, or no product of primes */
	return at == end;
}

int ek_decode(const uint8_t *bytes, size_t len, struct ek *ret, char ret_error[static EK_ERROR_MAX])
{
	const uint8_t *end = bytes + len;
	struct ek ek = { .public_len = len };
	uint8_t prefix[PREFIX_MAX];

	if (len < 2 || len > MACHINE_EK_MAX || (size_t)(bytes[0] << 8 | bytes[1]) != len - 2) {
		snprintf(ret_error, EK_ERROR_MAX, "it is no TPM2B_PUBLIC");
		return -EBADMSG;
	}
	for (ek.kind = 0; ek.kind < EK_TEMPLATE_COUNT; ek.kind++) {
		const struct row *row = &templates[ek.kind];
		size_t prefix_len = prefix_of(row, prefix);
		if (len - 2 < prefix_len || memcmp(bytes + 2, prefix, prefix_len) != 0)
			continue;
		if (!decode_key(row, bytes + 2 + prefix_len, end, &ek)) {
			snprintf(ret_error, EK_ERROR_MAX, "its key is not one of the template %s",
				row->name);
			return -EBADMSG;
		}
		memcpy(ek.public, bytes, len);
		*ret = ek;
		return 0;
	}
	snprintf(ret_error, EK_ERROR_MAX,
		"attributes, policy or algorithms are those of none of the TCG's EK templates");
	return -EBADMSG;
}

/* ---- for OpenSSL ---- */

static bool push_rsa(OSSL_PARAM_BLD *builder, const BIGNUM *n, const BIGNUM *e)
{
	return OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
		OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1;
}

static bool push_ecc(OSSL_PARAM_BLD *builder, const char *group, const uint8_t *point, size_t len)
{
	return OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, group, 0) ==
		1 &&
		OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, len) == 1;
}

static OSSL_PARAM *params_of(const struct ek *ek, const struct row *row, OSSL_PARAM_BLD *builder)
{
	uint8_t point[1 + 2 * 66] = { POINT_CONVERSION_UNCOMPRESSED };
	[[gnu::cleanup(bn_freep)]] BIGNUM *n = BN_bin2bn(ek->x, (int)ek->number_len, NULL);
	[[gnu::cleanup(bn_freep)]] BIGNUM *e = BN_new();
	bool pushed;

	if (row->group) {
		memcpy(point + 1, ek->x, ek->number_len);
		memcpy(point + 1 + ek->number_len, ek->y, ek->number_len);
		pushed = push_ecc(builder, row->group, point, 1 + 2 * ek->number_len);
	} else {
		pushed = n && e && BN_set_word(e, RSA_F4) == 1 && push_rsa(builder, n, e);
	}
	return pushed ? OSSL_PARAM_BLD_to_param(builder) : NULL;
}

static EVP_PKEY *pkey_of(const struct ek *ek)
{
	const struct row *row = &templates[ek->kind];
	[[gnu::cleanup(pkey_ctx_freep)]] EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(
		NULL, row->group ? "EC" : "RSA", NULL);
	[[gnu::cleanup(builder_freep)]] OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	[[gnu::cleanup(params_freep)]] OSSL_PARAM *params = NULL;
	EVP_PKEY *pkey = NULL;

	if (ctx && builder)
		params = params_of(ek, row, builder);
	if (params && EVP_PKEY_fromdata_init(ctx) == 1 &&
		EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		pkey = NULL;
	ERR_clear_error();
	return pkey;
}

/* Whether OpenSSL has what a key on this curve takes. What it refuses it may have refused for want of
 * memory, and its errors do not always tell. */
static bool is_able(const char *group)
{
	[[gnu::cleanup(pkey_freep)]] EVP_PKEY *pkey = EVP_EC_gen(group);

	ERR_clear_error();
	return pkey;
}

int ek_to_pkey(const struct ek *ek, struct evp_pkey_st **ret_pkey)
{
	const char *group = templates[ek->kind].group;
	EVP_PKEY *pkey = pkey_of(ek);

	/* Every modulus makes an RSA key, but not every pair of numbers is on a curve. */
	if (!pkey && (!group || !is_able(group)))
		return -ENOMEM;
	if (!pkey) /* memory may have come back since */
		pkey = pkey_of(ek);
	if (!pkey)
		return -EBADMSG;
	*ret_pkey = pkey;
	return 0;
}

/* ---- what an operator gives ---- */

static bool to_spki(EVP_PKEY *pkey, struct ek_pin *pin)
{
	[[gnu::cleanup(der_freep)]] uint8_t *der = NULL;
	int len = i2d_PUBKEY(pkey, &der);

	if (len <= 0 || (size_t)len > sizeof(pin->spki))
		return false;
	memcpy(pin->spki, der, (size_t)len);
	pin->spki_len = (size_t)len;
	return true;
}

static bool pin_pem(const uint8_t *bytes, size_t len, struct ek_pin *pin)
{
	[[gnu::cleanup(bio_freep)]] BIO *bio = BIO_new_mem_buf(bytes, (int)len);
	[[gnu::cleanup(pkey_freep)]] EVP_PKEY *pkey = NULL;

	if (bio)
		pkey = PEM_read_bio_PUBKEY(bio, NULL, NULL, (void *)no_passphrase);
	return pkey && to_spki(pkey, pin);
}

static bool pin_certificate(const uint8_t *bytes, size_t len, struct ek_pin *pin)
{
	[[gnu::cleanup(bio_freep)]] BIO *bio = BIO_new_mem_buf(bytes, (int)len);
	[[gnu::cleanup(x509_freep)]] X509 *cert = NULL;
	const uint8_t *at = bytes;

	if (bio)
		cert = PEM_read_bio_X509(bio, NULL, NULL, (void *)no_passphrase);
	if (!cert)
		cert = d2i_X509(NULL, &at, (long)len);
	return cert && X509_get0_pubkey(cert) && to_spki(X509_get0_pubkey(cert), pin);
}

static int spki_of(const struct ek *ek, struct ek_pin *pin)
{
	[[gnu::cleanup(pkey_freep)]] EVP_PKEY *pkey = NULL;

	int err = ek_to_pkey(ek, &pkey);
	if (err)
		return err;
	return to_spki(pkey, pin) ? 0 : -ENOMEM;
}

int ek_pin_decode(
	const uint8_t *bytes, size_t len, struct ek_pin *ret, char ret_error[static EK_ERROR_MAX])
{
	struct ek_pin pin = { 0 };
	struct ek ek;

	if (len <= EK_FILE_MAX &&
		(pin_pem(bytes, len, &pin) || pin_certificate(bytes, len, &pin))) {
		ERR_clear_error();
		*ret = pin;
		return 0;
	}
	ERR_clear_error();
	int err = ek_decode(bytes, len, &ek, ret_error);
	if (!err)
		err = spki_of(&ek, &pin);
	if (err) {
		snprintf(ret_error, EK_ERROR_MAX,
			"neither a public key, nor a certificate, nor the TPM2B_PUBLIC of an EK");
		return err;
	}
	memcpy(pin.public, ek.public, ek.public_len);
	pin.public_len = ek.public_len;
	*ret = pin;
	return 0;
}

/* One key has several encodings: a compressed point, for one. */
int ek_pin_matches(const struct ek_pin *pin, const struct ek *ek)
{
	const uint8_t *at = pin->spki;
	[[gnu::cleanup(pkey_freep)]] EVP_PKEY *pinned = d2i_PUBKEY(NULL, &at, (long)pin->spki_len);
	[[gnu::cleanup(pkey_freep)]] EVP_PKEY *offered = NULL;

	int err = ek_to_pkey(ek, &offered);
	if (err == -EBADMSG)
		return 0;
	if (err || !pinned)
		return -ENOMEM;
	/* Twice, as it does not tell that it lacks memory. */
	bool is_same = EVP_PKEY_eq(pinned, offered) == 1 || EVP_PKEY_eq(pinned, offered) == 1;
	ERR_clear_error();
	return is_same &&
		(!pin->public_len ||
			(pin->public_len == ek->public_len &&
				memcmp(pin->public, ek->public, ek->public_len) == 0));
}
