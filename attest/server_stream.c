// SPDX-License-Identifier: BSD-2-Clause
/* Records on their way out of the database, a chunk at a time and only when the last one has left. */
#include "attest/server_own.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/http_struct.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"

enum {
	CHUNK_BYTES = 64 * 1024, /* and one record more */
	CHUNK_LINES = 64,
	FOLD_LINES = 128, /* in one turn of the loop */
	DB_RETRY_MS = 1000,
};

static const char lines_type[] = "application/jsonl";

void stream_done(struct exchange *exchange)
{
	if (exchange->turn)
		event_free(exchange->turn);
	free(exchange->statement);
	exchange->turn = NULL;
	exchange->statement = NULL;
}

/* ---- the database ---- */

/*
 * A damaged log is set aside while we run, and another one takes its place.
 *
 * Returns the open log, or NULL, and then there is none to be had now.
 */
static struct db *db_of(struct server *server)
{
	uint64_t now = server_now_ms();

	if (server->db && !db_check_file(server->db))
		return server->db;
	db_free(server->db);
	server->db = NULL;
	if (server->db_tried_ms && now - server->db_tried_ms < DB_RETRY_MS)
		return NULL;
	server->db_tried_ms = now;
	struct db *db = db_new();
	if (!db || db_open(db, server->conf->database)) {
		server_say(server, "the log: %s", db ? db_errmsg(db) : "out of memory");
		db_free(db);
		return NULL;
	}
	server->db_tried_ms = 0;
	server->db = db;
	return db;
}

static struct db *db_or_fail(struct exchange *exchange)
{
	struct db *db = db_of(exchange->server);

	if (!db)
		reply_error(exchange, 503, "the log cannot be read");
	return db;
}

/* ---- the stream ---- */

struct chunk {
	struct exchange *exchange;
	struct evbuffer *bytes;
};

static int add_line(void *arg, uint64_t seq, const void *line, size_t len)
{
	struct chunk *chunk = arg;

	if (evbuffer_add(chunk->bytes, line, len) || evbuffer_add(chunk->bytes, "\n", 1))
		return -ENOMEM;
	chunk->exchange->next = seq + 1;
	return evbuffer_get_length(chunk->bytes) >= CHUNK_BYTES;
}

static uint64_t at_most(uint64_t value, uint64_t most)
{
	return value < most ? value : most;
}

/* Fill bytes with the next records, at least one. Returns 0, or a negative errno. */
static int chunk_fill(struct exchange *exchange, struct evbuffer *bytes)
{
	struct chunk chunk = { exchange, bytes };
	struct db *db = db_of(exchange->server);
	uint64_t next = exchange->next, last = at_most(exchange->last, next + CHUNK_LINES - 1);
	int err = db ? db_each(db, next, last, add_line, &chunk) : -EIO;
	const char *why = db ? db_errmsg(db) : "the log cannot be read";

	if (err >= 0 && exchange->next == next) { /* the log ends before */
		err = -ENOENT;
		why = "it is not in the log";
	}
	if (err < 0)
		server_say(exchange->server,
			"an answer was broken off before record %" PRIu64 ": %s", exchange->next,
			why);
	return err < 0 ? err : 0;
}

static void on_sent(struct evhttp_connection *connection, void *arg);

static void send_chunk(struct exchange *exchange, struct evbuffer *bytes)
{
	connection_send(exchange->connection);
	if (exchange->next <= exchange->last && chunk_fill(exchange, bytes)) {
		reply_cut(exchange);
	} else if (evbuffer_get_length(bytes)) {
		evhttp_send_reply_chunk_with_cb(exchange->http, bytes, on_sent, exchange);
	} else {
		evhttp_send_reply_end(exchange->http);
	}
}

static void on_sent(struct evhttp_connection *connection, void *arg)
{
	struct exchange *exchange = arg;
	struct evbuffer *bytes = evbuffer_new();

	(void)connection;
	if (bytes)
		send_chunk(exchange, bytes);
	else
		reply_cut(exchange);
	if (bytes)
		evbuffer_free(bytes);
}

/* Begin an answer of lines: first line (or NULL), then the records next ... last. */
static void stream_begin(struct exchange *exchange, const struct line *line)
{
	struct evbuffer *bytes = evbuffer_new();

	if (!bytes ||
		(line &&
			(evbuffer_add(bytes, line->buf, line->len) ||
				evbuffer_add(bytes, "\n", 1)))) {
		if (bytes)
			evbuffer_free(bytes);
		reply_error(exchange, 503, "out of memory");
		return;
	}
	reply_head(exchange, 200, lines_type);
	evhttp_send_reply_start(exchange->http, 200, "OK");
	send_chunk(exchange, bytes);
	evbuffer_free(bytes);
}

/* The end of a stream shows in its last chunk: older clients would not see one that is cut. */
static bool is_old_client(struct exchange *exchange)
{
	bool is_old = exchange->http->major != 1 || exchange->http->minor < 1;

	if (is_old)
		reply_error(exchange, 505, "this needs HTTP/1.1");
	return is_old;
}

/* ---- evidence ---- */

static void evidence_send(struct exchange *exchange)
{
	struct evidence_statement *statement = exchange->statement;
	char bytes[EVIDENCE_STATEMENT_MAX];
	struct line line;

	line_init(&line, bytes, sizeof(bytes));
	evidence_statement_encode(&line, statement);
	exchange->next = statement->first;
	exchange->last = statement->last;
	stream_begin(exchange, &line);
}

static int fold_line(void *arg, uint64_t seq, const void *line, size_t len)
{
	struct exchange *exchange = arg;
	struct replay_line ignored;

	(void)seq;
	return replay_next(&exchange->replay, line, len, &ignored);
}

/* The records up to since are folded into the values that the first record sent begins with. */
static void fold_end(struct exchange *exchange)
{
	struct evidence_statement *statement = exchange->statement;

	statement->since = exchange->attest.since;
	statement->first = exchange->attest.since + 1;
	statement->start_banks = exchange->replay.banks;
	statement->start = exchange->replay.values;
	if (statement->has_kept && statement->kept.seq + 1 < statement->first)
		statement->has_kept = false;
	evidence_send(exchange);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval at_once;
	struct exchange *exchange = arg;
	uint64_t first = exchange->replay.place, since = exchange->attest.since;
	struct db *db = db_or_fail(exchange);

	(void)fd;
	(void)what;
	if (!db)
		return;
	int err = db_each(db, first, at_most(since, first + FOLD_LINES - 1), fold_line, exchange);
	if (err || exchange->replay.place == first) {
		server_say(exchange->server, "record %" PRIu64 ": %s", exchange->replay.place,
			err ? db_errmsg(db) : "it is not in the log");
		reply_error(exchange, 503, "the log cannot be read");
	} else if (exchange->replay.place <= since) {
		event_add(exchange->turn, &at_once);
	} else {
		fold_end(exchange);
	}
}

static void fold_begin(struct exchange *exchange)
{
	const struct evidence_statement *statement = exchange->statement;

	exchange->turn = evtimer_new(exchange->server->base, on_turn, exchange);
	if (!exchange->turn) {
		reply_error(exchange, 503, "out of memory");
		return;
	}
	replay_init(&exchange->replay, statement->first, statement->start_banks, &statement->start,
		NULL);
	on_turn(-1, 0, exchange);
}

/* The measurer has no nonce of ours to lose: what it answers is checked by those who asked. */
static void on_statement(void *arg, int err, const char *bytes, size_t len)
{
	struct exchange *exchange = arg;
	struct line_error error;

	if (err) {
		/* Too many that wait there: not this client's doing. */
		reply_failure(exchange, err == -EBUSY ? -EAGAIN : err, bytes);
		return;
	}
	exchange->statement = malloc(sizeof(*exchange->statement));
	if (!exchange->statement) {
		reply_error(exchange, 503, "out of memory");
	} else if (evidence_statement_decode(bytes, len, exchange->statement, &error) ||
		exchange->attest.since > exchange->statement->last) {
		server_say(exchange->server, "the measurer's statement is none");
		reply_error(exchange, 503, "the measurer's statement cannot be read");
	} else if (exchange->statement->first <= exchange->attest.since) {
		fold_begin(exchange);
	} else {
		exchange->statement->since = exchange->attest.since;
		evidence_send(exchange);
	}
}

void route_attest(struct exchange *exchange)
{
	struct server *server = exchange->server;
	union channel_packet packet = {
		.request = { .what = CHANNEL_QUOTE, .since = exchange->attest.since },
	};

	if (is_old_client(exchange) || !db_or_fail(exchange))
		return;
	if (server->quotes_waiting >= server->conf->waiting_max) {
		reply_error(exchange, 503, "too many challenges wait for a quote");
		return;
	}
	memcpy(packet.request.nonce, exchange->attest.nonce, SHA256_LEN);
	memcpy(packet.request.binding, exchange->binding, SHA256_LEN);
	ask_send(server, &exchange->ask, &packet, sizeof(packet.request), on_statement, exchange);
}

/* ---- the log ---- */

static uint64_t member(const json_t *status, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(status, key));

	return value > 0 ? (uint64_t)value : 0;
}

/* What is not extended yet may never be: it is nobody's to see. */
static void on_extended(void *arg, int err, const char *bytes, size_t len)
{
	struct exchange *exchange = arg;
	json_t *status = err ? NULL : json_loadb(bytes, len, 0, NULL);
	uint64_t extended = member(status, "extended_seq"), first = member(status, "first_seq");
	uint64_t since = exchange->query.since;

	json_decref(status);
	if (err) {
		reply_failure(exchange, err, bytes);
	} else if (!extended) {
		reply_error(exchange, 503, "the measurer has no log yet");
	} else if (since > extended) {
		reply_error(exchange, 400, "since %" PRIu64 ": the log ends with record %" PRIu64,
			since, extended);
	} else if (db_or_fail(exchange)) {
		exchange->next = since + 1 < first ? first : since + 1;
		exchange->last = at_most(extended, exchange->query.to);
		stream_begin(exchange, NULL);
	}
}

void route_log(struct exchange *exchange)
{
	if (!is_old_client(exchange))
		facts_get(exchange, CHANNEL_STATUS, on_extended);
}
