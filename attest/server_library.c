// SPDX-License-Identifier: BSD-2-Clause
/*
 * What is no request to the HTTP library it answers itself, with a page of HTML: nothing that it hands out
 * is ours then. So what it writes while no request is in our hands is put into our words, before it leaves.
 */
#include "attest/server_own.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *clause(int code)
{
	switch (code) {
	case 400:
		return "this is no request, or its head is too large";
	case 413:
		return "the body is too large";
	case 417:
		return "what is expected cannot be done";
	case 501:
		return "there is no such method";
	default:
		return NULL;
	}
}

/* The buffer has the whole answer of the library, and nothing of it has left. */
static void reword(struct connection *connection)
{
	struct evbuffer *output = bufferevent_get_output(connection->buffer);
	char status[64], body[96];
	int code = 0;
	ev_ssize_t len = evbuffer_copyout(output, status, sizeof(status) - 1);

	status[len > 0 ? len : 0] = '\0';
	char *end = strstr(status, "\r\n");
	if (!end || sscanf(status, "HTTP/1.%*1[01] %3d", &code) != 1 || !clause(code))
		return;
	*end = '\0';
	library_unwatch(connection); /* its connection ends with this answer */
	connection->door->server->library_errors++;
	snprintf(body, sizeof(body), "{\"error\":\"%s\"}\n", clause(code));
	evbuffer_unfreeze(output, 1);
	evbuffer_drain(output, evbuffer_get_length(output));
	evbuffer_add_printf(output,
		"%s\r\nContent-Type: application/json\r\nConnection: close\r\n"
		"Content-Length: %zu\r\n\r\n%s",
		status, strlen(body), body);
}

static void on_written(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	reword(arg);
}

static void on_output(struct evbuffer *output, const struct evbuffer_cb_info *info, void *arg)
{
	struct connection *connection = arg;

	(void)output;
	/* In this turn of the loop; the socket is written in the next one. */
	if (info->n_added && !info->orig_size && !connection->is_held)
		event_active(connection->written, EV_WRITE, 0);
}

int library_watch(struct connection *connection, struct event_base *base)
{
	connection->written = event_new(base, -1, 0, on_written, connection);
	if (!connection->written)
		return -ENOMEM;
	connection->watch = evbuffer_add_cb(
		bufferevent_get_output(connection->buffer), on_output, connection);
	return connection->watch ? 0 : -ENOMEM;
}

void library_unwatch(struct connection *connection)
{
	if (connection->watch)
		evbuffer_remove_cb_entry(
			bufferevent_get_output(connection->buffer), connection->watch);
	connection->watch = NULL;
}
