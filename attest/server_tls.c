// SPDX-License-Identifier: BSD-2-Clause
/* TLS 1.3 and nothing older: one context, and what a connection says of itself. */
#include "attest/server_own.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

static const char binding_label[] = "EXPORTER-Channel-Binding"; /* RFC 9266, section 4.2 */

static void ctx_freep(SSL_CTX **ctx)
{
	SSL_CTX_free(*ctx);
}

const char *tls_reason(void)
{
	unsigned long error = ERR_get_error();
	const char *reason = ERR_SYSTEM_ERROR(error) ? strerror(ERR_GET_REASON(error))
						     : ERR_reason_error_string(error);

	if (ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE)
		reason = "no PEM of that kind in it";
	ERR_clear_error();
	return reason ? reason : "OpenSSL failed";
}

static int fail(char error[static SERVER_ERROR_MAX], const char *path)
{
	snprintf(error, SERVER_ERROR_MAX, "%s: %s", path, tls_reason());
	return -EINVAL;
}

/* No tickets and no sessions: every channel is new, and its exporter value with it. */
static int set_protocol(SSL_CTX *ctx, char ret_error[static SERVER_ERROR_MAX])
{
	SSL_CTX_set_options(ctx,
		SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
			SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
		SSL_CTX_set_max_early_data(ctx, 0) != 1 || SSL_CTX_set_num_tickets(ctx, 0) != 1 ||
		SSL_CTX_set_ciphersuites(ctx,
			"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384"
			":TLS_CHACHA20_POLY1305_SHA256") != 1 ||
		SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384") != 1)
		return fail(ret_error, "TLS 1.3");
	return 0;
}

static int use_certificate(
	const struct server_conf *conf, SSL_CTX *ctx, char ret_error[static SERVER_ERROR_MAX])
{
	static const char no_passphrase[] = ""; /* or OpenSSL would ask at the terminal */

	if (!server_has(conf->certificate))
		return tls_self_made(conf->dir, ctx, ret_error);
	SSL_CTX_set_default_passwd_cb_userdata(ctx, (void *)no_passphrase);
	if (SSL_CTX_use_certificate_chain_file(ctx, conf->certificate) != 1)
		return fail(ret_error, conf->certificate);
	if (SSL_CTX_use_PrivateKey_file(ctx, conf->key, SSL_FILETYPE_PEM) != 1 ||
		SSL_CTX_check_private_key(ctx) != 1)
		return fail(ret_error, conf->key);
	return 0;
}

/* Whoever shows a certificate shows one of this CA, or there is no connection. */
static int use_client_ca(
	const struct server_conf *conf, SSL_CTX *ctx, char ret_error[static SERVER_ERROR_MAX])
{
	int mode = SSL_VERIFY_PEER;

	if (!server_has(conf->client_ca))
		return 0;
	STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(conf->client_ca);
	if (!names || SSL_CTX_load_verify_file(ctx, conf->client_ca) != 1) {
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		return fail(ret_error, conf->client_ca);
	}
	SSL_CTX_set_client_CA_list(ctx, names);
	if (conf->require_client_cert)
		mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	SSL_CTX_set_verify(ctx, mode, NULL);
	return 0;
}

int tls_new(const struct server_conf *conf, struct ssl_ctx_st **ret_ctx,
	char ret_error[static SERVER_ERROR_MAX])
{
	[[gnu::cleanup(ctx_freep)]] SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (!ctx)
		return fail(ret_error, "TLS");
	int err = set_protocol(ctx, ret_error);
	if (!err)
		err = use_certificate(conf, ctx, ret_error);
	if (!err)
		err = use_client_ca(conf, ctx, ret_error);
	if (err)
		return err;
	*ret_ctx = ctx;
	ctx = NULL;
	return 0;
}

void tls_free(struct ssl_ctx_st *ctx)
{
	SSL_CTX_free(ctx);
}

struct bufferevent *tls_buffer_new(struct event_base *base, struct ssl_ctx_st *ctx)
{
	SSL *ssl = SSL_new(ctx);

	/* The buffer frees ssl, also where there is none. It must not do partial writes: the library
	 * would skip what was left of a block. */
	return ssl ? bufferevent_openssl_socket_new(
			     base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE)
		   : NULL;
}

static SSL *ssl_of(const struct bufferevent *buffer)
{
	return bufferevent_openssl_get_ssl((struct bufferevent *)buffer);
}

int tls_binding(const struct bufferevent *buffer, uint8_t ret[static SHA256_LEN])
{
	SSL *ssl = ssl_of(buffer);
	bool done = ssl && SSL_is_init_finished(ssl) && SSL_version(ssl) == TLS1_3_VERSION &&
		SSL_export_keying_material(ssl, ret, SHA256_LEN, binding_label,
			sizeof(binding_label) - 1, NULL, 0, 0) == 1;

	ERR_clear_error();
	return done ? 0 : -EIO;
}

bool tls_has_client(const struct bufferevent *buffer)
{
	SSL *ssl = ssl_of(buffer);

	return ssl && SSL_get0_peer_certificate(ssl) && SSL_get_verify_result(ssl) == X509_V_OK;
}

/* The library closes connections without: then no client could tell an end from a cut. */
void tls_goodbye(const struct bufferevent *buffer)
{
	SSL *ssl = ssl_of(buffer);

	if (ssl && SSL_is_init_finished(ssl))
		SSL_shutdown(ssl);
	ERR_clear_error();
}
