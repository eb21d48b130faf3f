/* SPDX-License-Identifier: BSD-2-Clause */
#include "https_fixture.h"

#include <errno.h>
#include <time.h>

#include "attest/client.h"

/* ---- a server that does as the path says ---- */

static bool answer(const struct https_request *request)
{
	char text[1024];

	if (strcmp(request->path, "/binding") == 0) {
		for (size_t i = 0; i < SHA256_LEN; i++)
			snprintf(text + 2 * i, 3, "%02x", request->binding[i]);
		snprintf(text + strlen(text), 32, " %u", request->connection);
		return https_answer(request, 200, text);
	}
	if (strcmp(request->path, "/echo") == 0) {
		snprintf(text, sizeof(text), "%s %s", request->method, request->body);
		return https_answer(request, 429, text);
	}
	if (strcmp(request->path, "/redirect") == 0) {
		static const char head[] = "HTTP/1.1 302 X\r\nLocation: /binding\r\n"
					   "Content-Length: 2\r\n\r\nno";
		https_send(request, head, sizeof(head) - 1);
		return true;
	}
	if (strcmp(request->path, "/cut") == 0) {
		https_send(request, "HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\nshort", 42);
		return false;
	}
	if (strcmp(request->path, "/close") == 0) {
		https_answer(request, 200, "last");
		return false;
	}
	if (strcmp(request->path, "/stall") == 0) {
		https_send(request, "HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\n", 37);
		sleep(60);
	}
	if (strcmp(request->path, "/drip") == 0) {
		https_send(request, "HTTP/1.1 200 X\r\nContent-Length: 99\r\n\r\n", 38);
		for (int i = 0; i < 99; i++) {
			https_send(request, "x", 1);
			usleep(200000);
		}
	}
	if (strcmp(request->path, "/headers") == 0) {
		/* Long ones: newer versions of libcurl count them, too. */
		static const char header[] =
			"X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n";
		for (https_send(request, "HTTP/1.1 200 X\r\n", 16);;)
			https_send(request, header, sizeof(header) - 1);
	}
	if (strcmp(request->path, "/garbage") == 0) {
		https_send(request, "\x01\xff\n\n\n", 5);
		return false;
	}
	return https_answer(request, 404, "");
}

static struct https server;
static char ca_file[] = "/tmp/bpfmeasure-ca.XXXXXX";

static int start(void **)
{
	int fd = mkstemp(ca_file);

	if (fd < 0)
		return -1;
	close(fd);
	server = https_start(answer, TLS1_3_VERSION, ca_file);
	return 0;
}

static int stop(void **)
{
	https_stop(&server);
	unlink(ca_file);
	return 0;
}

static struct client_options options_of(const char *address)
{
	return (struct client_options){
		.address = address,
		.connect_timeout_ms = 5000,
		.stall_timeout_ms = 5000,
		.body_max = 4096,
	};
}

static struct client *client_of(const struct client_options *options)
{
	struct client *client;

	assert_int_equal(client_new(options, &client), 0);
	return client;
}

/* Returns what client_request() does; the body goes to text. */
static int get(struct client *client, const char *path, const char *json, char text[static 8192])
{
	memset(text, 0, 8192);
	FILE *into = fmemopen(text, 8192, "w");
	assert_non_null(into);
	int r = client_request(client, path, json, into);
	fclose(into);
	return r;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- tests ---- */

static void both_ends_have_the_same_binding_and_keep_the_connection(void **)
{
	struct client_options options = options_of(server.address);
	[[gnu::cleanup(client_freep)]] struct client *client = client_of(&options);
	char first[8192], second[8192], ours[2 * SHA256_LEN + 1];

	assert_int_equal(get(client, "/binding", NULL, first), 200);
	for (size_t i = 0; i < SHA256_LEN; i++)
		snprintf(ours + 2 * i, 3, "%02x", client_binding(client)[i]);
	assert_memory_equal(first, ours, 2 * SHA256_LEN);
	assert_int_equal(get(client, "/binding", NULL, second), 200);
	assert_string_equal(first, second);
}

static void another_connection_has_another_binding(void **)
{
	struct client_options options = options_of(server.address);
	[[gnu::cleanup(client_freep)]] struct client *client = client_of(&options);
	char text[8192];
	uint8_t before[SHA256_LEN];

	assert_int_equal(get(client, "/close", NULL, text), 200);
	assert_string_equal(text, "last");
	memcpy(before, client_binding(client), SHA256_LEN);
	assert_int_equal(get(client, "/binding", NULL, text), 200);
	assert_memory_not_equal(before, client_binding(client), SHA256_LEN);
}

static void a_status_is_no_error_and_a_body_is_sent(void **)
{
	struct client_options options = options_of(server.address);
	[[gnu::cleanup(client_freep)]] struct client *client = client_of(&options);
	char text[8192];

	assert_int_equal(get(client, "/echo", "{\"nonce\":1}", text), 429);
	assert_string_equal(text, "POST {\"nonce\":1}");
	assert_int_equal(get(client, "/echo", NULL, text), 429);
	assert_string_equal(text, "GET ");
}

static void no_redirect_is_followed(void **)
{
	struct client_options options = options_of(server.address);
	[[gnu::cleanup(client_freep)]] struct client *client = client_of(&options);
	char text[8192];

	assert_int_equal(get(client, "/redirect", NULL, text), 302);
	assert_string_equal(text, "no");
}

static void an_answer_that_is_none_is_an_error(void **)
{
	static const struct {
		const char *path;
		uint64_t body_max;
		int err;
	} cases[] = {
		{ "/cut", 4096, -EPROTO },
		{ "/garbage", 4096, -EPROTO },
		{ "/binding", 66, 200 },
		{ "/binding", 65, -EMSGSIZE },
		{ "/headers", 4096, -EMSGSIZE },
	};
	char text[8192];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct https fresh = https_start(answer, TLS1_3_VERSION, NULL);
		struct client_options options = options_of(fresh.address);
		options.body_max = cases[i].body_max;
		[[gnu::cleanup(client_freep)]] struct client *client = client_of(&options);

		assert_int_equal(get(client, cases[i].path, NULL, text), cases[i].err);
		if (cases[i].err < 0)
			assert_memory_equal(
				client_errmsg(client), fresh.address, strlen(fresh.address));
		https_stop(&fresh);
	}
}

static void a_stream_that_cannot_be_written_is_said(void **)
{
	struct client_options options = options_of(server.address);
	[[gnu::cleanup(client_freep)]] struct client *client = client_of(&options);
	FILE *full = fopen("/dev/full", "w");

	assert_non_null(full);
	setvbuf(full, NULL, _IONBF, 0);
	assert_int_equal(client_request(client, "/binding", NULL, full), -EIO);
	fclose(full);
}

static void whoever_stalls_or_drips_is_given_up(void **)
{
	struct client_options options = { .connect_timeout_ms = 5000, .body_max = 4096 };
	char text[8192];
	int64_t began;

	for (int drips = 0; drips < 2; drips++) {
		struct https fresh = https_start(answer, TLS1_3_VERSION, NULL);
		options.address = fresh.address;
		options.stall_timeout_ms = drips ? 5000 : 300;
		options.total_timeout_ms = drips ? 1000 : 0;
		[[gnu::cleanup(client_freep)]] struct client *client = client_of(&options);

		began = now_ms();
		assert_int_equal(get(client, drips ? "/drip" : "/stall", NULL, text), -ETIMEDOUT);
		assert_in_range(now_ms() - began, 300, 4000);
		https_stop(&fresh);
	}
}

static void only_tls_1_3_is_spoken(void **)
{
	struct https old = https_start(answer, TLS1_2_VERSION, NULL);
	struct client_options options = options_of(old.address);
	[[gnu::cleanup(client_freep)]] struct client *client = client_of(&options);
	char text[8192];

	assert_int_equal(get(client, "/binding", NULL, text), -EPROTO);
	assert_non_null(strstr(client_errmsg(client), "protocol version"));
	https_stop(&old);
}

static void a_certificate_is_checked_where_a_ca_is_given(void **)
{
	struct https other = https_start(answer, TLS1_3_VERSION, NULL);
	struct client_options options = options_of(server.address);
	char text[8192];

	options.ca = ca_file;
	[[gnu::cleanup(client_freep)]] struct client *good = client_of(&options);
	assert_int_equal(get(good, "/binding", NULL, text), 200);
	options.address = other.address;
	[[gnu::cleanup(client_freep)]] struct client *bad = client_of(&options);
	assert_int_equal(get(bad, "/binding", NULL, text), -EPROTO);
	options.ca = "/nonexistent";
	[[gnu::cleanup(client_freep)]] struct client *none = client_of(&options);
	assert_int_equal(get(none, "/binding", NULL, text), -EINVAL);
	https_stop(&other);
}

static void nobody_there_is_told_from_nobody_of_that_name(void **)
{
	struct https gone = https_start(answer, TLS1_3_VERSION, NULL);
	struct client_options options = options_of(gone.address);
	char text[8192];

	https_stop(&gone);
	[[gnu::cleanup(client_freep)]] struct client *refused = client_of(&options);
	assert_int_equal(get(refused, "/binding", NULL, text), -ECONNREFUSED);
	assert_non_null(strstr(client_errmsg(refused), ": Connection refused"));
	options.address = "no-such-host.invalid";
	[[gnu::cleanup(client_freep)]] struct client *unknown = client_of(&options);
	assert_int_equal(get(unknown, "/binding", NULL, text), -EHOSTUNREACH);
	assert_non_null(strstr(client_errmsg(unknown), "no-such-host.invalid:7913: "));
}

static void an_error_is_shown_without_its_braces(void **)
{
	char cases[][2][40] = {
		{ "{\"error\":\"not now\"}", "not now" },
		{ "{\"error\":\"cut off he", "cut off he" },
		{ "{\"error\":\"\"}", "" },
		{ "{\"error\":\"", "" },
		{ "<html>", "<html>" },
		{ "", "" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(client_error_text(cases[i][0]), cases[i][1]);
}

static void the_environment_sets_no_proxy(void **)
{
	struct client_options options = options_of(server.address);
	char text[8192];

	setenv("https_proxy", "http://127.0.0.1:9", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:9", 1);
	[[gnu::cleanup(client_freep)]] struct client *client = client_of(&options);
	assert_int_equal(get(client, "/binding", NULL, text), 200);
	unsetenv("https_proxy");
	unsetenv("ALL_PROXY");
}

static void an_address_is_a_host_and_a_port(void **)
{
	static const char *const good[] = { "web-07", "web-07.example.org:1", "10.0.0.1:65535",
		"[::1]", "[fe80::1%eth0]:7913" };
	static const char *const bad[] = { "", ":1", "a:", "a:0", "a:65536", "a:1x", "a/b", "u@a",
		"a b", "a?b", "a#b", "https://a", "[::1", "::1", "[::1]x", "[]:1", "a:1:2", "a\\b",
		"a\nb" };
	struct client *client;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct client_options options = options_of(good[i]);
		client_free(client_of(&options));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct client_options options = options_of(bad[i]);
		assert_int_equal(client_new(&options, &client), -EINVAL);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ends_have_the_same_binding_and_keep_the_connection),
		cmocka_unit_test(another_connection_has_another_binding),
		cmocka_unit_test(a_status_is_no_error_and_a_body_is_sent),
		cmocka_unit_test(no_redirect_is_followed),
		cmocka_unit_test(an_answer_that_is_none_is_an_error),
		cmocka_unit_test(a_stream_that_cannot_be_written_is_said),
		cmocka_unit_test(whoever_stalls_or_drips_is_given_up),
		cmocka_unit_test(only_tls_1_3_is_spoken),
		cmocka_unit_test(a_certificate_is_checked_where_a_ca_is_given),
		cmocka_unit_test(nobody_there_is_told_from_nobody_of_that_name),
		cmocka_unit_test(an_error_is_shown_without_its_braces),
		cmocka_unit_test(the_environment_sets_no_proxy),
		cmocka_unit_test(an_address_is_a_host_and_a_port),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
