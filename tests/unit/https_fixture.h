/* SPDX-License-Identifier: BSD-2-Clause */
/* A TLS server on this machine, in a process of its own, that answers as a test wants. */
#ifndef TESTS_UNIT_HTTPS_FIXTURE_H
#define TESTS_UNIT_HTTPS_FIXTURE_H

#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "bpf/bank.h"

struct https_request {
	SSL *ssl;
	const char *method;
	const char *path;
	const char *body; /* "" */
	unsigned connection; /* from 1 */
	uint8_t binding[SHA256_LEN];
};

/* Answers one request; false closes the connection. */
typedef bool https_handler(const struct https_request *request);

struct https {
	pid_t pid;
	char address[32];
};

static inline X509 *https_certificate(EVP_PKEY *key)
{
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);

	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -60);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_NAME_add_entry_by_txt(
		name, "CN", MBSTRING_ASC, (const uint8_t *)"localhost", -1, -1, 0);
	X509_set_issuer_name(cert, name);
	X509_set_pubkey(cert, key);
	X509_EXTENSION *san = X509V3_EXT_conf_nid(
		NULL, NULL, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
	X509_add_ext(cert, san, -1);
	X509_EXTENSION_free(san);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	return cert;
}

static inline void https_send(const struct https_request *request, const char *bytes, size_t len)
{
	if (SSL_write(request->ssl, bytes, (int)len) != (int)len)
		_exit(3);
}

static inline bool https_answer(const struct https_request *request, int status, const char *body)
{
	char head[128];

	int len = snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n",
		status, strlen(body));
	https_send(request, head, (size_t)len);
	https_send(request, body, strlen(body));
	return true;
}

/* One request, its head and its body; false at the end of the connection. */
static inline bool https_serve(SSL *ssl, unsigned connection, https_handler *handler)
{
	static char buf[256 * 1024];
	char *body = NULL;
	size_t len = 0, wanted = 0;

	while (!body || len < wanted) {
		int n = SSL_read(ssl, buf + len, (int)(sizeof(buf) - 1 - len));
		if (n <= 0)
			return false;
		len += (size_t)n;
		buf[len] = '\0';
		if (body || !(body = strstr(buf, "\r\n\r\n")))
			continue;
		const char *size = strstr(buf, "Content-Length: ");
		body += 4;
		wanted = (size_t)(body - buf) +
			(size && size < body ? strtoul(size + 16, NULL, 10) : 0);
	}

	char *save;
	struct https_request request = {
		.ssl = ssl,
		.body = body,
		.connection = connection,
		.method = strtok_r(buf, " ", &save),
		.path = strtok_r(NULL, " ", &save),
	};
	if (SSL_export_keying_material(ssl, request.binding, SHA256_LEN, "EXPORTER-Channel-Binding",
		    24, NULL, 0, 0) != 1)
		memset(request.binding, 0, SHA256_LEN); /* before TLS 1.3 it may not be there */
	return handler(&request);
}

[[gnu::noreturn]] static inline void https_run(int listener, SSL_CTX *ctx, https_handler *handler)
{
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned connection = 1;; connection++) {
		int fd = accept(listener, NULL, NULL);
		SSL *ssl = SSL_new(ctx);

		SSL_set_fd(ssl, fd);
		if (SSL_accept(ssl) == 1)
			while (https_serve(ssl, connection, handler))
				;
		SSL_free(ssl);
		close(fd);
	}
}

/* tls_max: the best version that it speaks; ca_path: where its certificate goes, or NULL. */
static inline struct https https_start(https_handler *handler, int tls_max, const char *ca_path)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = https_certificate(key);
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	struct https https = { 0 };

	assert_int_equal(SSL_CTX_set_max_proto_version(ctx, tls_max), 1);
	assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
	if (ca_path) {
		FILE *file = fopen(ca_path, "we");
		assert_non_null(file);
		assert_int_equal(PEM_write_X509(file, cert), 1);
		fclose(file);
	}
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 8), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	snprintf(https.address, sizeof(https.address), "127.0.0.1:%d", ntohs(at.sin_port));
	https.pid = fork();
	assert_true(https.pid >= 0);
	if (https.pid == 0)
		https_run(listener, ctx, handler);
	close(listener);
	SSL_CTX_free(ctx);
	X509_free(cert);
	EVP_PKEY_free(key);
	return https;
}

static inline void https_stop(struct https *https)
{
	kill(https->pid, SIGKILL);
	assert_int_equal(waitpid(https->pid, NULL, 0), https->pid);
}

#endif
