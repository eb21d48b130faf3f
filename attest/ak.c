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
#include <openssl/pem.h>
#include <openssl/x509.h>

static const uint8_t rh_endorsement[4] = { 0x40, 0x00, 0x00, 0x0b };

/* RFC 5480: id-ecPublicKey, secp256r1, then the BIT STRING of an uncompressed point. */
static const uint8_t spki_head[AK_SPKI_LEN - 2 * TPMS_ECC_LEN] = { 0x30, 0x59, 0x30, 0x13, 0x06,
	0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
	0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04 };

static void pkey_freep(EVP_PKEY **pkey)
{
	EVP_PKEY_free(*pkey);
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

/* NULL if the point is not on the curve (or there is no memory). */
static EVP_PKEY *to_pkey(const struct tpms_public *key)
{
	uint8_t spki[AK_SPKI_LEN];
	const uint8_t *at = spki;

	ak_spki(key, spki);
	EVP_PKEY *pkey = d2i_PUBKEY(NULL, &at, sizeof(spki));
	ERR_clear_error();
	return pkey;
}

static bool get_number(const EVP_PKEY *pkey, const char *name, uint8_t ret[static TPMS_ECC_LEN])
{
	[[gnu::cleanup(bn_freep)]] BIGNUM *number = NULL;

	return EVP_PKEY_get_bn_param(pkey, name, &number) == 1 &&
		BN_bn2binpad(number, ret, TPMS_ECC_LEN) == TPMS_ECC_LEN;
}

/* The point of a PEM file, however it was encoded. */
static bool from_pem(const uint8_t *bytes, size_t len, struct tpms_public *ret)
{
	[[gnu::cleanup(bio_freep)]] BIO *bio = BIO_new_mem_buf(bytes, (int)len);
	[[gnu::cleanup(pkey_freep)]] EVP_PKEY *pkey = NULL;
	char group[32] = "";

	if (bio)
		pkey = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
	bool found = pkey && EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) == 1 &&
		strcmp(group, "prime256v1") == 0 &&
		get_number(pkey, OSSL_PKEY_PARAM_EC_PUB_X, ret->x) &&
		get_number(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, ret->y);
	ERR_clear_error();
	return found;
}

static int fault(char ret_error[static AK_ERROR_MAX], const char *what)
{
	snprintf(ret_error, AK_ERROR_MAX, "%s", what);
	return -EBADMSG;
}

int ak_decode(const uint8_t *bytes, size_t len, struct ak *ret, char ret_error[static AK_ERROR_MAX])
{
	static const char pem[] = "-----BEGIN ";
	struct ak ak = { 0 };

	if (len > AK_FILE_MAX)
		return fault(ret_error, "too large for a key");
	if (len >= sizeof(pem) - 1 && memcmp(bytes, pem, sizeof(pem) - 1) == 0) {
		if (!from_pem(bytes, len, &ak.public))
			return fault(ret_error, "not the PEM of an ECC P-256 public key");
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

	[[gnu::cleanup(pkey_freep)]] EVP_PKEY *pkey = to_pkey(&ak.public);
	if (!pkey)
		return fault(ret_error, "its point is not on the curve P-256");
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

int ak_verify(const struct tpms_public *key, const uint8_t *bytes, size_t len,
	const struct tpms_signature *signature)
{
	[[gnu::cleanup(pkey_freep)]] EVP_PKEY *pkey = to_pkey(key);
	[[gnu::cleanup(md_ctx_freep)]] EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	[[gnu::cleanup(der_freep)]] uint8_t *der = NULL;

	if (!pkey)
		return -EBADMSG;
	int der_len = to_der(signature, &der);
	if (!ctx || der_len < 0 || EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, pkey) != 1)
		return -ENOMEM;
	bool good = EVP_DigestVerify(ctx, der, (size_t)der_len, bytes, len) == 1;
	ERR_clear_error();
	return good;
}
