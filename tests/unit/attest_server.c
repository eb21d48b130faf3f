/* SPDX-License-Identifier: BSD-2-Clause */
#include "attest/server_own.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/line.h"

#include <cmocka.h>

#define NONCE "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"

static void body_of_attest_is_a_nonce_and_perhaps_since(void **state)
{
	static const char plain[] = "{\"nonce\":\"" NONCE "\"}";
	static const char spaced[] = " {\n\"since\" : 9223372036854775807 ,\t\"nonce\" : \"" NONCE
				     "\" }\n";
	uint8_t nonce[SHA256_LEN];
	char error[BODY_ERROR_MAX];
	struct body_attest body;

	(void)state;
	memset(nonce, 0x5a, sizeof(nonce));
	assert_int_equal(body_attest_parse(plain, strlen(plain), &body, error), 0);
	assert_memory_equal(body.nonce, nonce, sizeof(nonce));
	assert_int_equal(body.since, 0);
	assert_int_equal(body_attest_parse(spaced, strlen(spaced), &body, error), 0);
	assert_memory_equal(body.nonce, nonce, sizeof(nonce));
	assert_true(body.since == LINE_UINT_MAX);
}

static void bodies_of_another_form_are_refused(void **state)
{
	static const struct {
		const char *body, *why;
	} cases[] = {
		{ "", "the body is not one JSON object without duplicates" },
		{ "null", "the body is not one JSON object without duplicates" },
		{ "{}{}", "the body is not one JSON object without duplicates" },
		{ "{}", "\"nonce\" is missing" },
		{ "{\"nonce\":{}}", "\"nonce\" is not a value" },
		{ "{\"nonce\":\"" NONCE "\",\"sin\":1}", "a member that is not known" },
		{ "{\"nonce\":\"" NONCE "\",\"since\":9223372036854775808}",
			"the body is not one JSON object without duplicates" },
	};
	const struct body_attest before = { .since = 7 };
	struct body_attest body = before;
	char error[BODY_ERROR_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(
			body_attest_parse(cases[i].body, strlen(cases[i].body), &body, error),
			-EBADMSG);
		assert_string_equal(error, cases[i].why);
		assert_memory_equal(&body, &before, sizeof(body));
	}
	/* A NUL ends nothing. */
	assert_int_equal(
		body_attest_parse("{\"nonce\":\"" NONCE "\"}\0", 78, &body, error), -EBADMSG);
}

static void body_of_activate_holds_what_the_channel_does(void **state)
{
	char body[1024], error[BODY_ERROR_MAX];
	struct body_activate activate;
	uint8_t bytes[CHANNEL_SECRET_MAX + 1] = { 1 };
	struct line line;

	(void)state;
	for (size_t over = 0; over < 2; over++) {
		line_init(&line, body, sizeof(body));
		line_open_object(&line, NULL);
		line_base64(&line, "secret", bytes, CHANNEL_SECRET_MAX + over);
		line_base64(&line, "credential", bytes, CHANNEL_CREDENTIAL_MAX);
		line_uint(&line, "ek", 255);
		line_close_object(&line);
		assert_int_equal(
			body_activate_parse(body, line.len, &activate, error), over ? -EBADMSG : 0);
	}
	assert_int_equal(activate.ek, 255);
	assert_int_equal(activate.credential_len, CHANNEL_CREDENTIAL_MAX);
	assert_int_equal(activate.secret_len, CHANNEL_SECRET_MAX);
	assert_memory_equal(activate.secret, bytes, CHANNEL_SECRET_MAX);
}

static void queries_are_numbers_by_name(void **state)
{
	static const char *const refused[] = { "since", "since=", "since=1&", "&since=1",
		"to=1&to=1", "since=9223372036854775808", "since=18446744073709551617", "SINCE=1",
		"since=1 " };
	char error[BODY_ERROR_MAX];
	struct query_log query;

	(void)state;
	assert_int_equal(query_log_parse(NULL, &query, error), 0);
	assert_true(query.since == 0 && query.to == LINE_UINT_MAX);
	assert_int_equal(query_log_parse("to=7&since=9223372036854775807", &query, error), 0);
	assert_true(query.since == LINE_UINT_MAX && query.to == 7);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_int_equal(query_log_parse(refused[i], &query, error), -EBADMSG);
}

static void addresses_are_numbers_and_a_port(void **state)
{
	static const char *const refused[] = { "", ":1", "127.0.0.1",
		"127.0.0.1:", "127.0.0.1:65536", "::1:80", "[::1]", "[::1]80", "[]:80",
		"localhost:80", "127.0.0.1:http" };
	char error[SERVER_ERROR_MAX];

	(void)state;
	int fd = listen_tcp("127.0.0.1:0", error);
	assert_true(fd >= 0);
	close(fd);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		*error = '\0';
		assert_true(listen_tcp(refused[i], error) < 0);
		assert_non_null(strstr(error, refused[i]));
	}
}

/* ---- the certificate ---- */

static void make_in(const char *dir, SSL_CTX **ret_ctx)
{
	char error[SERVER_ERROR_MAX] = "";

	*ret_ctx = SSL_CTX_new(TLS_server_method());
	assert_non_null(*ret_ctx);
	if (tls_self_made(dir, *ret_ctx, error))
		fail_msg("%s", error);
}

static void the_certificate_is_made_once(void **state)
{
	char dir[] = "/tmp/server-XXXXXX", key[64], crt[64];
	SSL_CTX *first, *second, *third;
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(key, sizeof(key), "%s/server.key", dir);
	snprintf(crt, sizeof(crt), "%s/server.crt", dir);
	make_in(dir, &first);
	assert_int_equal(stat(key, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	make_in(dir, &second);
	assert_int_equal(
		X509_cmp(SSL_CTX_get0_certificate(first), SSL_CTX_get0_certificate(second)), 0);
	/* The key lasts, whatever becomes of its certificate. */
	unlink(crt);
	make_in(dir, &third);
	assert_int_equal(
		X509_cmp(SSL_CTX_get0_certificate(first), SSL_CTX_get0_certificate(third)) != 0, 1);
	assert_int_equal(
		EVP_PKEY_eq(SSL_CTX_get0_privatekey(first), SSL_CTX_get0_privatekey(third)), 1);
	SSL_CTX_free(first);
	SSL_CTX_free(second);
	SSL_CTX_free(third);
	unlink(key);
	unlink(crt);
	rmdir(dir);
}

static void a_key_that_is_none_is_never_replaced(void **state)
{
	char dir[] = "/tmp/server-XXXXXX", key[64], error[SERVER_ERROR_MAX];
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	FILE *file;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(key, sizeof(key), "%s/server.key", dir);
	file = fopen(key, "w");
	assert_non_null(file);
	fputs("half", file);
	fclose(file);
	assert_true(tls_self_made(dir, ctx, error) < 0);
	assert_non_null(strstr(error, key));
	SSL_CTX_free(ctx);
	unlink(key);
	rmdir(dir);
}

/* ---- the channel ---- */

struct told {
	int count, err;
	size_t len;
};

static void tell(void *arg, int err, const char *bytes, size_t len)
{
	struct told *told = arg;

	assert_int_equal(strlen(bytes), len);
	*told = (struct told){ told->count + 1, err, len };
}

static void answers_come_in_any_order(void **state)
{
	static const struct server_conf conf = { .connections_max = 1 };
	struct {
		struct channel_answer head;
		char text[4];
	} answer = { .head.magic = CHANNEL_MAGIC, .text = "why" };
	const union channel_packet quote = { .request.what = CHANNEL_QUOTE };
	struct channel_request request[3];
	char error[SERVER_ERROR_MAX];
	struct told told[3] = {};
	struct ask asks[3] = {};
	struct server *server;
	int channel[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, channel), 0);
	assert_int_equal(server_new(&conf, channel[0], &server, error), 0);
	for (size_t i = 0; i < 3; i++) {
		ask_send(server, &asks[i], &quote, sizeof(quote.request), tell, &told[i]);
		assert_int_equal(
			recv(channel[1], &request[i], sizeof(request[i]), 0), sizeof(request[i]));
	}
	assert_int_equal(server->quotes_waiting, 3);
	ask_cancel(server, &asks[1]);
	for (int i = 2; i >= 0; i--) {
		answer.head.id = request[i].id;
		answer.head.error = (uint32_t)(i ? 0 : EAGAIN);
		assert_true(send(channel[1], &answer, sizeof(answer.head) + 3, 0) > 0);
		event_base_loop(server->base, EVLOOP_NONBLOCK);
	}
	assert_int_equal(told[0].count, 1);
	assert_int_equal(told[0].err, -EAGAIN);
	assert_int_equal(told[1].count, 0);
	assert_int_equal(told[2].count, 1);
	assert_int_equal(told[2].err, 0);
	assert_int_equal(told[2].len, 3);
	assert_int_equal(server->quotes_waiting, 0);
	close(channel[1]);
	assert_int_equal(server_run(server, error), 0);
	server_free(server);
	close(channel[0]);
}

static void more_requests_than_the_channel_holds_wait(void **state)
{
	enum { COUNT = 2000 };
	static const struct server_conf conf = { .connections_max = 1 };
	const union channel_packet quote = { .request.what = CHANNEL_QUOTE };
	struct channel_request request;
	char error[SERVER_ERROR_MAX];
	static struct ask asks[COUNT];
	static struct told told[COUNT];
	struct server *server;
	int channel[2];
	uint32_t id = 0;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, channel), 0);
	assert_int_equal(server_new(&conf, channel[0], &server, error), 0);
	for (size_t i = 0; i < COUNT; i++)
		ask_send(server, &asks[i], &quote, sizeof(quote.request), tell, &told[i]);
	for (int turn = 0; turn < 100000 && id < COUNT; turn++) {
		if (recv(channel[1], &request, sizeof(request), 0) == sizeof(request))
			assert_int_equal(request.id, ++id);
		else
			event_base_loop(server->base, EVLOOP_NONBLOCK);
	}
	assert_int_equal(id, COUNT);
	for (size_t i = 0; i < COUNT; i++)
		ask_cancel(server, &asks[i]);
	server_free(server);
	close(channel[0]);
	close(channel[1]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(body_of_attest_is_a_nonce_and_perhaps_since),
		cmocka_unit_test(bodies_of_another_form_are_refused),
		cmocka_unit_test(body_of_activate_holds_what_the_channel_does),
		cmocka_unit_test(queries_are_numbers_by_name),
		cmocka_unit_test(addresses_are_numbers_and_a_port),
		cmocka_unit_test(the_certificate_is_made_once),
		cmocka_unit_test(a_key_that_is_none_is_never_replaced),
		cmocka_unit_test(answers_come_in_any_order),
		cmocka_unit_test(more_requests_than_the_channel_holds_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
