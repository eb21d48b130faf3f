/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/serve.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/cross.h"
#include "agent/quotes.h"
#include "agent/status.h"
#include "attest/ask.h"

struct serve {
	struct measurer *measurer;
	struct quotes *quotes;
	struct evconnlistener *listener;
	struct connection *connections;
	size_t count;
};

struct connection {
	struct serve *serve;
	struct bufferevent *buffer;
	uint64_t next; /* record to send next; 0: there are none to send */
	uint64_t last;
	struct connection *next_connection;
};

static void connection_close(struct connection *connection)
{
	struct serve *serve = connection->serve;
	struct connection **at = &serve->connections;

	while (*at != connection)
		at = &(*at)->next_connection;
	*at = connection->next_connection;
	serve->count--;
	quotes_drop(serve->quotes, connection);
	bufferevent_free(connection->buffer);
	free(connection);
}

/* ---- answers ---- */

static void answer(struct connection *connection, int err)
{
	struct ask_answer head = { .magic = ASK_MAGIC, .error = (uint32_t)-err };

	bufferevent_write(connection->buffer, &head, sizeof(head));
}

static void answer_error(struct connection *connection, int err, const char *text)
{
	answer(connection, err);
	evbuffer_add_printf(bufferevent_get_output(connection->buffer), "%s\n", text);
}

/* Takes the text. */
static void answer_text(struct connection *connection, char *text)
{
	if (!text) {
		answer_error(connection, -ENOMEM, "out of memory");
		return;
	}
	answer(connection, 0);
	evbuffer_add_printf(bufferevent_get_output(connection->buffer), "%s\n", text);
	free(text);
}

static void answer_loaded(struct connection *connection)
{
	struct measurer *measurer = connection->serve->measurer;
	struct cross cross;
	int err = cross_check(measurer, &cross);

	if (err) {
		answer_error(connection, err,
			err == -EAGAIN ? "it is not up with what happens: ask again later"
				       : probe_errmsg(measurer->probe));
		return;
	}
	answer_text(connection, status_loaded_json(measurer, &cross));
	cross_done(&cross);
}

static void answer_evidence(const struct quotes_challenge *challenge, int err,
	const struct evidence_statement *statement, const char *error)
{
	struct connection *connection = challenge->owner;
	char bytes[EVIDENCE_STATEMENT_MAX];
	struct line line;

	if (err) {
		answer_error(connection, err, error);
		return;
	}
	line_init(&line, bytes, sizeof(bytes));
	evidence_statement_encode(&line, statement);
	answer(connection, 0);
	bufferevent_write(connection->buffer, line.buf, line.len);
	bufferevent_write(connection->buffer, "\n", 1);
	connection->next = statement->first;
	connection->last = statement->last;
}

static void wait_for_quote(struct connection *connection, const struct ask_request *request)
{
	struct quotes_challenge challenge = {
		.since = request->since,
		.answer = answer_evidence,
		.owner = connection,
	};

	memcpy(challenge.nonce, request->nonce, SHA256_LEN);
	memcpy(challenge.binding, request->binding, SHA256_LEN);
	if (quotes_put(connection->serve->quotes, &challenge))
		answer_error(connection, -EBUSY, "too many challenges wait already");
}

/* ---- the stream of records ---- */

static int send_line(void *arg, uint64_t seq, const void *line, size_t len)
{
	struct connection *connection = arg;
	struct evbuffer *output = bufferevent_get_output(connection->buffer);

	evbuffer_add(output, line, len);
	evbuffer_add(output, "\n", 1);
	connection->next = seq + 1;
	return evbuffer_get_length(output) >= SERVE_CHUNK;
}

/* The answer's bytes so far have left. */
static void on_written(struct bufferevent *buffer, void *arg)
{
	struct connection *connection = arg;

	(void)buffer;
	if (!connection->next || connection->next > connection->last ||
		db_each(connection->serve->measurer->db, connection->next, connection->last,
			send_line, connection) < 0)
		connection_close(connection);
}

/* ---- requests ---- */

static bool is_zero(const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	while (len && !*at)
		at++, len--;
	return !len;
}

static void handle(struct connection *connection, const struct ask_request *request)
{
	if (memcmp(request->magic, ASK_MAGIC, sizeof(request->magic)) || request->zero) {
		answer_error(connection, -EPROTO, "not a request of this protocol");
		return;
	}
	if (request->what != ASK_EVIDENCE &&
		!is_zero(request->nonce, sizeof(*request) - offsetof(struct ask_request, nonce))) {
		answer_error(connection, -EPROTO, "such a request has no arguments");
		return;
	}
	switch (request->what) {
	case ASK_STATUS:
		answer_text(connection, status_json(connection->serve->measurer));
		break;
	case ASK_EVIDENCE:
		wait_for_quote(connection, request);
		break;
	case ASK_LOADED:
		answer_loaded(connection);
		break;
	default:
		answer_error(connection, -EPROTO, "no such request");
	}
}

static void on_event(struct bufferevent *buffer, short what, void *arg)
{
	(void)buffer;
	(void)what; /* closed, broken or too slow: all the same to us */
	connection_close(arg);
}

static void on_readable(struct bufferevent *buffer, void *arg)
{
	struct connection *connection = arg;
	struct evbuffer *input = bufferevent_get_input(buffer);
	struct ask_request request;

	if (evbuffer_get_length(input) < sizeof(request))
		return;
	evbuffer_remove(input, &request, sizeof(request));
	bufferevent_disable(buffer, EV_READ);
	bufferevent_setcb(buffer, NULL, on_written, on_event, connection);
	handle(connection, &request);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer,
	int peer_len, void *arg)
{
	static const struct timeval timeout = { .tv_sec = SERVE_TIMEOUT_S };
	struct serve *serve = arg;
	struct connection *connection = NULL;

	(void)peer;
	(void)peer_len;
	if (serve->count < SERVE_CONNECTIONS_MAX)
		connection = calloc(1, sizeof(*connection));
	if (connection)
		connection->buffer = bufferevent_socket_new(
			evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);
	if (!connection || !connection->buffer) {
		free(connection);
		close(fd);
		return;
	}
	connection->serve = serve;
	connection->next_connection = serve->connections;
	serve->connections = connection;
	serve->count++;
	bufferevent_setwatermark(connection->buffer, EV_READ, sizeof(struct ask_request),
		sizeof(struct ask_request));
	bufferevent_setcb(connection->buffer, on_readable, NULL, on_event, connection);
	bufferevent_set_timeouts(connection->buffer, &timeout, &timeout);
	bufferevent_enable(connection->buffer, EV_READ | EV_WRITE);
}

/* ---- the socket ---- */

static int socket_open(const struct conf *conf)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct group *group = getgrnam(conf->log_group);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	mode_t old;
	int err = 0;

	if (fd < 0)
		return -errno;
	memcpy(address.sun_path, conf->socket_path, strlen(conf->socket_path) + 1);
	unlink(conf->socket_path);
	old = umask(0117);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
		(group && chown(conf->socket_path, (uid_t)-1, group->gr_gid)))
		err = -errno;
	umask(old);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

int serve_new(struct event_base *base, struct measurer *measurer, struct quotes *quotes,
	struct serve **ret_serve)
{
	struct serve *serve = calloc(1, sizeof(*serve));
	int fd;

	if (!serve)
		return -ENOMEM;
	fd = socket_open(measurer->conf);
	if (fd < 0) {
		free(serve);
		return fd;
	}
	serve->measurer = measurer;
	serve->quotes = quotes;
	serve->listener = evconnlistener_new(base, on_accept, serve,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, SERVE_CONNECTIONS_MAX, fd);
	if (!serve->listener) {
		close(fd);
		free(serve);
		return -ENOMEM;
	}
	*ret_serve = serve;
	return 0;
}

void serve_free(struct serve *serve)
{
	if (!serve)
		return;
	while (serve->connections)
		connection_close(serve->connections);
	evconnlistener_free(serve->listener);
	unlink(serve->measurer->conf->socket_path);
	free(serve);
}
