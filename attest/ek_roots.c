/* SPDX-License-Identifier: BSD-2-Clause */
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "attest/ek.h"

enum {
	FILE_MAX = 4 * 1024 * 1024, /* bytes: every vendor's certificates in one PEM file */
	DEPTH_MAX = 10, /* certificates between an EK and its root */
};

/* TCG OID registry: tcg-kp-EKCertificate */
static const char oid_ek_certificate[] = "2.23.133.8.1";

/* OpenSSL would ask at the terminal. */
static const char no_passphrase[] = "";

struct ek_roots {
	X509_STORE *store; /* the roots of both folders */
	STACK_OF(X509) * software; /* those of one of them */
	STACK_OF(X509) * others; /* what helps to build chains */
};

static void x509_freep(X509 **cert)
{
	X509_free(*cert);
}

static void bio_freep(BIO **bio)
{
	BIO_free(*bio);
}

static void fclosep(FILE **file)
{
	if (*file)
		fclose(*file);
}

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static void store_ctx_freep(X509_STORE_CTX **ctx)
{
	X509_STORE_CTX_free(*ctx);
}

static void pkey_freep(EVP_PKEY **pkey)
{
	EVP_PKEY_free(*pkey);
}

static void eku_freep(EXTENDED_KEY_USAGE **eku)
{
	EXTENDED_KEY_USAGE_free(*eku);
}

static void freep(char **bytes)
{
	free(*bytes);
}

/* ---- the folders ---- */

static int add(struct ek_roots *roots, X509 *cert, bool is_software)
{
	bool good;

	if (X509_self_signed(cert, 0) != 1)
		good = X509_add_cert(roots->others, cert, X509_ADD_FLAG_UP_REF) == 1;
	else
		good = X509_STORE_add_cert(roots->store, cert) == 1 &&
			(!is_software ||
				X509_add_cert(roots->software, cert, X509_ADD_FLAG_UP_REF) == 1);
	return good ? 0 : -ENOMEM;
}

/* Every certificate of a PEM file, or the one of a DER file. */
static int add_all(struct ek_roots *roots, const char *bytes, size_t len, bool is_software)
{
	[[gnu::cleanup(bio_freep)]] BIO *bio = BIO_new_mem_buf(bytes, (int)len);
	const uint8_t *at = (const uint8_t *)bytes;
	int count = 0, err = 0;

	if (!bio)
		return -ENOMEM;
	for (; !err; count++) {
		[[gnu::cleanup(x509_freep)]] X509 *cert = PEM_read_bio_X509(
			bio, NULL, NULL, (void *)no_passphrase);
		if (!cert)
			break;
		err = add(roots, cert, is_software);
	}
	/* Nothing more is well; something that does not decode is not. */
	bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	if (count || err || !at_end)
		return err ? err : at_end ? 0 : -EBADMSG;
	[[gnu::cleanup(x509_freep)]] X509 *cert = d2i_X509(NULL, &at, (long)len);
	return cert ? add(roots, cert, is_software) : -EBADMSG;
}

static int add_file(struct ek_roots *roots, const char *path, bool is_software)
{
	[[gnu::cleanup(fclosep)]] FILE *file = fopen(path, "rbe");
	[[gnu::cleanup(freep)]] char *bytes = malloc(FILE_MAX);

	if (!file)
		return -errno;
	if (!bytes)
		return -ENOMEM;
	size_t len = fread(bytes, 1, FILE_MAX, file);
	if (ferror(file))
		return -EIO;
	if (len == FILE_MAX)
		return -EFBIG;
	int err = add_all(roots, bytes, len, is_software);
	ERR_clear_error();
	return err;
}

static bool is_certificate_name(const char *name)
{
	static const char *const ends[] = { ".pem", ".crt", ".cer", ".der" };
	const char *end = strrchr(name, '.');

	for (size_t i = 0; end && end != name && i < sizeof(ends) / sizeof(ends[0]); i++)
		if (strcasecmp(end, ends[i]) == 0)
			return true;
	return false;
}

/* A folder that is not there holds nothing. */
static int add_folder(struct ek_roots *roots, const char *dir, const char *name, bool is_software,
	char ret_error[static EK_ERROR_MAX])
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	[[gnu::cleanup(closedirp)]] DIR *folder = opendir(path);
	if (!folder && errno == ENOENT)
		return 0;
	if (!folder) {
		int err = -errno;
		snprintf(ret_error, EK_ERROR_MAX, "%.400s: %s", path, strerror(-err));
		return err;
	}
	for (const struct dirent *entry; (entry = readdir(folder));) {
		if (!is_certificate_name(entry->d_name))
			continue;
		snprintf(path, sizeof(path), "%s/%s/%s", dir, name, entry->d_name);
		int err = add_file(roots, path, is_software);
		if (err) {
			snprintf(ret_error, EK_ERROR_MAX, "%.400s: %s", path,
				err == -EBADMSG ? "not a certificate, PEM or DER" : strerror(-err));
			return err;
		}
	}
	return 0;
}

int ek_roots_load(const char *dir, struct ek_roots **ret_roots, char ret_error[static EK_ERROR_MAX])
{
	[[gnu::cleanup(ek_roots_freep)]] struct ek_roots *roots = calloc(1, sizeof(*roots));

	if (roots) {
		roots->store = X509_STORE_new();
		roots->software = sk_X509_new_null();
		roots->others = sk_X509_new_null();
	}
	if (!roots || !roots->store || !roots->software || !roots->others) {
		snprintf(ret_error, EK_ERROR_MAX, "there is not enough memory");
		return -ENOMEM;
	}
	int err = add_folder(roots, dir, "hardware", false, ret_error);
	if (!err)
		err = add_folder(roots, dir, "software", true, ret_error);
	if (err)
		return err;
	if (!sk_X509_OBJECT_num(X509_STORE_get0_objects(roots->store))) {
		snprintf(ret_error, EK_ERROR_MAX, "%.400s: %s", dir,
			access(dir, F_OK)
				? strerror(errno)
				: "no root certificate in its folders hardware and software");
		return -ENOENT;
	}
	*ret_roots = roots;
	roots = NULL;
	return 0;
}

void ek_roots_free(struct ek_roots *roots)
{
	if (!roots)
		return;
	X509_STORE_free(roots->store);
	sk_X509_pop_free(roots->software, X509_free);
	sk_X509_pop_free(roots->others, X509_free);
	free(roots);
}

void ek_roots_freep(struct ek_roots **roots)
{
	ek_roots_free(*roots);
}

/* ---- one certificate ---- */

/* Whether that is why OpenSSL refused something. Its errors are forgotten. */
static bool lacked_memory(void)
{
	bool lacked = false;

	for (unsigned long error; (error = ERR_get_error());)
		lacked |= ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE;
	return lacked;
}

[[gnu::format(printf, 3, 4)]] static enum ek_fault refuse(
	char ret_error[static EK_ERROR_MAX], enum ek_fault fault, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(ret_error, EK_ERROR_MAX, format, args);
	va_end(args);
	return fault;
}

/* Absent: anything goes. */
static bool has_ek_usage(const X509 *cert)
{
	[[gnu::cleanup(eku_freep)]] EXTENDED_KEY_USAGE *eku = NULL;
	char oid[sizeof(oid_ek_certificate) + 1]; /* a longer one is cut, and another */
	int critical;

	eku = X509_get_ext_d2i(cert, NID_ext_key_usage, &critical, NULL);
	if (!eku)
		return critical == -1;
	for (int i = 0; i < sk_ASN1_OBJECT_num(eku); i++)
		if (OBJ_obj2txt(oid, sizeof(oid), sk_ASN1_OBJECT_value(eku, i), 1) > 0 &&
			strcmp(oid, oid_ek_certificate) == 0)
			return true;
	return false;
}

/* Returns NULL if it can be an EK's. */
static const char *profile_fault(X509 *cert)
{
	/* Without the extension: all bits. */
	uint32_t usage = X509_get_key_usage(cert);

	if (X509_get_extension_flags(cert) & EXFLAG_INVALID)
		return "its extensions cannot be read";
	if (X509_check_ca(cert))
		return "it is a certificate authority's";
	if (!has_ek_usage(cert))
		return "it is for other uses than an endorsement key";
	if (!(usage & (KU_KEY_ENCIPHERMENT | KU_KEY_AGREEMENT)))
		return "its key is not for encryption";
	return NULL;
}

/* RFC 4055, 1.2: OpenSSL does not know such keys, and builds no chain for their certificates. */
static bool is_for_oaep(X509 *cert)
{
	ASN1_OBJECT *algorithm;

	return X509_PUBKEY_get0_param(&algorithm, NULL, NULL, NULL, X509_get_X509_PUBKEY(cert)) ==
		1 &&
		OBJ_obj2nid(algorithm) == NID_rsaesOaep;
}

static enum ek_fault check_key(X509 *cert, const struct ek *ek, char ret_error[static EK_ERROR_MAX])
{
	const EVP_PKEY *certified = X509_get0_pubkey(cert);
	[[gnu::cleanup(pkey_freep)]] EVP_PKEY *ours = NULL;

	int err = ek_to_pkey(ek, &ours);
	if (err == -ENOMEM)
		return refuse(ret_error, EK_FAILED, "there is not enough memory");
	if (err)
		return refuse(ret_error, EK_KEY, "the endorsement key is no key");
	if (!certified)
		return refuse(ret_error, EK_CERTIFICATE, "%s",
			is_for_oaep(cert)
				? "its key is marked id-RSAES-OAEP, which OpenSSL does not know: "
				  "pin the endorsement key instead"
				: "its key is of no kind that is known");
	if (EVP_PKEY_eq(certified, ours) != 1)
		return refuse(ret_error, EK_KEY, "it is the certificate of another key");
	return EK_GOOD;
}

/* OpenSSL takes for a CA what only looks like one, version 1 or without basic constraints: of a root that
 * is the operator's business. */
static bool are_authorities(const STACK_OF(X509) * chain)
{
	for (int i = 1; i < sk_X509_num(chain) - 1; i++)
		if (X509_check_ca(sk_X509_value(chain, i)) != 1)
			return false;
	return true;
}

static bool contains(const STACK_OF(X509) * certs, const X509 *cert)
{
	for (int i = 0; i < sk_X509_num(certs); i++)
		if (X509_cmp(sk_X509_value(certs, i), cert) == 0)
			return true;
	return false;
}

static enum ek_fault check_chain(const struct ek_roots *roots, X509 *cert,
	enum machine_tpm *ret_tpm, char ret_error[static EK_ERROR_MAX])
{
	[[gnu::cleanup(store_ctx_freep)]] X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	char issuer[200];

	if (!ctx || X509_STORE_CTX_init(ctx, roots->store, cert, roots->others) != 1)
		return refuse(ret_error, EK_FAILED, "there is not enough memory");
	X509_STORE_CTX_set_depth(ctx, DEPTH_MAX);
	if (X509_verify_cert(ctx) != 1) {
		if (X509_STORE_CTX_get_error(ctx) == X509_V_ERR_OUT_OF_MEM)
			return refuse(ret_error, EK_FAILED, "there is not enough memory");
		int depth = X509_STORE_CTX_get_error_depth(ctx);
		const X509 *at = X509_STORE_CTX_get_current_cert(ctx);

		X509_NAME_oneline(X509_get_issuer_name(at ? at : cert), issuer, sizeof(issuer));
		return refuse(ret_error, EK_CHAIN, "%s, at depth %d of the chain, issued by %s",
			X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)), depth,
			issuer);
	}
	const STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);
	if (!are_authorities(chain))
		return refuse(
			ret_error, EK_CHAIN, "what issued it is no certificate authority itself");
	*ret_tpm = contains(roots->software, sk_X509_value(chain, sk_X509_num(chain) - 1))
		? MACHINE_SOFTWARE
		: MACHINE_HARDWARE;
	return EK_GOOD;
}

static enum ek_fault judge(const struct ek_roots *roots, const struct ek *ek, const uint8_t *der,
	size_t len, enum machine_tpm *ret_tpm, char ret_error[static EK_ERROR_MAX])
{
	[[gnu::cleanup(x509_freep)]] X509 *cert = NULL;

	ERR_clear_error();
	cert = d2i_X509(NULL, &der, (long)len);
	if (!cert)
		return lacked_memory()
			? refuse(ret_error, EK_FAILED, "there is not enough memory")
			: refuse(ret_error, EK_CERTIFICATE, "it is no X.509 certificate");
	const char *what = profile_fault(cert);
	enum ek_fault fault = what ? refuse(ret_error, EK_CERTIFICATE, "%s", what)
				   : check_key(cert, ek, ret_error);
	if (!fault)
		fault = check_chain(roots, cert, ret_tpm, ret_error);
	return fault && lacked_memory() ? refuse(ret_error, EK_FAILED, "there is not enough memory")
					: fault;
}

/* Its errors do not always tell that it lacked memory: so what OpenSSL refuses it is asked again. */
enum ek_fault ek_certificate_judge(const struct ek_roots *roots, const struct ek *ek,
	const uint8_t *der, size_t len, enum machine_tpm *ret_tpm,
	char ret_error[static EK_ERROR_MAX])
{
	enum ek_fault fault = judge(roots, ek, der, len, ret_tpm, ret_error);

	return fault == EK_GOOD || fault == EK_FAILED
		? fault
		: judge(roots, ek, der, len, ret_tpm, ret_error);
}
