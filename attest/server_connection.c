// SPDX-License-Identifier: BSD-2-Clause
/*
 * How many connections, from where and until when: the HTTP library has no limits of its own and tells
 * nobody when a connection ends. So we look: a socket is the same for as long as its descriptor has
 * the same inode, and for as long its buffer is there.
 */
#include "attest/server_own.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum {
	ACCEPT_MAX = 16, /* in one turn of the loop, so that others have theirs */
	UNSENT_MAX = 64 * 1024, /* bytes of an answer that the kernel has for later */
	INPUT_SLACK = 16 * 1024, /* bytes, besides a header and a body: chunks, a trailer */
};

const char *door_name(enum door_kind kind)
{
	return kind == DOOR_TLS ? "tls" : kind == DOOR_LOCAL ? "local" : "metrics";
}

static struct timeval timeval_ms(unsigned ms)
{
	return (struct timeval){ .tv_sec = ms / 1000, .tv_usec = (int)(ms % 1000) * 1000 };
}

/* ---- their end ---- */

static bool is_open(const struct connection *connection)
{
	struct stat st;

	return fstat(connection->fd, &st) == 0 && S_ISSOCK(st.st_mode) &&
		st.st_ino == connection->inode;
}

static void connection_forget(struct connection *connection)
{
	struct connection **at = &connection->door->connections;

	while (*at != connection)
		at = &(*at)->next;
	*at = connection->next;
	if (connection->is_let_in)
		connection->door->count--;
	event_free(connection->timer);
	event_free(connection->written);
	free(connection);
}

void connections_sweep(struct door *door)
{
	struct connection *next;

	for (struct connection *at = door->connections; at; at = next) {
		next = at->next;
		if (at->is_let_in && !is_open(at))
			connection_forget(at);
	}
}

void connections_free(struct door *door)
{
	while (door->connections)
		connection_forget(door->connections);
}

/* To the library this is a client that has gone: it frees the connection and closes the socket. */
static void hang_up(struct connection *connection, enum refusal why)
{
	struct bufferevent *buffer = connection->buffer;

	connection->door->server->refused[why]++;
	library_unwatch(connection);
	connection_forget(connection);
	bufferevent_trigger_event(buffer, BEV_EVENT_READING | BEV_EVENT_EOF, 0);
}

/* ---- from where ---- */

static void set_peer(struct connection *connection)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_storage storage;
	} from = {};
	socklen_t len = sizeof(from);
	struct ucred user;
	uint8_t *peer = connection->peer;

	getpeername(connection->fd, &from.any, &len);
	if (from.any.sa_family == AF_INET) {
		peer[10] = peer[11] = 0xff;
		memcpy(peer + 12, &from.v4.sin_addr, 4);
	} else if (from.any.sa_family == AF_INET6) {
		bool is_v4 = IN6_IS_ADDR_V4MAPPED(&from.v6.sin6_addr);
		memcpy(peer, &from.v6.sin6_addr, is_v4 ? 16 : 8);
	} else if (getsockopt(connection->fd, SOL_SOCKET, SO_PEERCRED, &user,
			   &(socklen_t){ sizeof(user) }) == 0) {
		memcpy(peer, &user.uid, sizeof(user.uid));
	}
}

/* Those that have ended are not counted. */
static unsigned count_peer(const struct connection *connection)
{
	unsigned count = 0;

	for (const struct connection *at = connection->door->connections; at; at = at->next)
		if (at->is_let_in && !memcmp(at->peer, connection->peer, PEER_LEN) && is_open(at))
			count++;
	return count;
}

/* Of the peer with the most connections the last one. */
static struct connection *last_of_many(const struct door *door, bool is_held)
{
	struct connection *found = NULL;

	for (struct connection *at = door->connections; at; at = at->next)
		if (at->is_let_in && at->is_held == is_held && (!found || at->rank > found->rank))
			found = at;
	return found;
}

/* The answer that has been under way longest, if others had to wait for it long enough. */
static struct connection *longest_answered(const struct door *door)
{
	uint64_t before_ms = server_now_ms() - door->server->conf->send_timeout_ms;
	struct connection *found = NULL;

	for (struct connection *at = door->connections; at; at = at->next)
		if (at->is_let_in && at->answered_ms && at->answered_ms < before_ms &&
			(!found || at->answered_ms < found->answered_ms))
			found = at;
	return found;
}

/*
 * Whose peer has more than this one's: one that has not said a whole request yet, or else one that is
 * answered. Where nobody has more, what takes long: an answer lasts as long as its reader makes it last,
 * and there may be as many readers as there are connections.
 */
static struct connection *find_expendable(const struct connection *newcomer)
{
	for (int is_held = 0; is_held < 2; is_held++) {
		struct connection *found = last_of_many(newcomer->door, is_held);
		if (found && found->rank > newcomer->rank)
			return found;
	}
	return longest_answered(newcomer->door);
}

/*
 * To look whether a connection has ended is a system call: that is done for one peer's, and for all only
 * where there are too many in all. Then who has more of them gives one up, so that a few who hold many do
 * not lock out the others.
 */
static bool is_too_many(struct connection *connection, enum refusal *ret_why)
{
	const struct server_conf *conf = connection->door->server->conf;
	struct door *door = connection->door;

	*ret_why = REFUSED_PEER;
	connection->rank = count_peer(connection) + 1;
	if (connection->rank > conf->connections_per_peer)
		return true;
	*ret_why = REFUSED_TOTAL;
	if (door->count >= conf->connections_max)
		connections_sweep(door);
	if (door->count < conf->connections_max)
		return false;
	struct connection *other = find_expendable(connection);
	if (!other)
		return true;
	hang_up(other, REFUSED_TOTAL);
	return false;
}

/* ---- their beginning ---- */

/* The library has given the buffer its descriptor by now; nothing was read from it. */
static void let_in(struct connection *connection)
{
	struct bufferevent *buffer = connection->buffer;
	enum refusal why;
	struct stat st;

	connection->fd = bufferevent_getfd(buffer);
	if (connection->fd < 0 || fstat(connection->fd, &st)) {
		connection_forget(connection);
		bufferevent_decref(buffer);
		return;
	}
	connection->inode = st.st_ino;
	set_peer(connection);
	/* An answer's head and body are written apart: the second would wait for the first's receipt. */
	if (connection->door->kind != DOOR_LOCAL) {
		(void)setsockopt(
			connection->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
		/* Or the kernel takes megabytes at once, and then nothing for as long as they last. */
		(void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT,
			&(int){ UNSENT_MAX }, sizeof(int));
	}
	if (is_too_many(connection, &why)) {
		hang_up(connection, why);
	} else {
		connection->is_let_in = true;
		connection->door->count++;
		connection_wait(connection);
	}
	bufferevent_decref(buffer);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct connection *connection = arg;

	(void)fd;
	(void)what;
	if (!connection->is_let_in) {
		let_in(connection);
	} else if (is_open(connection)) {
		if (connection->is_held)
			connection->door->server->answers_cut++;
		hang_up(connection, REFUSED_SLOW);
	} else {
		connection_forget(connection);
	}
}

void connection_wait(struct connection *connection)
{
	struct timeval timeout = timeval_ms(connection->door->server->conf->request_timeout_ms);

	connection->is_held = false;
	connection->answered_ms = 0;
	event_add(connection->timer, &timeout);
}

void connection_hold(struct connection *connection)
{
	connection->is_held = true;
	event_del(connection->timer);
}

void connection_send(struct connection *connection)
{
	struct timeval timeout = timeval_ms(connection->door->server->conf->send_timeout_ms);

	if (!connection->answered_ms)
		connection->answered_ms = server_now_ms();
	event_add(connection->timer, &timeout);
}

/* The library would accept for as long as clients come. */
static void count_accept(struct door *door)
{
	static const struct timeval at_once;

	if (++door->accepted < ACCEPT_MAX)
		return;
	evconnlistener_disable(door->listener);
	event_add(door->reopen, &at_once);
}

static struct bufferevent *buffer_new(struct event_base *base, struct door *door)
{
	const struct server_conf *conf = door->server->conf;
	struct bufferevent *buffer = door->kind == DOOR_TLS
		? tls_buffer_new(base, door->server->tls)
		: bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);

	if (!buffer)
		return NULL;
	/* Deadlines are ours: the library reads, and would time out, while a long answer is sent, and
	 * a byte now and then is enough for it. And it reads without end then, so that there must be
	 * one: no request that is allowed comes near it, as a buffer that was full may never be read
	 * again. */
	bufferevent_setwatermark(
		buffer, EV_READ, 0, (size_t)conf->header_max + conf->body_max + INPUT_SLACK);
	return buffer;
}

static struct connection *watch_new(
	struct event_base *base, struct door *door, struct bufferevent *buffer)
{
	struct connection *connection = calloc(1, sizeof(*connection));

	if (!connection)
		return NULL;
	connection->door = door;
	connection->buffer = buffer;
	connection->fd = -1;
	connection->timer = event_new(base, -1, 0, on_timer, connection);
	if (connection->timer && !library_watch(connection, base))
		return connection;
	if (connection->timer)
		event_free(connection->timer);
	if (connection->written)
		event_free(connection->written);
	free(connection);
	return NULL;
}

struct bufferevent *connection_new(struct event_base *base, void *arg)
{
	struct door *door = arg;
	struct timeval timeout = timeval_ms(door->server->conf->request_timeout_ms);
	struct bufferevent *buffer = buffer_new(base, door);
	struct connection *connection = buffer ? watch_new(base, door, buffer) : NULL;

	count_accept(door);
	if (!connection) {
		/* Without a buffer of ours the library makes one without TLS: what comes over a
		 * connection that is not known here is not answered. */
		if (buffer)
			bufferevent_set_timeouts(buffer, &timeout, &timeout);
		door->server->refused[REFUSED_MEMORY]++;
		return buffer;
	}
	/* One that had the same memory has ended. */
	struct connection *earlier = connection_of(door, buffer);
	if (earlier)
		connection_forget(earlier);
	connection->next = door->connections;
	door->connections = connection;
	bufferevent_incref(buffer); /* until let_in() */
	event_active(connection->timer, EV_TIMEOUT, 0);
	return buffer;
}

struct connection *connection_of(struct door *door, const struct bufferevent *buffer)
{
	for (struct connection *at = door->connections; at; at = at->next)
		if (at->is_let_in && at->buffer == buffer)
			return at;
	return NULL;
}
