/* SPDX-License-Identifier: BSD-2-Clause */
#include "attest/credential.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

enum {
	COORDINATE_MAX = 66, /* P-521 */
	IDENTITY_MAX = 2 + ACTIVATION_SECRET_LEN, /* the secret as a TPM2B_DIGEST */
};

/* TPM 2.0 Library, Part 1, Annex B.10.4 and C.6.3: the NUL byte belongs to it. */
static const char label_identity[] = "IDENTITY";

static void pkey_freep(EVP_PKEY **pkey)
{
	EVP_PKEY_free(*pkey);
}

static void pkey_ctx_freep(EVP_PKEY_CTX **ctx)
{
	EVP_PKEY_CTX_free(*ctx);
}

static void cipher_ctx_freep(EVP_CIPHER_CTX **ctx)
{
	EVP_CIPHER_CTX_free(*ctx);
}

static void kdf_freep(EVP_KDF **kdf)
{
	EVP_KDF_free(*kdf);
}

static void kdf_ctx_freep(EVP_KDF_CTX **ctx)
{
	EVP_KDF_CTX_free(*ctx);
}

static void bn_freep(BIGNUM **bn)
{
	BN_free(*bn);
}

static const EVP_MD *md_of(enum bank bank)
{
	switch (bank) {
	case BANK_SHA256:
		return EVP_sha256();
	case BANK_SHA384:
		return EVP_sha384();
	default:
		return EVP_sha512();
	}
}

/* OpenSSL writes the label's NUL byte (the separator) and the length itself. */
int credential_kdfa(enum bank hash, const uint8_t *key, size_t key_len, const char *label,
	const uint8_t *context, size_t context_len, unsigned bits, uint8_t *ret_bytes)
{
	[[gnu::cleanup(kdf_freep)]] EVP_KDF *kdf = EVP_KDF_fetch(NULL, "KBKDF", NULL);
	[[gnu::cleanup(kdf_ctx_freep)]] EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	const OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_MAC, (char[]){ "HMAC" }, 4),
		OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)bank_name(hash), 0),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_KEY, (void *)key, key_len),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_SALT, (void *)label, strlen(label)),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_INFO, (void *)context, context_len),
		OSSL_PARAM_END,
	};
	bool good = ctx && EVP_KDF_derive(ctx, ret_bytes, bits / 8, params) == 1;

	ERR_clear_error();
	return good ? 0 : -EIO;
}

/* ---- the seed, encrypted to the EK ---- */

static size_t put_sized(uint8_t *at, const uint8_t *bytes, size_t len)
{
	at[0] = (uint8_t)(len >> 8);
	at[1] = (uint8_t)len;
	memcpy(at + 2, bytes, len);
	return 2 + len;
}

/* Part 1, Annex B.10.4 "RSA Secret Exchange": OAEP with the hash of the EK's Name. */
static bool seed_by_rsa(EVP_PKEY *key, enum bank hash, uint8_t *seed, struct credential *credential)
{
	[[gnu::cleanup(pkey_ctx_freep)]] EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	uint8_t encrypted[EK_NUMBER_MAX];
	size_t len = sizeof(encrypted);
	char *label = OPENSSL_strdup(label_identity);

	if (!ctx || !label || EVP_PKEY_encrypt_init(ctx) != 1 ||
		EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) != 1 ||
		EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md_of(hash)) != 1 ||
		EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md_of(hash)) != 1 ||
		EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, label, sizeof(label_identity)) != 1) {
		OPENSSL_free(label);
		return false;
	}
	size_t seed_len = bank_size(hash); /* ctx has the label */
	if (RAND_bytes(seed, (int)seed_len) != 1 ||
		EVP_PKEY_encrypt(ctx, encrypted, &len, seed, seed_len) != 1)
		return false;
	credential->secret_len = put_sized(credential->secret, encrypted, len);
	return true;
}

static bool get_coordinate(EVP_PKEY *key, const char *name, size_t len, uint8_t *ret)
{
	[[gnu::cleanup(bn_freep)]] BIGNUM *number = NULL;

	return EVP_PKEY_get_bn_param(key, name, &number) == 1 &&
		BN_bn2binpad(number, ret, (int)len) == (int)len;
}

static bool agree(EVP_PKEY *ours, EVP_PKEY *theirs, size_t len, uint8_t *ret_z)
{
	[[gnu::cleanup(pkey_ctx_freep)]] EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(ours, NULL);

	return ctx && EVP_PKEY_derive_init(ctx) == 1 &&
		EVP_PKEY_derive_set_peer(ctx, theirs) == 1 &&
		EVP_PKEY_derive(ctx, ret_z, &len) == 1;
}

static EVP_PKEY *generate_like(EVP_PKEY *key)
{
	[[gnu::cleanup(pkey_ctx_freep)]] EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	EVP_PKEY *made = NULL;

	if (ctx && EVP_PKEY_keygen_init(ctx) == 1 && EVP_PKEY_keygen(ctx, &made) != 1)
		made = NULL;
	return made;
}

/*
 * Part 1, Annex C.6.3 "ECC Secret Sharing": a key for this once; the seed is
 * KDFe(Z, "IDENTITY", its x, the EK's x), 11.4.10.3, which for as many bits as the hash has is one round.
 */
static bool seed_by_ecc(
	const struct ek *ek, EVP_PKEY *key, uint8_t *seed, struct credential *credential)
{
	[[gnu::cleanup(pkey_freep)]] EVP_PKEY *ours = generate_like(key);
	size_t len = ek->number_len, point_len;
	uint8_t x[COORDINATE_MAX], y[COORDINATE_MAX], z[COORDINATE_MAX];
	uint8_t input[4 + 3 * COORDINATE_MAX + sizeof(label_identity)] = { 0, 0, 0, 1 };
	uint8_t *at = input + 4;
	uint8_t point[2 * (2 + COORDINATE_MAX)];

	if (!ours || !get_coordinate(ours, OSSL_PKEY_PARAM_EC_PUB_X, len, x) ||
		!get_coordinate(ours, OSSL_PKEY_PARAM_EC_PUB_Y, len, y) ||
		!agree(ours, key, len, z))
		return false;
	at = (uint8_t *)mempcpy(at, z, len);
	at = (uint8_t *)mempcpy(at, label_identity, sizeof(label_identity));
	at = (uint8_t *)mempcpy(at, x, len);
	at = (uint8_t *)mempcpy(at, ek->x, len);
	if (bank_hash(ek_name_hash(ek), input, (size_t)(at - input), seed))
		return false;
	point_len = put_sized(point, x, len);
	point_len += put_sized(point + point_len, y, len);
	credential->secret_len = put_sized(credential->secret, point, point_len);
	return true;
}

/* ---- the secret, encrypted with what follows from the seed ---- */

/* AES in CFB mode, IV 0. */
static bool encrypt(
	unsigned bits, const uint8_t *key, const uint8_t *bytes, size_t len, uint8_t *ret)
{
	[[gnu::cleanup(cipher_ctx_freep)]] EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	static const uint8_t iv[16];
	int done;

	return ctx &&
		EVP_EncryptInit_ex(ctx, bits == 128 ? EVP_aes_128_cfb128() : EVP_aes_256_cfb128(),
			NULL, key, iv) == 1 &&
		EVP_EncryptUpdate(ctx, ret, &done, bytes, (int)len) == 1 && done == (int)len;
}

/* Part 1, 24.4 and 24.5: outer HMAC over the encrypted secret and the Name. */
static int protect(const struct ek *ek, const uint8_t *seed, const uint8_t *name, size_t name_len,
	const uint8_t *secret, struct credential *credential)
{
	enum bank hash = ek_name_hash(ek);
	size_t hash_len = bank_size(hash);
	uint8_t identity[IDENTITY_MAX], covered[IDENTITY_MAX + TPMS_NAME_MAX];
	uint8_t key[BANK_DIGEST_MAX], hmac[BANK_DIGEST_MAX],
		blob[2 + BANK_DIGEST_MAX + IDENTITY_MAX];
	unsigned bits = ek_symmetric_bits(ek);

	put_sized(identity, secret, ACTIVATION_SECRET_LEN);
	if (credential_kdfa(hash, seed, hash_len, "STORAGE", name, name_len, bits, key) ||
		!encrypt(bits, key, identity, sizeof(identity), covered))
		return -EIO;
	memcpy(covered + IDENTITY_MAX, name, name_len);
	if (credential_kdfa(
		    hash, seed, hash_len, "INTEGRITY", NULL, 0, 8 * (unsigned)hash_len, key) ||
		!HMAC(md_of(hash), key, (int)hash_len, covered, IDENTITY_MAX + name_len, hmac,
			NULL))
		return -EIO;
	size_t len = put_sized(blob, hmac, hash_len);
	memcpy(blob + len, covered, IDENTITY_MAX);
	credential->blob_len = put_sized(credential->blob, blob, len + IDENTITY_MAX);
	return 0;
}

int credential_make(const struct ek *ek, const uint8_t *name, size_t name_len,
	const uint8_t secret[static ACTIVATION_SECRET_LEN], struct credential *ret)
{
	[[gnu::cleanup(pkey_freep)]] EVP_PKEY *key = NULL;
	struct credential credential = { 0 };
	uint8_t seed[BANK_DIGEST_MAX];

	int err = ek_to_pkey(ek, &key);
	if (err)
		return err == -EBADMSG ? err : -EIO;
	bool good = EVP_PKEY_is_a(key, "RSA")
		? seed_by_rsa(key, ek_name_hash(ek), seed, &credential)
		: seed_by_ecc(ek, key, seed, &credential);
	if (good)
		err = protect(ek, seed, name, name_len, secret, &credential);
	ERR_clear_error();
	if (!good || err)
		return -EIO;
	*ret = credential;
	return 0;
}
