/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/cms.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct trusted_key {
	X509 *cert;
	char *subject;
	uint8_t spki_sha256[SHA256_LEN];
};

struct cms_trust {
	size_t count;
	struct trusted_key keys[CMS_TRUST_MAX];
	char errmsg[PATH_MAX + 64];
};

static void bio_freep(BIO **bio)
{
	BIO_free_all(*bio);
}

static void cms_freep(CMS_ContentInfo **cms)
{
	CMS_ContentInfo_free(*cms);
}

static void der_freep(uint8_t **der)
{
	OPENSSL_free(*der);
}

/* What OpenSSL has to say about an attacker's bytes is nobody's business. */
static void forget_errors(const int *)
{
	ERR_pop_to_mark();
}
#define QUIET_OPENSSL [[gnu::cleanup(forget_errors), gnu::unused]] int errors = ERR_set_mark()

/* NULL unless the bytes are one SignedData in DER. */
static CMS_ContentInfo *parse(const void *sig, size_t sig_len)
{
	[[gnu::cleanup(cms_freep)]] CMS_ContentInfo *cms = NULL;
	[[gnu::cleanup(der_freep)]] uint8_t *der = NULL;
	const uint8_t *at = sig;

	if (sig_len == 0 || sig_len > CMS_SIGNATURE_MAX)
		return NULL;
	cms = d2i_CMS_ContentInfo(NULL, &at, (long)sig_len);
	if (!cms || OBJ_obj2nid(CMS_get0_type(cms)) != NID_pkcs7_signed)
		return NULL;

	/* OpenSSL reads BER, and does not mind what follows. */
	int der_len = i2d_CMS_ContentInfo(cms, &der);
	if (der_len < 0 || (size_t)der_len != sig_len || memcmp(der, sig, sig_len) != 0)
		return NULL;

	CMS_ContentInfo *ret = cms;
	cms = NULL;
	return ret;
}

/* ---- claims ---- */

static size_t append_hex(char *to, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		to[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
		to[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
	}
	return 2 * len;
}

/* Returns the length of what was written to ret_text, 0 where there is no telling. */
static size_t claim_of(CMS_SignerInfo *signer, char *ret_text)
{
	[[gnu::cleanup(der_freep)]] uint8_t *der = NULL;
	PKCS7_ISSUER_AND_SERIAL issuer = { 0 };
	ASN1_OCTET_STRING *keyid = NULL;
	uint8_t digest[SHA256_LEN];

	if (CMS_SignerInfo_get0_signer_id(signer, &keyid, &issuer.issuer, &issuer.serial) != 1)
		return 0;
	if (keyid) {
		memcpy(ret_text, "keyid:", 6);
		return 6 +
			append_hex(ret_text + 6, ASN1_STRING_get0_data(keyid),
				(size_t)ASN1_STRING_length(keyid));
	}

	int der_len = i2d_PKCS7_ISSUER_AND_SERIAL(&issuer, &der);
	if (der_len < 0 || sha256(der, (size_t)der_len, digest) < 0)
		return 0;
	memcpy(ret_text, "issuer:", 7);
	return 7 + append_hex(ret_text + 7, digest, sizeof(digest));
}

static enum record_alg digest_alg_of(CMS_SignerInfo *signer)
{
	static const struct {
		int nid;
		enum record_alg alg;
	} known[] = {
		{ NID_sha1, ALG_SHA1 },
		{ NID_sha224, ALG_SHA224 },
		{ NID_sha256, ALG_SHA256 },
		{ NID_sha384, ALG_SHA384 },
		{ NID_sha512, ALG_SHA512 },
		{ NID_sha3_256, ALG_SHA3_256 },
		{ NID_sha3_384, ALG_SHA3_384 },
		{ NID_sha3_512, ALG_SHA3_512 },
	};
	const ASN1_OBJECT *object = NULL;
	X509_ALGOR *digest = NULL;

	CMS_SignerInfo_get0_algs(signer, NULL, NULL, &digest, NULL);
	X509_ALGOR_get0(&object, NULL, NULL, digest);
	int nid = OBJ_obj2nid(object);
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (known[i].nid == nid)
			return known[i].alg;
	return ALG_OTHER;
}

int cms_claims(const void *sig, size_t sig_len, struct cms_claims *ret_claims)
{
	QUIET_OPENSSL;

	*ret_claims = (struct cms_claims){ 0 };
	[[gnu::cleanup(cms_freep)]] CMS_ContentInfo *cms = parse(sig, sig_len);
	if (!cms)
		return 0;

	STACK_OF(CMS_SignerInfo) *signers = CMS_get0_SignerInfos(cms);
	int count = sk_CMS_SignerInfo_num(signers);
	if (count < 0)
		count = 0;
	ret_claims->signers = (struct record_number){ .known = true, .value = (uint64_t)count };

	/* A key identifier is in the signature, so all of them in hex are no longer than
	 * twice it. */
	char *text = malloc(2 * sig_len + RECORD_SIGNERS_MAX * (7 + 2 * SHA256_LEN));
	if (!text)
		return -ENOMEM;
	ret_claims->text = text;
	for (int i = 0; i < count && i < RECORD_SIGNERS_MAX; i++) {
		CMS_SignerInfo *signer = sk_CMS_SignerInfo_value(signers, i);
		size_t len = claim_of(signer, text);

		ret_claims->digest_algs[i] = digest_alg_of(signer);
		ret_claims->key_ids[ret_claims->count++] = (struct record_text){ .bytes = text,
			.len = len };
		text += len;
	}
	return 0;
}

void cms_claims_done(struct cms_claims *claims)
{
	free(claims->text);
	*claims = (struct cms_claims){ 0 };
}

/* ---- trusted certificates ---- */

struct cms_trust *cms_trust_new(void)
{
	return calloc(1, sizeof(struct cms_trust));
}

void cms_trust_free(struct cms_trust *trust)
{
	if (!trust)
		return;
	for (size_t i = 0; i < trust->count; i++) {
		X509_free(trust->keys[i].cert);
		free(trust->keys[i].subject);
	}
	free(trust);
}

void cms_trust_freep(struct cms_trust **trust)
{
	cms_trust_free(*trust);
}

const char *cms_trust_errmsg(const struct cms_trust *trust)
{
	return trust->errmsg;
}

size_t cms_trust_count(const struct cms_trust *trust)
{
	return trust->count;
}

static int fail(struct cms_trust *trust, int error, const char *path, const char *what)
{
	snprintf(trust->errmsg, sizeof(trust->errmsg), "%s: %s", path, what);
	return error;
}

/* What OpenSSL refused is broken, unless memory lacked, which malloc() says in errno: OpenSSL's own errors
 * do not always. errno was 0 before the certificate was read. */
static int refused(void)
{
	return errno == ENOMEM ? -ENOMEM : -EINVAL;
}

/* NULL without memory. */
static char *subject_of(const X509 *cert)
{
	[[gnu::cleanup(bio_freep)]] BIO *bio = BIO_new(BIO_s_mem());
	const char *text = NULL;

	if (!bio || X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253) < 0)
		return NULL;
	long len = BIO_get_mem_data(bio, &text);
	return len < 0 ? NULL : strndup(len ? text : "", (size_t)len);
}

/* Takes cert over where it returns 0. */
static int add_cert(struct cms_trust *trust, X509 *cert)
{
	[[gnu::cleanup(der_freep)]] uint8_t *spki = NULL;
	struct trusted_key *key = &trust->keys[trust->count];

	if (!X509_get0_pubkey(cert)) /* it was decoded when the certificate was read */
		return refused();
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &spki);
	if (len < 0 || sha256(spki, (size_t)len, key->spki_sha256) < 0)
		return -ENOMEM;
	key->subject = subject_of(cert);
	if (!key->subject)
		return -ENOMEM;
	key->cert = cert;
	trust->count++;
	return 0;
}

static int no_password(char *, int, int, void *)
{
	return -1;
}

static int load_certs(struct cms_trust *trust, const char *path, BIO *bio)
{
	for (size_t found = 0;; found++) {
		errno = 0;
		X509 *cert = PEM_read_bio_X509(bio, NULL, no_password, NULL);

		if (!cert && refused() == -ENOMEM)
			return fail(trust, -ENOMEM, path, "out of memory");
		if (!cert) {
			bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
			if (end && found > 0)
				return 0;
			return fail(trust, -EINVAL, path,
				end ? "no certificate in it" : "not a certificate in PEM");
		}
		int r = trust->count < CMS_TRUST_MAX ? add_cert(trust, cert) : -E2BIG;
		if (r < 0) {
			X509_free(cert);
			return fail(trust, r, path,
				r == -EINVAL ? "a certificate with a key that cannot be used"
					: r == -E2BIG ? "too many certificates"
						      : "out of memory");
		}
	}
}

static int load_file(struct cms_trust *trust, const char *path)
{
	QUIET_OPENSSL;
	[[gnu::cleanup(bio_freep)]] BIO *bio = NULL;
	struct stat st;

	if (stat(path, &st) < 0)
		return fail(trust, -errno, path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fail(trust, -EINVAL, path, "not a file");
	if (st.st_size > CMS_CERT_FILE_MAX)
		return fail(trust, -E2BIG, path, "too large for certificates");
	bio = BIO_new_file(path, "r");
	if (!bio)
		return fail(trust, -errno, path, strerror(errno));
	return load_certs(trust, path, bio);
}

static void dir_closep(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

int cms_trust_load(struct cms_trust *trust, const char *path)
{
	[[gnu::cleanup(dir_closep)]] DIR *dir = opendir(path);

	if (!dir && errno == ENOTDIR)
		return load_file(trust, path);
	if (!dir)
		return fail(trust, -errno, path, strerror(errno));
	for (;;) {
		char file[PATH_MAX];

		errno = 0;
		const struct dirent *entry = readdir(dir);
		if (!entry)
			return errno ? fail(trust, -errno, path, strerror(errno)) : 0;
		if (entry->d_name[0] == '.')
			continue;
		if ((size_t)snprintf(file, sizeof(file), "%s/%s", path, entry->d_name) >=
			sizeof(file))
			return fail(trust, -ENAMETOOLONG, path, strerror(ENAMETOOLONG));
		int r = load_file(trust, file);
		if (r < 0)
			return r;
	}
}

/* ---- pinned ---- */

static bool is_small(BIO *chain)
{
	size_t digests = 0;

	for (BIO *bio = BIO_find_type(chain, BIO_TYPE_MD); bio && digests <= CMS_DIGESTS_MAX;
		bio = BIO_next(bio) ? BIO_find_type(BIO_next(bio), BIO_TYPE_MD) : NULL)
		digests++;
	return digests <= CMS_DIGESTS_MAX;
}

/* One digest per algorithm that the signature names, with all of the data gone through each; NULL
 * where an algorithm is unknown, or there are too many. */
static BIO *digest_data(CMS_ContentInfo *cms, const void *data, size_t len)
{
	static const uint8_t empty[1];
	[[gnu::cleanup(bio_freep)]] BIO *chain = NULL;
	uint8_t sink[4096];
	int n;

	if (len > INT_MAX)
		return NULL;
	BIO *source = BIO_new_mem_buf(len ? data : empty, (int)len);
	if (!source)
		return NULL;
	chain = CMS_dataInit(cms, source);
	if (!chain) {
		BIO_free(source);
		return NULL;
	}
	if (!is_small(chain))
		return NULL;
	do
		n = BIO_read(chain, sink, sizeof(sink));
	while (n > 0);
	if (n < 0)
		return NULL;

	BIO *ret = chain;
	chain = NULL;
	return ret;
}

static bool is_signed_by(CMS_SignerInfo *signer, X509 *cert, BIO *digests)
{
	CMS_SignerInfo_set1_signer_cert(signer, cert);
	if (CMS_signed_get_attr_count(signer) >= 0 && CMS_SignerInfo_verify(signer) != 1)
		return false;
	return CMS_SignerInfo_verify_content(signer, digests) == 1;
}

static bool all_signed_by(STACK_OF(CMS_SignerInfo) * signers, X509 *cert, BIO *digests)
{
	for (int i = 0; i < sk_CMS_SignerInfo_num(signers); i++)
		if (!is_signed_by(sk_CMS_SignerInfo_value(signers, i), cert, digests))
			return false;
	return true;
}

bool cms_pinned(const struct cms_trust *trust, const void *data, size_t data_len, const void *sig,
	size_t sig_len, uint8_t ret_spki_sha256[static SHA256_LEN])
{
	QUIET_OPENSSL;
	[[gnu::cleanup(cms_freep)]] CMS_ContentInfo *cms = parse(sig, sig_len);
	[[gnu::cleanup(bio_freep)]] BIO *digests = NULL;

	if (!cms || CMS_is_detached(cms) != 1)
		return false;

	STACK_OF(CMS_SignerInfo) *signers = CMS_get0_SignerInfos(cms);
	int count = sk_CMS_SignerInfo_num(signers);
	if (count < 1 || count > RECORD_SIGNERS_MAX)
		return false;
	digests = digest_data(cms, data, data_len);
	if (!digests)
		return false;
	for (size_t i = 0; i < trust->count; i++) {
		if (!all_signed_by(signers, trust->keys[i].cert, digests))
			continue;
		memcpy(ret_spki_sha256, trust->keys[i].spki_sha256, SHA256_LEN);
		return true;
	}
	return false;
}

const char *cms_trust_subject(
	const struct cms_trust *trust, const uint8_t spki_sha256[static SHA256_LEN])
{
	for (size_t i = 0; i < trust->count; i++)
		if (!memcmp(trust->keys[i].spki_sha256, spki_sha256, SHA256_LEN))
			return trust->keys[i].subject;
	return NULL;
}
