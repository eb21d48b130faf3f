/* SPDX-License-Identifier: BSD-2-Clause */
#include "attest/ak.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

static const uint8_t rh_endorsement[4] = { 0x40, 0x00, 0x00, 0x0b };

/* RFC 5480: id-ecPublicKey, secp256r1, then the BIT STRING of an uncompressed point. */
static const uint8_t spki_head[AK_SPKI_LEN - 2 * TPMS_ECC_LEN] = { 0x30, 0x59, 0x30, 0x13, 0x06,
	0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
	0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04 };

/* Whoever made the file: OpenSSL would ask at the terminal. */
static const char no_passphrase[] = "";

static void pkey_freep(EVP_PKEY **pkey)
{
	EVP_PKEY_free(*pkey);
}

static void pkey_ctx_freep(EVP_PKEY_CTX **ctx)
{
	EVP_PKEY_CTX_free(*ctx);
}

static void bio_freep(BIO **bio)
{
	BIO_free(*bio);
}

static void bn_freep(BIGNUM **bn)
{
	BN_free(*bn);
}

static void sig_freep(ECDSA_SIG **sig)
{
	ECDSA_SIG_free(*sig);
}

static void md_ctx_freep(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}

static void der_freep(uint8_t **der)
{
	OPENSSL_free(*der);
}

void ak_spki(const struct tpms_public *key, uint8_t ret_spki[static AK_SPKI_LEN])
{
	memcpy(ret_spki, spki_head, sizeof(spki_head));
	memcpy(ret_spki + sizeof(spki_head), key->x, TPMS_ECC_LEN);
	memcpy(ret_spki + sizeof(spki_head) + TPMS_ECC_LEN, key->y, TPMS_ECC_LEN);
}

/* Not by way of the SubjectPublicKeyInfo: OpenSSL takes twice as long to find out what that is as to
 * verify a signature. */
static EVP_PKEY *pkey_new(const struct tpms_public *key)
{
	[[gnu::cleanup(pkey_ctx_freep)]] EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(
		NULL, "EC", NULL);
	uint8_t point[1 + 2 * TPMS_ECC_LEN] = { POINT_CONVERSION_UNCOMPRESSED };
	char group[] = SN_X9_62_prime256v1;
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group) - 1),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
		OSSL_PARAM_END,
	};
	EVP_PKEY *pkey = NULL;

	memcpy(point + 1, key->x, TPMS_ECC_LEN);
	memcpy(point + 1 + TPMS_ECC_LEN, key->y, TPMS_ECC_LEN);
	if (ctx && EVP_PKEY_fromdata_init(ctx) == 1 &&
		EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		pkey = NULL;
	ERR_clear_error();
	return pkey;
}

/* Returns the length of a DER ECDSA-Sig-Value, or -ENOMEM. */
static int to_der(const struct tpms_signature *signature, uint8_t **ret_der)
{
	[[gnu::cleanup(sig_freep)]] ECDSA_SIG *sig = ECDSA_SIG_new();
	[[gnu::cleanup(bn_freep)]] BIGNUM *r = BN_bin2bn(signature->r, TPMS_ECC_LEN, NULL);
	[[gnu::cleanup(bn_freep)]] BIGNUM *s = BN_bin2bn(signature->s, TPMS_ECC_LEN, NULL);

	if (!sig || !r || !s || !ECDSA_SIG_set0(sig, r, s))
		return -ENOMEM;
	r = s = NULL; /* sig has them */
	int len = i2d_ECDSA_SIG(sig, ret_der);
	return len > 0 ? len : -ENOMEM;
}

/* Returns 1, 0, or -ENOMEM. Of 0 OpenSSL is not always sure: see is_able(). */
static int verify(
	EVP_PKEY *pkey, const uint8_t *bytes, size_t len, const struct tpms_signature *signature)
{
	[[gnu::cleanup(md_ctx_freep)]] EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	[[gnu::cleanup(der_freep)]] uint8_t *der = NULL;
	int der_len = to_der(signature, &der), r = -1;

	if (ctx && der_len > 0 && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, pkey) == 1)
		r = EVP_DigestVerify(ctx, der, (size_t)der_len, bytes, len);
	ERR_clear_error();
	return r < 0 ? -ENOMEM : r;
}

#define BASE_X                                                                                     \
	{                                                                                          \
		0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63,      \
			0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4,    \
			0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96                                   \
	}

/*
 * Whether OpenSSL takes a key and a signature that are known to be good. What it refuses it may have
 * refused for want of memory, and its errors do not always tell.
 *
 * The key is the base point of P-256 (SEC 2, 2.4.2), so the private key is 1; the signature is that of no
 * bytes with the nonce 1: r is x, s is H("") + r.
 */
static bool is_able(void)
{
	static const struct tpms_public base = {
		.x = BASE_X,
		.y = { 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c,
			0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb,
			0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5 },
	};
	static const struct tpms_signature signature = {
		.r = BASE_X,
		.s = { 0x4e, 0xc8, 0x96, 0x36, 0x7a, 0x28, 0x5e, 0x5b, 0x93, 0xb8, 0xdb, 0xad, 0xfd,
			0x13, 0xfa, 0x16, 0xe1, 0xca, 0xc4, 0xb7, 0xeb, 0x6f, 0x28, 0x68, 0xa5,
			0x7d, 0x07, 0x9e, 0x54, 0x88, 0x55, 0x9a },
	};
	[[gnu::cleanup(pkey_freep)]] EVP_PKEY *pkey = pkey_new(&base);

	return pkey && verify(pkey, (const uint8_t *)"", 0, &signature) == 1;
}
#undef BASE_X

/* Returns 0; -EBADMSG if the point is not on the curve; -ENOMEM. */
static int to_pkey(const struct tpms_public *key, EVP_PKEY **ret_pkey)
{
	EVP_PKEY *pkey = pkey_new(key);

	if (!pkey && !is_able())
		return -ENOMEM;
	if (!pkey) /* memory may have come back since */
		pkey = pkey_new(key);
	if (!pkey)
		return -EBADMSG;
	*ret_pkey = pkey;
	return 0;
}

static bool get_number(const EVP_PKEY *pkey, const char *name, uint8_t ret[static TPMS_ECC_LEN])
{
	[[gnu::cleanup(bn_freep)]] BIGNUM *number = NULL;

	return EVP_PKEY_get_bn_param(pkey, name, &number) == 1 &&
		BN_bn2binpad(number, ret, TPMS_ECC_LEN) == TPMS_ECC_LEN;
}

/* The point of a PEM file, however it was encoded. */
static bool pem_decode(const uint8_t *bytes, size_t len, struct tpms_public *ret)
{
	[[gnu::cleanup(bio_freep)]] BIO *bio = BIO_new_mem_buf(bytes, (int)len);
	[[gnu::cleanup(pkey_freep)]] EVP_PKEY *pkey = NULL;
	char group[32] = "";

	if (bio)
		pkey = PEM_read_bio_PUBKEY(bio, NULL, NULL, (void *)no_passphrase);
	bool found = pkey && EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) == 1 &&
		strcmp(group, SN_X9_62_prime256v1) == 0 &&
		get_number(pkey, OSSL_PKEY_PARAM_EC_PUB_X, ret->x) &&
		get_number(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, ret->y);
	ERR_clear_error();
	return found;
}

/* Returns 0, -EBADMSG or -ENOMEM. */
static int from_pem(const uint8_t *bytes, size_t len, struct tpms_public *ret)
{
	if (pem_decode(bytes, len, ret))
		return 0;
	if (!is_able())
		return -ENOMEM;
	return pem_decode(bytes, len, ret) ? 0 : -EBADMSG;
}

/* what: of -EBADMSG. */
static int fault(char ret_error[static AK_ERROR_MAX], int err, const char *what)
{
	snprintf(ret_error, AK_ERROR_MAX, "%s",
		err == -ENOMEM ? "there is not enough memory" : what);
	return err;
}

int ak_decode(const uint8_t *bytes, size_t len, struct ak *ret, char ret_error[static AK_ERROR_MAX])
{
	static const char pem[] = "-----BEGIN ";
	struct ak ak = { 0 };

	if (len > AK_FILE_MAX)
		return fault(ret_error, -EBADMSG, "too large for a key");
	if (len >= sizeof(pem) - 1 && memcmp(bytes, pem, sizeof(pem) - 1) == 0) {
		int err = from_pem(bytes, len, &ak.public);
		if (err)
			return fault(ret_error, err, "not the PEM of an ECC P-256 public key");
		*ret = ak;
		return 0;
	}

	struct tpms_error error;
	int err = tpms_public_decode(bytes, len, &ak.public, &error);
	if (err == -EBADMSG)
		snprintf(ret_error, AK_ERROR_MAX,
			"neither PEM nor the TPM2B_PUBLIC of an ECC P-256 signing key: %s, byte %zu",
			error.what, error.at);
	else if (err)
		snprintf(ret_error, AK_ERROR_MAX, "the hash of its Name is not available");
	if (err)
		return err;

	[[gnu::cleanup(pkey_freep)]] EVP_PKEY *pkey = NULL;
	err = to_pkey(&ak.public, &pkey);
	if (err)
		return fault(ret_error, err, "its point is not on the curve P-256");
	ak.has_name = true;
	*ret = ak;
	return 0;
}

bool ak_is_same_key(const struct tpms_public *a, const struct tpms_public *b)
{
	return memcmp(a->x, b->x, TPMS_ECC_LEN) == 0 && memcmp(a->y, b->y, TPMS_ECC_LEN) == 0;
}

const char *ak_attributes_fault(uint32_t attributes)
{
	static const struct {
		uint32_t bit;
		bool wanted;
		const char *clause;
	} rules[] = {
		{ TPMS_RESTRICTED, true,
			"it is not restricted: it signs what anybody hands to the TPM" },
		{ TPMS_SIGN, true, "it is not a signing key" },
		{ TPMS_DECRYPT, false, "it decrypts as well" },
		{ TPMS_X509_SIGN, false, "it is for X.509 certificates" },
		{ TPMS_FIXED_TPM, true, "it is not fixedTPM: it may exist elsewhere" },
		{ TPMS_FIXED_PARENT, true, "it is not fixedParent: it may exist elsewhere" },
		{ TPMS_SENSITIVE_DATA_ORIGIN, true, "it was not made by the TPM" },
	};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (!!(attributes & rules[i].bit) != rules[i].wanted)
			return rules[i].clause;
	return NULL;
}

int ak_is_endorsement(const struct tpms_public *key, const uint8_t *qualified, size_t len)
{
	enum bank hash = bank_from_alg((uint16_t)(key->name[0] << 8 | key->name[1]));
	uint8_t bytes[sizeof(rh_endorsement) + TPMS_NAME_MAX];
	uint8_t digest[BANK_DIGEST_MAX];

	memcpy(bytes, rh_endorsement, sizeof(rh_endorsement));
	memcpy(bytes + sizeof(rh_endorsement), key->name, key->name_len);
	int err = bank_hash(hash, bytes, sizeof(rh_endorsement) + key->name_len, digest);
	if (err)
		return err;
	return len == key->name_len && memcmp(qualified, key->name, 2) == 0 &&
		memcmp(qualified + 2, digest, len - 2) == 0;
}

int ak_verify(const struct tpms_public *key, const uint8_t *bytes, size_t len,
	const struct tpms_signature *signature)
{
	[[gnu::cleanup(pkey_freep)]] EVP_PKEY *pkey = NULL;

	int r = to_pkey(key, &pkey);
	if (r < 0)
		return r;
	r = verify(pkey, bytes, len, signature);
	if (r == 0 && !is_able())
		return -ENOMEM;
	return r == 0 ? verify(pkey, bytes, len, signature) : r;
}
