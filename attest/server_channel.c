// SPDX-License-Identifier: BSD-2-Clause
/* The server's end of the channel (attest/channel.h). */
#include "attest/server_own.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { BEATS = 4 /* in hang_timeout_ms */ };
enum { PACKET_SIZE = sizeof(struct channel_answer) + CHANNEL_BYTES_MAX };

static void end(struct server *server, int result)
{
	server->result = result;
	event_base_loopbreak(server->base);
}

/* ---- one request, one answer ---- */

void ask_cancel(struct server *server, struct ask *ask)
{
	struct ask **at = &server->asks;

	if (!ask->fn)
		return;
	while (*at != ask)
		at = &(*at)->next;
	*at = ask->next;
	if (ask->packet.request.what == CHANNEL_QUOTE)
		server->quotes_waiting--;
	ask->fn = NULL;
}

/* As many as the socket takes, in the order in which they came. */
static void send_all(struct server *server)
{
	for (struct ask *ask = server->asks; ask; ask = ask->next) {
		if (ask->is_sent)
			continue;
		if (send(server->channel, &ask->packet, ask->packet_len,
			    MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
			if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)
				event_add(server->writable, NULL);
			else
				end(server, errno == EPIPE || errno == ECONNRESET ? 0 : -errno);
			return;
		}
		ask->is_sent = true;
	}
}

void ask_send(struct server *server, struct ask *ask, const union channel_packet *packet,
	size_t packet_len, ask_fn *fn, void *arg)
{
	struct ask **last = &server->asks;

	*ask = (struct ask){ .fn = fn, .arg = arg, .packet_len = packet_len, .packet = *packet };
	ask->id = ++server->last_id;
	/* Every packet begins alike. */
	memcpy(ask->packet.request.magic, CHANNEL_MAGIC, sizeof(ask->packet.request.magic));
	ask->packet.request.id = ask->id;
	if (ask->packet.request.what == CHANNEL_QUOTE)
		server->quotes_waiting++;
	while (*last)
		last = &(*last)->next;
	*last = ask;
	send_all(server);
}

static void deliver(struct server *server, size_t len)
{
	const struct channel_answer *head = (const struct channel_answer *)server->answer;
	char *bytes = (char *)server->answer + sizeof(*head);
	struct ask *ask = server->asks;

	if (len < sizeof(*head) || len > PACKET_SIZE || head->error > INT32_MAX ||
		memcmp(head->magic, CHANNEL_MAGIC, sizeof(head->magic)) != 0) {
		server_say(server, "the measurer's answer is none of this protocol");
		end(server, -EPROTO);
		return;
	}
	while (ask && ask->id != head->id)
		ask = ask->next;
	if (!ask) /* nobody waits for it any more */
		return;
	ask_fn *fn = ask->fn;
	ask_cancel(server, ask);
	server->answer[len] = '\0';
	fn(ask->arg, -(int)head->error, bytes, len - sizeof(*head));
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;
	ssize_t len = recv(fd, server->answer, PACKET_SIZE, MSG_DONTWAIT | MSG_TRUNC);

	(void)what;
	if (len > 0)
		deliver(server, (size_t)len);
	else if (len == 0)
		end(server, 0);
	else if (errno != EAGAIN && errno != EINTR)
		end(server, errno == ECONNRESET ? 0 : -errno);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	send_all(arg);
}

/* ---- status and identity ---- */

/* Those who wait now: one who comes while they are told waits for the next answer. */
static void tell(struct facts *facts, int err, const char *text, size_t len)
{
	struct exchange *waiting = facts->waiting;

	facts->waiting = NULL;
	while (waiting) {
		struct exchange *exchange = waiting;
		ask_fn *fn = exchange->facts_fn;

		waiting = exchange->facts_next;
		exchange->facts_fn = NULL;
		fn(exchange, err, text, len);
	}
}

static void on_facts(void *arg, int err, const char *bytes, size_t len)
{
	static const char lacking[] = "out of memory";
	struct facts *facts = arg;
	char *text = err ? NULL : malloc(len + 1);

	if (!text) {
		tell(facts, err ? err : -ENOMEM, err ? bytes : lacking,
			err ? len : sizeof(lacking) - 1);
		return;
	}
	memcpy(text, bytes, len + 1);
	free(facts->text);
	facts->text = text;
	facts->len = len;
	facts->at_ms = server_now_ms();
	tell(facts, 0, text, len);
}

static void on_fresh(evutil_socket_t fd, short what, void *arg)
{
	struct facts *facts = arg;

	(void)fd;
	(void)what;
	tell(facts, 0, facts->text, facts->len);
}

void facts_get(struct exchange *exchange, enum channel_facts which, ask_fn *fn)
{
	static const struct timeval at_once;
	struct server *server = exchange->server;
	struct facts *facts = &server->facts[which];
	const union channel_packet packet = {
		.request = { .what = CHANNEL_FACTS, .facts = which },
	};

	exchange->facts_fn = fn;
	exchange->facts_which = which;
	exchange->facts_next = facts->waiting;
	facts->waiting = exchange;
	if (facts->ask.fn)
		return;
	if (facts->text && server_now_ms() - facts->at_ms < FACTS_AGE_MS)
		event_add(facts->again, &at_once);
	else
		ask_send(server, &facts->ask, &packet, sizeof(packet.request), on_facts, facts);
}

void facts_cancel(struct exchange *exchange)
{
	struct exchange **at = &exchange->server->facts[exchange->facts_which].waiting;

	if (!exchange->facts_fn)
		return;
	while (*at != exchange)
		at = &(*at)->facts_next;
	*at = exchange->facts_next;
	exchange->facts_fn = NULL;
}

/* ---- a sign of life ---- */

static void on_sign(void *arg, int err, const char *bytes, size_t len)
{
	(void)arg;
	(void)err;
	(void)bytes;
	(void)len;
}

/* That something is asked is all that it says. */
static void on_beat(evutil_socket_t fd, short what, void *arg)
{
	const union channel_packet packet = {
		.request = { .what = CHANNEL_FACTS, .facts = CHANNEL_STATUS },
	};
	struct server *server = arg;

	(void)fd;
	(void)what;
	if (!server->sign.fn)
		ask_send(server, &server->sign, &packet, sizeof(packet.request), on_sign, NULL);
}

static int beat_begin(struct server *server)
{
	unsigned ms = server->conf->hang_timeout_ms / BEATS;
	struct timeval period = { .tv_sec = ms / 1000, .tv_usec = (int)(ms % 1000) * 1000 };

	server->beat = event_new(server->base, -1, EV_PERSIST, on_beat, server);
	if (!server->beat || (ms && event_add(server->beat, &period)))
		return -ENOMEM;
	return 0;
}

/* ---- the channel ---- */

int channel_open(struct server *server)
{
	server->answer = malloc(PACKET_SIZE + 1);
	server->readable = event_new(
		server->base, server->channel, EV_READ | EV_PERSIST, on_readable, server);
	server->writable = event_new(server->base, server->channel, EV_WRITE, on_writable, server);
	for (size_t i = 0; i < FACTS_COUNT; i++) {
		server->facts[i].server = server;
		server->facts[i].again = evtimer_new(server->base, on_fresh, &server->facts[i]);
		if (!server->facts[i].again)
			return -ENOMEM;
	}
	if (!server->answer || !server->readable || !server->writable ||
		event_add(server->readable, NULL))
		return -ENOMEM;
	return beat_begin(server);
}

void channel_close(struct server *server)
{
	for (size_t i = 0; i < FACTS_COUNT; i++) {
		ask_cancel(server, &server->facts[i].ask);
		free(server->facts[i].text);
		if (server->facts[i].again)
			event_free(server->facts[i].again);
	}
	ask_cancel(server, &server->sign);
	if (server->beat)
		event_free(server->beat);
	if (server->readable)
		event_free(server->readable);
	if (server->writable)
		event_free(server->writable);
	free(server->answer);
}
