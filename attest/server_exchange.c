// SPDX-License-Identifier: BSD-2-Clause
/* One request and its answer: routes, errors, and what becomes of it when the client goes away. */
#include "attest/server_own.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char content_json[] = "application/json";

/* ---- the end ---- */

static void exchange_free(struct exchange *exchange)
{
	struct exchange **at = &exchange->server->exchanges;

	while (*at != exchange)
		at = &(*at)->next_exchange;
	*at = exchange->next_exchange;
	ask_cancel(exchange->server, &exchange->ask);
	facts_cancel(exchange);
	stream_done(exchange);
	free(exchange);
}

/* The server ends: the library frees connections and requests itself. */
void exchanges_free(struct server *server)
{
	for (struct exchange *at = server->exchanges; at; at = at->next_exchange) {
		struct evhttp_connection *http = evhttp_request_get_connection(at->http);
		evhttp_connection_set_closecb(http, NULL, NULL);
		evhttp_request_set_on_complete_cb(at->http, NULL, NULL);
	}
	while (server->exchanges)
		exchange_free(server->exchanges);
}

static void on_goodbye(struct evhttp_connection *http, void *arg)
{
	(void)arg;
	tls_goodbye(evhttp_connection_get_bufferevent(http));
}

/* The whole answer has left. */
static void on_complete(struct evhttp_request *http, void *arg)
{
	struct exchange *exchange = arg;
	struct evhttp_connection *connection = evhttp_request_get_connection(http);

	if (exchange->connection->door->kind == DOOR_TLS)
		evhttp_connection_set_closecb(connection, on_goodbye, NULL);
	else
		evhttp_connection_set_closecb(connection, NULL, NULL);
	connection_wait(exchange->connection);
	exchange_free(exchange);
}

/* The client is gone. A request that has no answer yet is ours then: the library has let go of it. */
static void on_close(struct evhttp_connection *connection, void *arg)
{
	struct exchange *exchange = arg;

	(void)connection;
	if (!evhttp_request_get_connection(exchange->http))
		evhttp_request_free(exchange->http);
	exchange_free(exchange);
}

/* ---- answers ---- */

static const int codes[CODE_COUNT] = { 200, 400, 403, 404, 405, 429, 503, 505 };

int reply_code(size_t index)
{
	return codes[index];
}

static const char *reason_of(int code)
{
	switch (code) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 429:
		return "Too Many Requests";
	case 503:
		return "Service Unavailable";
	default:
		return "HTTP Version Not Supported";
	}
}

static void add_header(struct exchange *exchange, const char *name, const char *value)
{
	evhttp_add_header(evhttp_request_get_output_headers(exchange->http), name, value);
}

void reply_head(struct exchange *exchange, int code, const char *type)
{
	size_t index = 0;

	while (index < CODE_COUNT - 1 && codes[index] != code)
		index++;
	exchange->server->requests[exchange->route][index]++;
	add_header(exchange, "Content-Type", type);
	add_header(exchange, "Cache-Control", "no-store");
	/* Local connections are one request each. */
	if (exchange->connection->door->kind != DOOR_TLS)
		add_header(exchange, "Connection", "close");
}

static void reply(struct exchange *exchange, int code, const char *type, struct evbuffer *body)
{
	char length[24];

	reply_head(exchange, code, type);
	/* The library would send a body where there cannot be one, and of one of an answer to CONNECT,
	 * which is always an error here, would not say the length. */
	enum evhttp_cmd_type method = evhttp_request_get_command(exchange->http);
	if (method == EVHTTP_REQ_HEAD)
		body = NULL;
	if (method == EVHTTP_REQ_CONNECT) {
		snprintf(length, sizeof(length), "%zu", evbuffer_get_length(body));
		add_header(exchange, "Content-Length", length);
	}
	connection_send(exchange->connection);
	evhttp_send_reply(exchange->http, code, reason_of(code), body);
}

void reply_text(struct exchange *exchange, const char *type, struct evbuffer *body)
{
	reply(exchange, 200, type, body);
}

static void reply_json(struct exchange *exchange, int code, const char *text, size_t len)
{
	struct evbuffer *body = evbuffer_new();

	if (!body || evbuffer_add(body, text, len) || evbuffer_add(body, "\n", 1))
		reply_cut(exchange);
	else
		reply(exchange, code, content_json, body);
	if (body)
		evbuffer_free(body);
}

void reply_error(struct exchange *exchange, int code, const char *format, ...)
{
	char what[SERVER_ERROR_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	if (code == 429 || code == 503)
		add_header(exchange, "Retry-After", "1");
	json_t *json = json_pack("{s:s}", "error", what);
	char *text = json ? json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	if (text)
		reply_json(exchange, code, text, strlen(text));
	else
		reply_cut(exchange);
	free(text);
	json_decref(json);
}

void reply_failure(struct exchange *exchange, int err, const char *text)
{
	int code = 503;

	if (err == -EINVAL || err == -EBADMSG || err == -ERANGE)
		code = 400;
	else if (err == -EACCES || err == -EPERM)
		code = 403;
	else if (err == -ENOENT)
		code = 404;
	else if (err == -EBUSY)
		code = 429;
	reply_error(exchange, code, "%s", *text ? text : strerror(-err));
}

void reply_cut(struct exchange *exchange)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(exchange->http);

	/* A client that has gone, to the library: on_close() follows. */
	exchange->server->answers_cut++;
	bufferevent_trigger_event(evhttp_connection_get_bufferevent(connection),
		BEV_EVENT_READING | BEV_EVENT_EOF, 0);
}

/* ---- routes ---- */

static void on_status(void *arg, int err, const char *bytes, size_t len)
{
	if (err)
		reply_failure(arg, err, bytes);
	else
		reply_json(arg, 200, bytes, len);
}

static void route_status(struct exchange *exchange)
{
	facts_get(exchange, CHANNEL_STATUS, on_status);
}

/* What an EK's certificate says is of one machine only: where clients have certificates, those without
 * do not see it. */
static char *without_certificates(const char *bytes, size_t len)
{
	json_t *identity = json_loadb(bytes, len, 0, NULL);
	char *text = NULL;
	json_t *ek;
	size_t i;

	json_array_foreach(json_object_get(identity, "eks"), i, ek)
		json_object_del(ek, "certificate");
	if (identity)
		text = json_dumps(identity, JSON_COMPACT);
	json_decref(identity);
	return text;
}

static void on_identity(void *arg, int err, const char *bytes, size_t len)
{
	struct exchange *exchange = arg;

	if (err) {
		reply_failure(exchange, err, bytes);
	} else if (exchange->is_trusted) {
		reply_json(exchange, 200, bytes, len);
	} else {
		char *text = without_certificates(bytes, len);
		if (text)
			reply_json(exchange, 200, text, strlen(text));
		else
			reply_error(exchange, 503, "the measurer's identity cannot be read");
		free(text);
	}
}

static void route_identity(struct exchange *exchange)
{
	facts_get(exchange, CHANNEL_IDENTITY, on_identity);
}

static void on_proof(void *arg, int err, const char *bytes, size_t len)
{
	struct exchange *exchange = arg;
	char text[sizeof("{\"proof\":\"\"}") + 2 * SHA256_LEN];
	struct line line;

	if (err) {
		reply_failure(exchange, err, bytes);
	} else if (len != SHA256_LEN) {
		reply_error(exchange, 503, "the measurer's proof has %zu bytes", len);
	} else {
		line_init(&line, text, sizeof(text));
		line_open_object(&line, NULL);
		line_hex(&line, "proof", bytes, len);
		line_close_object(&line);
		reply_json(exchange, 200, line.buf, line.len);
	}
}

/* A bucket of a minute's activations: each costs the TPM some 100 ms, and us nothing. */
static bool may_activate(struct server *server)
{
	uint64_t now = server_now_ms(), minute = 60 * 1000;
	uint32_t allowed = server->conf->activations_per_minute;
	uint64_t each = allowed ? minute / allowed : minute + 1;

	if (server->activations_ms < now)
		server->activations_ms = now;
	if (server->activations_ms + each > now + minute)
		return false;
	server->activations_ms += each;
	return true;
}

static int body_of(struct exchange *exchange, const char **ret_bytes, size_t *ret_len)
{
	struct evbuffer *body = evhttp_request_get_input_buffer(exchange->http);

	*ret_len = evbuffer_get_length(body);
	*ret_bytes = *ret_len ? (const char *)evbuffer_pullup(body, -1) : "";
	return *ret_bytes ? 0 : -ENOMEM;
}

static void route_activate(struct exchange *exchange)
{
	union channel_packet packet = { .activate = { .what = CHANNEL_ACTIVATE } };
	char error[BODY_ERROR_MAX] = "out of memory";
	struct body_activate asked;
	const char *bytes;
	size_t len;
	int err = body_of(exchange, &bytes, &len);

	if (!err)
		err = body_activate_parse(bytes, len, &asked, error);
	if (err) {
		reply_failure(exchange, err, error);
		return;
	}
	if (!may_activate(exchange->server)) {
		reply_error(exchange, 429, "too many activations in a minute");
		return;
	}
	packet.activate.ek = asked.ek;
	packet.activate.credential_len = (uint16_t)asked.credential_len;
	packet.activate.secret_len = (uint16_t)asked.secret_len;
	memcpy(packet.activate.binding, exchange->binding, SHA256_LEN);
	memcpy(packet.activate.credential, asked.credential, asked.credential_len);
	memcpy(packet.activate.secret, asked.secret, asked.secret_len);
	ask_send(exchange->server, &exchange->ask, &packet, sizeof(packet.activate), on_proof,
		exchange);
}

static void route_attest_body(struct exchange *exchange)
{
	char error[BODY_ERROR_MAX] = "out of memory";
	const char *bytes;
	size_t len;
	int err = body_of(exchange, &bytes, &len);

	if (!err)
		err = body_attest_parse(bytes, len, &exchange->attest, error);
	if (err)
		reply_failure(exchange, err, error);
	else
		route_attest(exchange);
}

static void route_log_query(struct exchange *exchange)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(exchange->http);
	char error[BODY_ERROR_MAX];

	if (query_log_parse(evhttp_uri_get_query(uri), &exchange->query, error))
		reply_error(exchange, 400, "%s", error);
	else
		route_log(exchange);
}

static const struct route routes[ROUTE_COUNT] = {
	{ "/v1/identity", EVHTTP_REQ_GET, "GET", DOOR_TLS | DOOR_LOCAL, route_identity },
	{ "/v1/activate", EVHTTP_REQ_POST, "POST", DOOR_TLS | DOOR_LOCAL, route_activate },
	{ "/v1/attest", EVHTTP_REQ_POST, "POST", DOOR_TLS | DOOR_LOCAL, route_attest_body },
	{ "/v1/log", EVHTTP_REQ_GET, "GET", DOOR_TLS | DOOR_LOCAL, route_log_query },
	{ "/v1/status", EVHTTP_REQ_GET, "GET", DOOR_TLS | DOOR_LOCAL, route_status },
	{ "/metrics", EVHTTP_REQ_GET, "GET", DOOR_LOCAL | DOOR_METRICS, route_metrics },
};

const char *route_name(size_t route)
{
	return route < ROUTE_COUNT ? routes[route].path : "other";
}

static size_t find_route(const struct evhttp_request *http, enum door_kind door)
{
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(http));
	size_t route = 0;

	while (route < ROUTE_COUNT &&
		(!path || !(routes[route].doors & door) || strcmp(path, routes[route].path) != 0))
		route++;
	return route;
}

/* ---- the beginning ---- */

/* Reading has stopped until there is an answer, but for what TLS may read to write: the library would
 * not expect it now, and exit. */
static void stop_reading(struct bufferevent *buffer)
{
	bufferevent_data_cb on_write;
	bufferevent_event_cb on_event;
	void *arg;

	bufferevent_getcb(buffer, NULL, &on_write, &on_event, &arg);
	bufferevent_setcb(buffer, NULL, on_write, on_event, arg);
}

static struct exchange *exchange_new(
	struct door *door, struct evhttp_request *http, struct bufferevent *buffer)
{
	struct connection *connection = connection_of(door, buffer);
	struct exchange *exchange = connection ? calloc(1, sizeof(*exchange)) : NULL;

	if (!exchange)
		return NULL;
	exchange->server = door->server;
	exchange->connection = connection;
	exchange->http = http;
	exchange->is_trusted = door->kind == DOOR_LOCAL ||
		!server_has(door->server->conf->client_ca) || tls_has_client(buffer);
	if (door->kind == DOOR_TLS && tls_binding(buffer, exchange->binding)) {
		free(exchange);
		return NULL;
	}
	exchange->next_exchange = door->server->exchanges;
	door->server->exchanges = exchange;
	return exchange;
}

static void dispatch(struct exchange *exchange)
{
	size_t route = find_route(exchange->http, exchange->connection->door->kind);

	exchange->route = route;
	if (route == ROUTE_COUNT) {
		reply_error(exchange, 404, "there is no such resource");
	} else if (evhttp_request_get_command(exchange->http) != routes[route].method) {
		add_header(exchange, "Allow", routes[route].allow);
		reply_error(exchange, 405, "this is for %s", routes[route].allow);
	} else {
		routes[route].fn(exchange);
	}
}

void exchange_begin(struct evhttp_request *http, void *arg)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(http);
	struct bufferevent *buffer = evhttp_connection_get_bufferevent(connection);
	struct exchange *exchange = exchange_new(arg, http, buffer);

	stop_reading(buffer);
	if (!exchange) {
		/* Nothing is said to one of which nothing is known; the request is ours to free. */
		bufferevent_trigger_event(buffer, BEV_EVENT_READING | BEV_EVENT_EOF, 0);
		evhttp_request_free(http);
		return;
	}
	connection_hold(exchange->connection);
	evhttp_connection_set_closecb(connection, on_close, exchange);
	evhttp_request_set_on_complete_cb(http, on_complete, exchange);
	dispatch(exchange);
}
