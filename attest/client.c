/* SPDX-License-Identifier: BSD-2-Clause */
#include "attest/client.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>
#include <openssl/ssl.h>

#include "attest/server.h"

/* RFC 9266, 2: tls-exporter, with the empty context. */
static const char exporter_label[] = "EXPORTER-Channel-Binding";

enum {
	ORIGIN_MAX = 300, /* "https://", a name of 255 bytes, a port */
	PATH_MAX_LEN = 100,
	ERROR_MAX = ORIGIN_MAX + CURL_ERROR_SIZE + 4,
	HEADERS_MAX = 64 * 1024,
};

struct client {
	CURL *curl;
	struct curl_slist *headers; /* of a POST */
	char origin[ORIGIN_MAX];
	unsigned stall_timeout_ms;
	uint64_t body_max;
	uint8_t binding[SHA256_LEN];
	char why[CURL_ERROR_SIZE]; /* libcurl's */
	char error[ERROR_MAX];

	/* of the request that is under way */
	FILE *into;
	bool is_connected;
	uint64_t body_len;
	size_t headers_len;
	int64_t heard_ms;
	int err; /* why one of the callbacks below ended it; 0: none did */
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the address ---- */

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
static const char address_letters[] =
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:%"; /* with a zone */

static bool is_port(const char *text)
{
	size_t len = strlen(text);
	unsigned long port = strtoul(text, NULL, 10);

	return len >= 1 && len <= 5 && strspn(text, "0123456789") == len && port >= 1 &&
		port <= 65535;
}

/* Nothing but a host and a port: no user, no path, nothing that a URL might read in another way. */
static bool to_origin(const char *address, char ret_origin[static ORIGIN_MAX])
{
	size_t open = *address == '[';
	size_t len = strspn(address + open, open ? address_letters : letters);
	const char *rest = address + open + len;

	if (!len || len > 255 || (open && *rest++ != ']'))
		return false;
	if (*rest && (*rest != ':' || !is_port(rest + 1)))
		return false;
	int host_len = (int)(rest - address);
	if (*rest)
		snprintf(ret_origin, ORIGIN_MAX, "https://%.*s%s", host_len, address, rest);
	else
		snprintf(ret_origin, ORIGIN_MAX, "https://%.*s:%d", host_len, address, SERVER_PORT);
	return true;
}

/* ---- what libcurl calls while a request is under way ---- */

/* There is a connection, and nothing was sent through it yet. */
static int on_connected(void *arg, char *, char *, int, int)
{
	struct client *client = arg;
	struct curl_tlssessioninfo *tls = NULL;

	client->is_connected = true;
	client->heard_ms = now_ms();
	if (curl_easy_getinfo(client->curl, CURLINFO_TLS_SSL_PTR, &tls) == CURLE_OK && tls &&
		tls->backend == CURLSSLBACKEND_OPENSSL && tls->internals &&
		SSL_export_keying_material(tls->internals, client->binding, SHA256_LEN,
			exporter_label, sizeof(exporter_label) - 1, NULL, 0, 0) == 1)
		return CURL_PREREQFUNC_OK;
	client->err = -ENOTSUP;
	return CURL_PREREQFUNC_ABORT;
}

static size_t on_header(char *, size_t size, size_t count, void *arg)
{
	struct client *client = arg;

	client->heard_ms = now_ms();
	client->headers_len += size * count;
	if (client->headers_len <= HEADERS_MAX)
		return size * count;
	client->err = -EMSGSIZE;
	return 0;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct client *client = arg;
	size_t len = size * count;

	client->heard_ms = now_ms();
	client->body_len += len;
	if (client->body_len > client->body_max)
		client->err = -EMSGSIZE;
	else if (fwrite(bytes, 1, len, client->into) != len)
		client->err = -EIO;
	return client->err ? CURL_WRITEFUNC_ERROR : len;
}

/* Once a second at least. */
static int on_progress(void *arg, curl_off_t, curl_off_t, curl_off_t, curl_off_t)
{
	struct client *client = arg;

	if (!client->is_connected || now_ms() - client->heard_ms <= client->stall_timeout_ms)
		return 0;
	client->err = -ETIMEDOUT;
	return 1;
}

/* ---- setting up ---- */

/* Everything that a program's surroundings could change is named: no proxy, no other protocol, no
 * bundle of certificate authorities, no passphrase from a terminal. */
static bool set_up(struct client *client, const struct client_options *options)
{
	CURL *curl = client->curl;
	long check = options->ca != NULL;

	return !(curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https") ||
		curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) ||
		curl_easy_setopt(curl, CURLOPT_PROXY, "") ||
		curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) ||
		curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) ||
		curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) ||
		curl_easy_setopt(curl, CURLOPT_USERAGENT, "bpfmeasure/" VERSION) ||
		curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3) ||
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, check) ||
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, check ? 2L : 0L) ||
		curl_easy_setopt(curl, CURLOPT_CAINFO, options->ca) ||
		curl_easy_setopt(curl, CURLOPT_CAPATH, NULL) ||
		curl_easy_setopt(curl, CURLOPT_SSLCERT, options->certificate) ||
		curl_easy_setopt(curl, CURLOPT_SSLKEY, options->key) ||
		curl_easy_setopt(curl, CURLOPT_KEYPASSWD, "") ||
		curl_easy_setopt(
			curl, CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_timeout_ms) ||
		curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)options->total_timeout_ms) ||
		curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, on_connected) ||
		curl_easy_setopt(curl, CURLOPT_PREREQDATA, client) ||
		curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->why) ||
		curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header) ||
		curl_easy_setopt(curl, CURLOPT_HEADERDATA, client) ||
		curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body) ||
		curl_easy_setopt(curl, CURLOPT_WRITEDATA, client) ||
		curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L) ||
		curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress) ||
		curl_easy_setopt(curl, CURLOPT_XFERINFODATA, client));
}

int client_new(const struct client_options *options, struct client **ret_client)
{
	char origin[ORIGIN_MAX];

	if (!to_origin(options->address, origin))
		return -EINVAL;

	[[gnu::cleanup(client_freep)]] struct client *client = calloc(1, sizeof(*client));
	if (!client)
		return -ENOMEM;
	memcpy(client->origin, origin, sizeof(origin));
	client->stall_timeout_ms = options->stall_timeout_ms;
	client->body_max = options->body_max;
	client->curl = curl_easy_init();
	if (!client->curl)
		return -ELIBACC;
	client->headers = curl_slist_append(NULL, "Content-Type: application/json");
	if (!client->headers || !set_up(client, options))
		return -ENOMEM;
	*ret_client = client;
	client = NULL;
	return 0;
}

void client_free(struct client *client)
{
	if (!client)
		return;
	curl_easy_cleanup(client->curl);
	curl_slist_free_all(client->headers);
	free(client);
}

void client_freep(struct client **client)
{
	client_free(*client);
}

/* ---- a request ---- */

static int from_connect(CURL *curl)
{
	long os = 0;

	if (curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &os) == CURLE_OK &&
		(os == ECONNREFUSED || os == ETIMEDOUT))
		return -(int)os;
	return -EHOSTUNREACH;
}

static int from_curl(const struct client *client, CURLcode code)
{
	if (client->err)
		return client->err;
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		return -EHOSTUNREACH;
	case CURLE_COULDNT_CONNECT:
		return from_connect(client->curl);
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
		return -EINVAL;
	default:
		return -EPROTO;
	}
}

/*
 * In TLS 1.3 a server refuses a client after the handshake, by an alert (RFC 8446, 6.2) that comes for an
 * answer. libcurl hands over nothing of it but OpenSSL's name for it, in its text.
 */
static const char *say_alert(const char *text)
{
	static const struct {
		const char *alert, *why;
	} alerts[] = {
		{ "alert certificate required", "the server wants a client certificate" },
		{ "alert unknown ca", "the server does not know who signed our certificate" },
		{ "alert certificate expired", "our certificate has expired" },
		{ "alert unsupported certificate", "our certificate is not for TLS clients" },
	};

	for (size_t i = 0; i < sizeof(alerts) / sizeof(alerts[0]); i++)
		if (strstr(text, alerts[i].alert))
			return alerts[i].why;
	return NULL;
}

/* Where libcurl's text is about its own ways rather than about what happened; NULL where it will do. */
static const char *say_plainly(const struct client *client, CURLcode code)
{
	long os = 0;

	switch (code) {
	case CURLE_COULDNT_CONNECT:
		if (curl_easy_getinfo(client->curl, CURLINFO_OS_ERRNO, &os) == CURLE_OK && os > 0)
			return strerror((int)os);
		return NULL;
	case CURLE_RECV_ERROR:
		return say_alert(client->why);
	case CURLE_SEND_ERROR: /* it was sent to before its alert was read */
		return "the server closed the connection at once: it may want a client certificate";
	default:
		return NULL;
	}
}

/* libcurl's text may quote what the server sent. */
static int fail(struct client *client, CURLcode code)
{
	const char *why = say_plainly(client, code);

	if (!why)
		why = *client->why ? client->why : curl_easy_strerror(code);
	switch (client->err) {
	case -ENOTSUP:
		why = "this libcurl does not show its TLS connections: it is not built with OpenSSL";
		break;
	case -EMSGSIZE:
		why = "the answer is larger than it may be";
		break;
	case -EIO:
		why = "the answer cannot be written";
		break;
	case -ETIMEDOUT:
		why = "nothing has come for too long";
		break;
	}
	snprintf(client->error, ERROR_MAX, "%s: %s", client->origin + strlen("https://"), why);
	for (char *c = client->error; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return from_curl(client, code);
}

int client_request(struct client *client, const char *path, const char *json, FILE *into)
{
	char url[ORIGIN_MAX + PATH_MAX_LEN];
	CURL *curl = client->curl;
	long status = 0;

	assert(*path == '/' && strlen(path) < PATH_MAX_LEN);
	snprintf(url, sizeof(url), "%s%s", client->origin, path);
	client->into = into;
	client->body_len = client->headers_len = 0;
	client->is_connected = false;
	client->err = 0;
	client->why[0] = client->error[0] = '\0';

	CURLcode code = curl_easy_setopt(curl, CURLOPT_URL, url);
	if (!code)
		code = curl_easy_setopt(curl, CURLOPT_HTTPHEADER, json ? client->headers : NULL);
	if (!code && json)
		code = curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, -1L);
	if (!code && json)
		code = curl_easy_setopt(curl, CURLOPT_COPYPOSTFIELDS, json);
	if (!code && !json)
		code = curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
	if (!code)
		code = curl_easy_perform(curl);
	if (!code)
		code = curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	return code ? fail(client, code) : (int)status;
}

const char *client_error_text(char *body)
{
	static const char before[] = "{\"error\":\"", after[] = "\"}";
	size_t len = strlen(body), before_len = sizeof(before) - 1, after_len = sizeof(after) - 1;

	if (strncmp(body, before, before_len) != 0)
		return body;
	if (len >= before_len + after_len && strcmp(body + len - after_len, after) == 0)
		body[len - after_len] = '\0';
	return body + before_len;
}

const uint8_t *client_binding(const struct client *client)
{
	return client->binding;
}

const char *client_errmsg(const struct client *client)
{
	return client->error;
}
