// SPDX-License-Identifier: BSD-2-Clause
/*
 * The certificate that is made on first start. Nobody has to trust it: evidence names the channel that
 * it was made for. The key is what lasts; a certificate that is not of it is made again.
 */
#include "attest/server_own.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = SERVER_PATH_SIZE + sizeof("/server.key.new"), HOST_SIZE = 65 };

static void key_freep(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

static void certificate_freep(X509 **certificate)
{
	X509_free(*certificate);
}

static void bio_freep(BIO **bio)
{
	BIO_free_all(*bio);
}

static int fail(char error[static SERVER_ERROR_MAX], const char *path, int err)
{
	snprintf(error, SERVER_ERROR_MAX, "%s: %s", path, strerror(-err));
	return err;
}

static int fail_openssl(char error[static SERVER_ERROR_MAX], const char *what)
{
	snprintf(error, SERVER_ERROR_MAX, "%s: %s", what, tls_reason());
	return -EIO;
}

/* ---- files ---- */

static int write_all(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = write(fd, bytes, len);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		}
	}
	return fsync(fd) ? -errno : 0;
}

static int dir_sync(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = fd < 0 || fsync(fd) ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return err;
}

/* The whole file or none of it, whenever the machine stops. */
static int file_put(const char *dir, const char *path, mode_t mode, BIO *from,
	char ret_error[static SERVER_ERROR_MAX])
{
	char temporary[PATH_SIZE + 4];
	char *bytes;
	long len = BIO_get_mem_data(from, &bytes);
	int err = 0;

	snprintf(temporary, sizeof(temporary), "%s.new", path);
	if (unlink(temporary) && errno != ENOENT)
		return fail(ret_error, temporary, -errno);
	int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return fail(ret_error, temporary, -errno);
	err = write_all(fd, bytes, (size_t)len);
	if (close(fd) && !err)
		err = -errno;
	if (!err && rename(temporary, path))
		err = -errno;
	if (!err)
		err = dir_sync(dir);
	return err ? fail(ret_error, path, err) : 0;
}

static int file_open(const char *path, BIO **ret_file, char ret_error[static SERVER_ERROR_MAX])
{
	FILE *stream = fopen(path, "re");

	if (!stream)
		return fail(ret_error, path, -errno);
	*ret_file = BIO_new_fp(stream, BIO_CLOSE);
	if (*ret_file)
		return 0;
	fclose(stream);
	return fail(ret_error, path, -ENOMEM);
}

/* ---- the key ---- */

static int key_make(const char *dir, const char *path, EVP_PKEY **ret_key,
	char ret_error[static SERVER_ERROR_MAX])
{
	[[gnu::cleanup(key_freep)]] EVP_PKEY *key = EVP_EC_gen("P-256");
	[[gnu::cleanup(bio_freep)]] BIO *pem = BIO_new(BIO_s_secmem());

	if (!key || !pem || PEM_write_bio_PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL) != 1)
		return fail_openssl(ret_error, path);
	int err = file_put(dir, path, 0600, pem, ret_error);
	if (err)
		return err;
	*ret_key = key;
	key = NULL;
	return 0;
}

static int key_get(const char *dir, const char *path, EVP_PKEY **ret_key,
	char ret_error[static SERVER_ERROR_MAX])
{
	[[gnu::cleanup(bio_freep)]] BIO *pem = NULL;
	int err = file_open(path, &pem, ret_error);

	if (err == -ENOENT)
		return key_make(dir, path, ret_key, ret_error);
	if (err)
		return err;
	/* Without a passphrase OpenSSL would ask at the terminal. */
	EVP_PKEY *key = PEM_read_bio_PrivateKey(pem, NULL, NULL, (void *)"");
	if (!key)
		return fail_openssl(ret_error, path);
	*ret_key = key;
	return 0;
}

/* ---- the certificate ---- */

static bool add_extension(X509 *certificate, int nid, const char *value)
{
	X509V3_CTX ctx;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, certificate, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	bool done = extension && X509_add_ext(certificate, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return done;
}

/* 128 random bits, positive: RFC 5280, 4.1.2.2. */
static bool set_serial(X509 *certificate)
{
	BIGNUM *number = BN_new();
	bool done = number && BN_rand(number, 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
		BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));

	BN_free(number);
	return done;
}

static bool set_names(X509 *certificate, const char *host)
{
	X509_NAME *name = X509_get_subject_name(certificate);
	char alternative[HOST_SIZE + 4];

	snprintf(alternative, sizeof(alternative), "DNS:%s", host);
	return X509_NAME_add_entry_by_txt(
		       name, "CN", MBSTRING_UTF8, (const unsigned char *)host, -1, -1, 0) == 1 &&
		X509_set_issuer_name(certificate, name) == 1 &&
		add_extension(certificate, NID_subject_alt_name, alternative);
}

/* A name that X.509's configuration language takes as one, whatever the machine calls itself. */
static void host_name(char ret_host[static HOST_SIZE])
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-.";

	if (gethostname(ret_host, HOST_SIZE))
		*ret_host = '\0';
	ret_host[HOST_SIZE - 1] = '\0';
	if (!*ret_host || ret_host[strspn(ret_host, letters)])
		snprintf(ret_host, HOST_SIZE, "localhost");
}

/* Valid from a day ago, for clocks that are behind, and without an end (RFC 5280, 4.1.2.5). */
static X509 *certificate_make(EVP_PKEY *key)
{
	[[gnu::cleanup(certificate_freep)]] X509 *certificate = X509_new();
	char host[HOST_SIZE];
	X509 *ret;

	host_name(host);
	if (!certificate || X509_set_version(certificate, X509_VERSION_3) != 1 ||
		!set_serial(certificate) || X509_set_pubkey(certificate, key) != 1 ||
		!X509_gmtime_adj(X509_getm_notBefore(certificate), -24L * 60 * 60) ||
		ASN1_TIME_set_string(X509_getm_notAfter(certificate), "99991231235959Z") != 1 ||
		!set_names(certificate, host) ||
		!add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") ||
		!add_extension(certificate, NID_key_usage, "critical,digitalSignature") ||
		!add_extension(certificate, NID_ext_key_usage, "serverAuth") ||
		!X509_sign(certificate, key, EVP_sha256()))
		return NULL;
	ret = certificate;
	certificate = NULL;
	return ret;
}

/* NULL where there is none, or one of another key. */
static X509 *certificate_read(const char *path, EVP_PKEY *key)
{
	[[gnu::cleanup(bio_freep)]] BIO *pem = NULL;
	char error[SERVER_ERROR_MAX];

	if (file_open(path, &pem, error))
		return NULL;
	X509 *certificate = PEM_read_bio_X509(pem, NULL, NULL, NULL);
	if (certificate && X509_check_private_key(certificate, key) != 1) {
		X509_free(certificate);
		certificate = NULL;
	}
	ERR_clear_error();
	return certificate;
}

static int certificate_get(const char *dir, const char *path, EVP_PKEY *key, X509 **ret_certificate,
	char ret_error[static SERVER_ERROR_MAX])
{
	[[gnu::cleanup(certificate_freep)]] X509 *certificate = certificate_read(path, key);
	[[gnu::cleanup(bio_freep)]] BIO *pem = NULL;

	if (!certificate) {
		certificate = certificate_make(key);
		pem = BIO_new(BIO_s_mem());
		if (!certificate || !pem || PEM_write_bio_X509(pem, certificate) != 1)
			return fail_openssl(ret_error, path);
		int err = file_put(dir, path, 0644, pem, ret_error);
		if (err)
			return err;
	}
	*ret_certificate = certificate;
	certificate = NULL;
	return 0;
}

int tls_self_made(const char *dir, SSL_CTX *ctx, char ret_error[static SERVER_ERROR_MAX])
{
	[[gnu::cleanup(key_freep)]] EVP_PKEY *key = NULL;
	[[gnu::cleanup(certificate_freep)]] X509 *certificate = NULL;
	char key_path[PATH_SIZE], path[PATH_SIZE];

	snprintf(key_path, sizeof(key_path), "%s/server.key", dir);
	snprintf(path, sizeof(path), "%s/server.crt", dir);
	if (mkdir(dir, 0755) && errno != EEXIST)
		return fail(ret_error, dir, -errno);
	int err = key_get(dir, key_path, &key, ret_error);
	if (!err)
		err = certificate_get(dir, path, key, &certificate, ret_error);
	if (err)
		return err;
	if (SSL_CTX_use_certificate(ctx, certificate) != 1 || SSL_CTX_use_PrivateKey(ctx, key) != 1)
		return fail_openssl(ret_error, path);
	return 0;
}
