/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the server share and nobody else sees. */
#ifndef ATTEST_SERVER_OWN_H
#define ATTEST_SERVER_OWN_H

#include <event2/event.h>
#include <event2/http.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "attest/channel.h"
#include "attest/evidence.h"
#include "attest/replay.h"
#include "attest/server.h"
#include "attest/server_body.h"
#include "bpf/bank.h"

struct bufferevent;
struct db;
struct evbuffer_cb_entry;
struct evconnlistener;
struct exchange;
struct ssl_ctx_st;
struct ssl_st;

/* ---- where it listens ---- */

/* A bit each, for the routes that are open there. */
enum door_kind {
	DOOR_TLS = 1,
	DOOR_LOCAL = 2,
	DOOR_METRICS = 4,
};

enum { DOOR_COUNT = 3 };

struct door {
	struct server *server;
	enum door_kind kind;
	struct evhttp *http;
	struct evconnlistener *listener; /* of http */
	struct event *reopen; /* accepting goes on */
	unsigned accepted; /* in this turn of the loop */
	struct connection *connections;
	unsigned count; /* of connections that are let in */
};

/* "tls", "local", "metrics". */
const char *door_name(enum door_kind kind);

/* ---- connections: how many, from where, until when ---- */

enum { PEER_LEN = 16 };

struct connection {
	struct door *door;
	struct bufferevent *buffer; /* the HTTP library's, there for as long as the socket is */
	struct event *timer;
	struct event *written; /* the HTTP library has said something by itself */
	struct evbuffer_cb_entry *watch;
	bool is_held; /* a request is in our hands */
	uint64_t answered_ms; /* since when (monotonic) it is answered; 0: it is not */
	bool is_let_in; /* what follows is known */
	int fd;
	ino_t inode; /* of the socket: a number that has come back is another socket */
	unsigned rank; /* how many that peer had with this one */
	uint8_t peer[PEER_LEN]; /* who counts as one: an IPv4 address, an IPv6 /64, a user */
	struct connection *next;
};

enum refusal { REFUSED_TOTAL, REFUSED_PEER, REFUSED_SLOW, REFUSED_MEMORY, REFUSAL_COUNT };

/* The buffer of a connection that was accepted just now: the HTTP library's callback. */
struct bufferevent *connection_new(struct event_base *base, void *door);

/* The connection that a request came over; NULL where there is none that was let in. */
struct connection *connection_of(struct door *door, const struct bufferevent *buffer);

/* A whole request is here: no deadline until connection_send() or connection_wait() sets the next one. */
void connection_hold(struct connection *connection);

/* A chunk of an answer, or all of it, is about to be written: it has left within send_timeout_ms, or the
 * answer is broken off. */
void connection_send(struct connection *connection);

/* The answer has left: the next request is here within request_timeout_ms, or it is the end. */
void connection_wait(struct connection *connection);

/* Forget those that have ended; afterwards count is right. */
void connections_sweep(struct door *door);
void connections_free(struct door *door);

/* Put into our words what the HTTP library answers by itself. Unwatch while the buffer is there. */
[[nodiscard]] int library_watch(struct connection *connection, struct event_base *base);
void library_unwatch(struct connection *connection);

/* ---- the measurer ---- */

union channel_packet {
	struct channel_request request;
	struct channel_activate_request activate;
};

/* bytes (len of them, a NUL behind them) are valid for the call; err is 0 or a negative errno, and the
 * bytes then its text. */
typedef void ask_fn(void *arg, int err, const char *bytes, size_t len);

/* A request to the measurer that waits for its answer, in the caller's memory. */
struct ask {
	ask_fn *fn; /* NULL: it does not wait */
	void *arg;
	uint32_t id;
	bool is_sent;
	size_t packet_len;
	union channel_packet packet;
	struct ask *next;
};

/* packet's magic and id are filled in. fn is called once, never from here, unless ask_cancel() comes
 * first. */
void ask_send(struct server *server, struct ask *ask, const union channel_packet *packet,
	size_t packet_len, ask_fn *fn, void *arg);
void ask_cancel(struct server *server, struct ask *ask);

/* Status or identity: one request for all who wait, and what came is good for FACTS_AGE_MS. */
enum { FACTS_AGE_MS = 100, FACTS_COUNT = 2 };

struct facts {
	struct server *server;
	struct ask ask;
	struct event *again; /* hands what is fresh to those who wait */
	char *text; /* NUL-terminated; NULL: none yet */
	size_t len;
	uint64_t at_ms;
	struct exchange *waiting;
};

/* fn is called later, with the exchange. */
void facts_get(struct exchange *exchange, enum channel_facts which, ask_fn *fn);
void facts_cancel(struct exchange *exchange);

[[nodiscard]] int channel_open(struct server *server);
void channel_close(struct server *server);

/* ---- requests ---- */

struct route {
	const char *path;
	enum evhttp_cmd_type method;
	const char *allow; /* the methods, for those that try another one */
	unsigned doors;
	void (*fn)(struct exchange *exchange);
};

enum { ROUTE_COUNT = 6, CODE_COUNT = 8 };

/* One request, from when it is whole until its answer has left or nobody waits for it any more. */
struct exchange {
	struct server *server;
	struct connection *connection;
	struct evhttp_request *http;
	size_t route; /* ROUTE_COUNT: none of them */
	bool is_trusted; /* may see EK certificates */
	bool is_cut; /* the answer is over before its end */
	uint8_t binding[SHA256_LEN];
	struct ask ask;
	ask_fn *facts_fn; /* not NULL: waits in facts[facts_which] */
	enum channel_facts facts_which;
	struct exchange *facts_next;
	struct event *turn; /* goes on in the loop's next turn */
	struct body_attest attest; /* what was asked for */
	struct query_log query; /* likewise */
	struct evidence_statement *statement;
	struct replay replay; /* of records on their way to statement->first */
	uint64_t next; /* record to send next */
	uint64_t last;
	struct exchange *next_exchange;
};

/* The HTTP library's callback. */
void exchange_begin(struct evhttp_request *http, void *door);
void exchanges_free(struct server *server);

/* Answers; the exchange is gone afterwards, sooner or later: do not touch it. */
void reply_text(struct exchange *exchange, const char *type, struct evbuffer *body);
[[gnu::format(printf, 3, 4)]] void reply_error(
	struct exchange *exchange, int code, const char *format, ...);

/* Count an answer that is about to begin, and say what all answers say in their heads. */
void reply_head(struct exchange *exchange, int code, const char *type);

/* An error of the measurer's. */
void reply_failure(struct exchange *exchange, int err, const char *text);

/* What of an answer has left is all of it: break the connection, so that nobody takes it for whole. */
void reply_cut(struct exchange *exchange);

/* The routes that do more than to pass on an answer. */
void route_attest(struct exchange *exchange);
void route_log(struct exchange *exchange);
void route_metrics(struct exchange *exchange);

/* Free what a stream has. */
void stream_done(struct exchange *exchange);

/* ---- TLS ---- */

[[nodiscard]] int tls_new(const struct server_conf *conf, struct ssl_ctx_st **ret_ctx,
	char ret_error[static SERVER_ERROR_MAX]);
void tls_free(struct ssl_ctx_st *ctx);

/* The server's end of a new connection, NULL without memory. */
struct bufferevent *tls_buffer_new(struct event_base *base, struct ssl_ctx_st *ctx);

/* RFC 9266, section 4.2. Returns 0 or -EIO. */
[[nodiscard]] int tls_binding(const struct bufferevent *buffer, uint8_t ret[static SHA256_LEN]);

/* Whether the client has shown a certificate, which was verified then. */
bool tls_has_client(const struct bufferevent *buffer);

/* Say to the client that nothing comes after this. */
void tls_goodbye(const struct bufferevent *buffer);

/* The certificate that is made where none is configured: DIR/server.key and DIR/server.crt. */
[[nodiscard]] int tls_self_made(
	const char *dir, struct ssl_ctx_st *ctx, char ret_error[static SERVER_ERROR_MAX]);

/* OpenSSL's first error, for people; then there are none. */
const char *tls_reason(void);

/* ---- sockets ---- */

enum { LISTEN_BACKLOG = 4096 }; /* who does not fit in is heard a second later */

/* ADDRESS:PORT or [ADDRESS]:PORT, both numbers. Returns a listening descriptor or a negative errno. */
[[nodiscard]] int listen_tcp(const char *where, char ret_error[static SERVER_ERROR_MAX]);
[[nodiscard]] int listen_local(
	const char *path, const char *group, char ret_error[static SERVER_ERROR_MAX]);

/* ---- the server ---- */

struct server {
	const struct server_conf *conf;
	int channel;
	int result; /* why the loop ended */
	struct event_base *base;
	struct ssl_ctx_st *tls;
	struct door doors[DOOR_COUNT];
	size_t door_count;
	struct event *readable; /* the channel */
	struct event *writable;
	struct event *beat; /* it is time to show that the loop turns */
	struct ask sign;
	struct ask *asks; /* in the order in which they came */
	uint32_t last_id;
	uint8_t *answer; /* one packet of the channel */
	unsigned quotes_waiting;
	struct facts facts[FACTS_COUNT];
	struct exchange *exchanges;
	struct db *db; /* NULL: not open */
	uint64_t db_tried_ms; /* and when that was tried last */
	uint64_t activations_ms; /* time that activations have used up: the bucket */
	uint64_t requests[ROUTE_COUNT + 1][CODE_COUNT];
	uint64_t refused[REFUSAL_COUNT];
	uint64_t answers_cut;
	uint64_t library_errors; /* requests that are none */
	uint64_t said_ms; /* when something was said last, and what was not since */
	unsigned said, unsaid;
};

uint64_t server_now_ms(void);

/* Whether a text of the configuration is there. */
bool server_has(const char *text);

/* One line on standard error for what nobody else sees; not too many of them. */
[[gnu::format(printf, 2, 3)]] void server_say(struct server *server, const char *format, ...);

/* The HTTP codes that are answered, in the order of server->requests[]. */
int reply_code(size_t index);
const char *route_name(size_t route); /* its path, or "other" */

#endif
