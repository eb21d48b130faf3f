// SPDX-License-Identifier: BSD-2-Clause
#include "attest/server.h"

#include <errno.h>
#include <event2/listener.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "attest/server_own.h"
#include "db/db.h"

enum {
	ACCEPT_PAUSE_MS = 100, /* where there is no descriptor for one more */
	SAY_MAX = 5, /* lines in SAY_PERIOD_MS */
	SAY_PERIOD_MS = 60 * 1000,
	FILES_BESIDE = 64, /* descriptors that are no connection's */
};

uint64_t server_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool server_has(const char *text)
{
	return *text;
}

void server_say(struct server *server, const char *format, ...)
{
	uint64_t now = server_now_ms();
	char text[SERVER_ERROR_MAX];
	va_list args;

	if (now - server->said_ms >= SAY_PERIOD_MS) {
		if (server->unsaid)
			fprintf(stderr, "bpfmeasured: attestation server: %u more like these\n",
				server->unsaid);
		server->said_ms = now;
		server->said = server->unsaid = 0;
	}
	if (server->said >= SAY_MAX) {
		server->unsaid++;
		return;
	}
	server->said++;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(stderr, "bpfmeasured: attestation server: %s\n", text);
}

/* The library's warnings are of connections; what it dies of should be known. */
static void on_library_log(int severity, const char *text)
{
	if (severity == EVENT_LOG_ERR)
		fprintf(stderr, "bpfmeasured: attestation server: libevent: %s\n", text);
}

/* ---- doors ---- */

static void on_reopen(evutil_socket_t fd, short what, void *arg)
{
	struct door *door = arg;

	(void)fd;
	(void)what;
	door->accepted = 0;
	evconnlistener_enable(door->listener);
}

static void on_pause_over(evutil_socket_t fd, short what, void *listener)
{
	(void)fd;
	(void)what;
	evconnlistener_enable(listener);
}

/* Most likely there are no descriptors left: to try again at once would be to try without end. */
static void on_accept_error(struct evconnlistener *listener, void *http)
{
	static const struct timeval pause = { .tv_usec = ACCEPT_PAUSE_MS * 1000 };

	(void)http;
	if (!event_base_once(evconnlistener_get_base(listener), -1, EV_TIMEOUT, on_pause_over,
		    listener, &pause))
		evconnlistener_disable(listener);
}

static int door_open(struct server *server, enum door_kind kind, int fd)
{
	const unsigned methods = EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD |
		EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE |
		EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH;
	struct door *door = &server->doors[server->door_count++];

	*door = (struct door){ .server = server, .kind = kind };
	door->http = evhttp_new(server->base);
	door->reopen = evtimer_new(server->base, on_reopen, door);
	door->listener = evconnlistener_new(server->base, NULL, NULL,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_DISABLED, 0, fd);
	if (!door->listener)
		close(fd);
	if (!door->http || !door->reopen || !door->listener ||
		!evhttp_bind_listener(door->http, door->listener)) {
		if (door->listener)
			evconnlistener_free(door->listener);
		return -ENOMEM;
	}
	evconnlistener_set_error_cb(door->listener, on_accept_error);
	evhttp_set_allowed_methods(door->http, (ev_uint16_t)methods);
	evhttp_set_max_headers_size(door->http, (ev_ssize_t)server->conf->header_max);
	evhttp_set_max_body_size(door->http, (ev_ssize_t)server->conf->body_max);
	/* Or clients that send too much would not read that they do. */
	evhttp_set_flags(door->http, EVHTTP_SERVER_LINGERING_CLOSE);
	evhttp_set_default_content_type(door->http, NULL);
	evhttp_set_bevcb(door->http, connection_new, door);
	evhttp_set_gencb(door->http, exchange_begin, door);
	return 0;
}

static int doors_open(struct server *server, char ret_error[static SERVER_ERROR_MAX])
{
	const struct server_conf *conf = server->conf;
	const struct {
		enum door_kind kind;
		const char *where;
	} wanted[DOOR_COUNT] = {
		{ DOOR_TLS, conf->listen },
		{ DOOR_LOCAL, conf->socket },
		{ DOOR_METRICS, conf->metrics_listen },
	};
	int err = server_has(conf->listen) ? tls_new(conf, &server->tls, ret_error) : 0;

	for (size_t i = 0; i < DOOR_COUNT && !err; i++) {
		int fd;
		if (!server_has(wanted[i].where))
			continue;
		fd = wanted[i].kind == DOOR_LOCAL
			? listen_local(wanted[i].where, conf->group, ret_error)
			: listen_tcp(wanted[i].where, ret_error);
		if (fd < 0)
			return fd;
		err = door_open(server, wanted[i].kind, fd);
		if (err)
			snprintf(ret_error, SERVER_ERROR_MAX, "out of memory");
	}
	return err;
}

/* ---- the server ---- */

/* Where the system does not give as many, accepting waits for one. */
static void raise_limit(const struct server_conf *conf)
{
	rlim_t wanted = (rlim_t)conf->connections_max * DOOR_COUNT + FILES_BESIDE;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int set_up(struct server *server, char ret_error[static SERVER_ERROR_MAX])
{
	raise_limit(server->conf);
	server->base = event_base_new();
	if (!server->base || channel_open(server)) {
		snprintf(ret_error, SERVER_ERROR_MAX, "out of memory");
		return -ENOMEM;
	}
	return doors_open(server, ret_error);
}

int server_new(const struct server_conf *conf, int channel, struct server **ret_server,
	char ret_error[static SERVER_ERROR_MAX])
{
	struct server *server = calloc(1, sizeof(*server));

	if (!server) {
		snprintf(ret_error, SERVER_ERROR_MAX, "out of memory");
		return -ENOMEM;
	}
	server->conf = conf;
	server->channel = channel;
	int err = set_up(server, ret_error);
	if (err) {
		server_free(server);
		return err;
	}
	*ret_server = server;
	return 0;
}

int server_run(struct server *server, char ret_error[static SERVER_ERROR_MAX])
{
	signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
	event_set_log_callback(on_library_log);
	for (size_t i = 0; i < server->door_count; i++)
		evconnlistener_enable(server->doors[i].listener);
	if (event_base_dispatch(server->base) < 0 && !server->result)
		server->result = -EIO;
	if (server->result)
		snprintf(ret_error, SERVER_ERROR_MAX, "the channel to the measurer: %s",
			strerror(-server->result));
	return server->result;
}

void server_free(struct server *server)
{
	if (!server)
		return;
	exchanges_free(server);
	for (size_t i = 0; i < server->door_count; i++) {
		connections_free(&server->doors[i]);
		if (server->doors[i].http)
			evhttp_free(server->doors[i].http);
		if (server->doors[i].reopen)
			event_free(server->doors[i].reopen);
	}
	channel_close(server);
	if (server->base)
		event_base_free(server->base);
	tls_free(server->tls);
	db_free(server->db);
	free(server);
}
