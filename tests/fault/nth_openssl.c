// SPDX-License-Identifier: BSD-2-Clause
/* OpenSSL as our objects call it: each fails as it does where memory is short. */
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/cms.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>

#include "tests/fault/nth.h"

/* For the failure's sake: it leaves the error behind that OpenSSL would. */
static int no_memory(void)
{
	ERR_raise(ERR_LIB_CRYPTO, ERR_R_MALLOC_FAILURE);
	return 0;
}

#define WRAP_POINTER(type, name, params, ...)                                                      \
	NTH_WRAP(NTH_OPENSSL, type, name, (no_memory(), (type)NULL), params, __VA_ARGS__)
#define WRAP_INT(name, failure, params, ...)                                                       \
	NTH_WRAP(NTH_OPENSSL, int, name, (no_memory(), failure), params, __VA_ARGS__)

/* ---- digests ---- */

WRAP_POINTER(EVP_MD *, EVP_MD_fetch, (OSSL_LIB_CTX * ctx, const char *name, const char *properties),
	ctx, name, properties)
WRAP_POINTER(EVP_MD_CTX *, EVP_MD_CTX_new, (void))
WRAP_INT(EVP_DigestInit_ex2, 0, (EVP_MD_CTX * ctx, const EVP_MD *type, const OSSL_PARAM params[]),
	ctx, type, params)
WRAP_INT(EVP_DigestUpdate, 0, (EVP_MD_CTX * ctx, const void *data, size_t len), ctx, data, len)
WRAP_INT(EVP_DigestFinal_ex, 0, (EVP_MD_CTX * ctx, unsigned char *digest, unsigned *len), ctx,
	digest, len)

WRAP_POINTER(unsigned char *, HMAC,
	(const EVP_MD *type, const void *key, int key_len, const unsigned char *data, size_t len,
		unsigned char *mac, unsigned *mac_len),
	type, key, key_len, data, len, mac, mac_len)

/* ---- keys and signatures ---- */

WRAP_POINTER(EVP_PKEY_CTX *, EVP_PKEY_CTX_new_from_name,
	(OSSL_LIB_CTX * lib, const char *name, const char *properties), lib, name, properties)
WRAP_INT(EVP_PKEY_fromdata_init, 0, (EVP_PKEY_CTX * ctx), ctx)
WRAP_INT(EVP_PKEY_fromdata, 0,
	(EVP_PKEY_CTX * ctx, EVP_PKEY **ret, int selection, OSSL_PARAM params[]), ctx, ret,
	selection, params)
WRAP_POINTER(EVP_PKEY *, PEM_read_bio_PUBKEY,
	(BIO * bio, EVP_PKEY **key, pem_password_cb *password, void *arg), bio, key, password, arg)
WRAP_INT(EVP_PKEY_get_group_name, 0,
	(const EVP_PKEY *key, char *name, size_t size, size_t *ret_len), key, name, size, ret_len)
WRAP_INT(EVP_PKEY_get_bn_param, 0, (const EVP_PKEY *key, const char *name, BIGNUM **ret_number),
	key, name, ret_number)
WRAP_INT(EVP_DigestVerifyInit, 0,
	(EVP_MD_CTX * ctx, EVP_PKEY_CTX **pctx, const EVP_MD *type, ENGINE *engine, EVP_PKEY *key),
	ctx, pctx, type, engine, key)
WRAP_INT(EVP_DigestVerify, -1,
	(EVP_MD_CTX * ctx, const unsigned char *signature, size_t signature_len,
		const unsigned char *data, size_t len),
	ctx, signature, signature_len, data, len)
WRAP_POINTER(ECDSA_SIG *, ECDSA_SIG_new, (void))
WRAP_INT(ECDSA_SIG_set0, 0, (ECDSA_SIG * signature, BIGNUM *r, BIGNUM *s), signature, r, s)
WRAP_INT(i2d_ECDSA_SIG, -1, (const ECDSA_SIG *signature, unsigned char **out), signature, out)
WRAP_POINTER(
	BIGNUM *, BN_bin2bn, (const unsigned char *bytes, int len, BIGNUM *ret), bytes, len, ret)
WRAP_INT(BN_bn2binpad, -1, (const BIGNUM *number, unsigned char *to, int len), number, to, len)

/* ---- CMS and certificates ---- */

WRAP_POINTER(CMS_ContentInfo *, d2i_CMS_ContentInfo,
	(CMS_ContentInfo * *cms, const unsigned char **in, long len), cms, in, len)
WRAP_INT(i2d_CMS_ContentInfo, -1, (const CMS_ContentInfo *cms, unsigned char **out), cms, out)
WRAP_INT(CMS_SignerInfo_get0_signer_id, 0,
	(CMS_SignerInfo * signer, ASN1_OCTET_STRING **keyid, X509_NAME **issuer,
		ASN1_INTEGER **serial),
	signer, keyid, issuer, serial)
WRAP_INT(i2d_PKCS7_ISSUER_AND_SERIAL, -1,
	(const PKCS7_ISSUER_AND_SERIAL *issuer, unsigned char **out), issuer, out)
WRAP_POINTER(BIO *, CMS_dataInit, (CMS_ContentInfo * cms, BIO *content), cms, content)
WRAP_INT(CMS_SignerInfo_verify, -1, (CMS_SignerInfo * signer), signer)
WRAP_INT(
	CMS_SignerInfo_verify_content, -1, (CMS_SignerInfo * signer, BIO *digests), signer, digests)
WRAP_POINTER(X509 *, PEM_read_bio_X509,
	(BIO * bio, X509 **cert, pem_password_cb *password, void *arg), bio, cert, password, arg)
WRAP_INT(X509_NAME_print_ex, -1,
	(BIO * out, const X509_NAME *name, int indent, unsigned long flags), out, name, indent,
	flags)
WRAP_POINTER(EVP_PKEY *, X509_get0_pubkey, (const X509 *cert), cert)
WRAP_INT(i2d_X509_PUBKEY, -1, (const X509_PUBKEY *key, unsigned char **out), key, out)

/* ---- BIO ---- */

WRAP_POINTER(BIO *, BIO_new, (const BIO_METHOD *method), method)
WRAP_POINTER(BIO *, BIO_new_mem_buf, (const void *bytes, int len), bytes, len)
WRAP_POINTER(BIO *, BIO_new_file, (const char *path, const char *mode), path, mode)
WRAP_INT(BIO_read, -1, (BIO * bio, void *to, int len), bio, to, len)
