/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/requests.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/identity.h"
#include "agent/quote.h"
#include "agent/quotes.h"
#include "agent/status.h"

enum {
	READ_MAX = 64, /* requests in one turn of the loop, so that others have theirs */
	STATES_MAX = 2, /* of a server: it serves, and it ends */
	MINUTE_MS = 60000,
	BUSY_SHARE = 10, /* of the time, what the TPM may be busy with activations: a tenth */
};

static const char too_many[] = "too many activations: try again later";

/* An answer on its way. */
struct answer {
	struct answer *next;
	size_t len;
	uint8_t packet[];
};

/* A request for what comes after the quotes. */
struct late {
	struct channel_request facts; /* what is 0: it is none */
	struct channel_activate_request activate;
};

struct requests {
	struct requests_setup setup;
	int channel;
	struct event *readable, *writable;
	struct answer *first, **last; /* the socket did not take them yet */
	size_t open; /* requests whose answer has not left */
	struct late late[REQUESTS_LATE_MAX]; /* a ring */
	size_t late_begin, late_count;
	bool is_heard; /* it has asked something, see requests_heard() */
	unsigned states; /* how often the server said what became of it */
};

/* ---- answers ---- */

static size_t open_max(const struct requests *requests)
{
	return requests->setup.waiting_max + REQUESTS_BESIDE;
}

static bool send_one(struct requests *requests, const struct answer *answer)
{
	if (send(requests->channel, answer->packet, answer->len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
		(errno == EAGAIN || errno == EINTR || errno == ENOBUFS))
		return false;
	/* Sent, or there is nobody any more: then that can be read. */
	if (requests->open-- == open_max(requests))
		event_add(requests->readable, NULL);
	return true;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct requests *requests = arg;

	(void)fd;
	(void)what;
	while (requests->first && send_one(requests, requests->first)) {
		struct answer *sent = requests->first;

		requests->first = sent->next;
		if (!requests->first)
			requests->last = &requests->first;
		free(sent);
	}
	if (requests->first)
		event_add(requests->writable, NULL);
}

/* Where there is no memory for an answer the server would wait for ever: it is better off anew. */
static void answer(struct requests *requests, uint32_t id, int err, const void *bytes, size_t len)
{
	struct channel_answer head = { .magic = CHANNEL_MAGIC, .id = id, .error = (uint32_t)-err };
	struct answer *made = malloc(sizeof(*made) + sizeof(head) + len);

	if (!made) {
		shutdown(requests->channel, SHUT_RDWR);
		return;
	}
	made->next = NULL;
	made->len = sizeof(head) + len;
	memcpy(made->packet, &head, sizeof(head));
	memcpy(made->packet + sizeof(head), bytes, len);
	if (!requests->first && send_one(requests, made)) {
		free(made);
		return;
	}
	*requests->last = made;
	requests->last = &made->next;
	event_add(requests->writable, NULL);
}

static void answer_error(struct requests *requests, uint32_t id, int err, const char *text)
{
	answer(requests, id, err, text, strlen(text));
}

/* Takes the text. */
static void answer_facts(struct requests *requests, uint32_t id, char *text)
{
	size_t len = text ? strlen(text) : 0;

	if (!text)
		answer_error(requests, id, -ENOMEM, "out of memory");
	else if (len > CHANNEL_BYTES_MAX)
		answer_error(requests, id, -EMSGSIZE, "too long for an answer");
	else
		answer(requests, id, 0, text, len);
	free(text);
}

static void answer_quote(const struct quotes_challenge *challenge, int err,
	const struct evidence_statement *statement, const char *error)
{
	char bytes[EVIDENCE_STATEMENT_MAX];
	struct line line;

	if (err) {
		answer_error(challenge->owner, challenge->id, err, error);
		return;
	}
	line_init(&line, bytes, sizeof(bytes));
	evidence_statement_encode(&line, statement);
	answer(challenge->owner, challenge->id, 0, line.buf, line.len);
}

/* ---- what comes after the quotes ---- */

static void put_late(struct requests *requests, const struct late *late, uint32_t id)
{
	if (requests->late_count == REQUESTS_LATE_MAX) {
		answer_error(requests, id, -EBUSY, "too much of this waits already");
		return;
	}
	requests->late[(requests->late_begin + requests->late_count++) % REQUESTS_LATE_MAX] = *late;
	requests->setup.wake(requests->setup.wake_arg);
}

struct requests_credit requests_credit_new(void)
{
	return (struct requests_credit){ .left_ms = MINUTE_MS, .as_of_ms = measurer_now_ms() };
}

static int64_t credit_ms(struct requests *requests)
{
	struct requests_credit *credit = requests->setup.credit;
	uint64_t now_ms = measurer_now_ms();

	credit->left_ms += (int64_t)(now_ms - credit->as_of_ms);
	credit->as_of_ms = now_ms;
	if (credit->left_ms > MINUTE_MS)
		credit->left_ms = MINUTE_MS;
	return credit->left_ms;
}

/* A minute's worth may come at once; no more than that comes in a minute in the long run. */
static bool may_activate(struct requests *requests)
{
	uint32_t per_minute = requests->setup.activations_per_minute;

	if (!per_minute || credit_ms(requests) < MINUTE_MS / per_minute)
		return false;
	requests->setup.credit->left_ms -= MINUTE_MS / per_minute;
	return true;
}

/* Anybody may ask, and a TPM that has to make the key first takes seconds, in which nothing is extended. */
static void charge(struct requests *requests, uint64_t took_ms)
{
	int64_t paid_ms = MINUTE_MS / requests->setup.activations_per_minute;
	int64_t cost_ms = (int64_t)took_ms * BUSY_SHARE;

	if (cost_ms > paid_ms)
		requests->setup.credit->left_ms -= cost_ms - paid_ms;
}

static void identify(struct requests *requests, uint32_t id)
{
	char error[IDENTITY_ERROR_MAX], *text;
	int err = identity_json(requests->setup.measurer, &text, error);

	if (err)
		answer_error(requests, id, err, error);
	else
		answer_facts(requests, id, text);
}

static void activate(struct requests *requests, const struct channel_activate_request *request)
{
	char error[IDENTITY_ERROR_MAX];
	uint8_t proof[SHA256_LEN];
	uint64_t begin_ms = measurer_now_ms();

	if (credit_ms(requests) < 0) { /* those before it took too long */
		answer_error(requests, request->id, -EBUSY, too_many);
		return;
	}
	int err = identity_activate(requests->setup.measurer, request, proof, error);
	charge(requests, measurer_now_ms() - begin_ms);
	if (err)
		answer_error(requests, request->id, err, error);
	else
		answer(requests, request->id, 0, proof, sizeof(proof));
}

void requests_turn(struct requests *requests)
{
	char error[MEASURER_TEXT_MAX];
	uint64_t behind;
	struct late late;
	int err;

	if (!requests->late_count)
		return;
	late = requests->late[requests->late_begin];
	requests->late_begin = (requests->late_begin + 1) % REQUESTS_LATE_MAX;
	if (--requests->late_count)
		requests->setup.wake(requests->setup.wake_arg);
	err = quote_settle(requests->setup.measurer, &behind, error);
	if (err)
		answer_error(
			requests, late.facts.what ? late.facts.id : late.activate.id, err, error);
	else if (late.facts.what)
		identify(requests, late.facts.id);
	else
		activate(requests, &late.activate);
}

/* ---- the table ---- */

/* Each returns false for a packet of the right size that is none of its requests all the same. */

static bool on_facts(struct requests *requests, const void *packet)
{
	const struct channel_request *request = packet;
	const struct channel_request expected = {
		.magic = CHANNEL_MAGIC,
		.what = CHANNEL_FACTS,
		.id = request->id,
		.facts = request->facts,
	};
	const struct late late = { .facts = *request };

	if (memcmp(request, &expected, sizeof(expected)))
		return false;
	if (request->facts == CHANNEL_STATUS)
		answer_facts(requests, request->id, status_json(requests->setup.measurer));
	else if (request->facts == CHANNEL_IDENTITY)
		put_late(requests, &late, request->id);
	else
		return false;
	return true;
}

static bool on_quote(struct requests *requests, const void *packet)
{
	const struct channel_request *request = packet;
	struct quotes_challenge challenge = {
		.since = request->since,
		.near = true,
		.answer = answer_quote,
		.owner = requests,
		.id = request->id,
	};

	if (request->facts || request->zero)
		return false;
	memcpy(challenge.nonce, request->nonce, SHA256_LEN);
	memcpy(challenge.binding, request->binding, SHA256_LEN);
	if (quotes_put(requests->setup.quotes, &challenge))
		answer_error(requests, request->id, -EBUSY, "too many challenges wait already");
	return true;
}

static bool on_activate(struct requests *requests, const void *packet)
{
	const struct late late = { .activate = *(const struct channel_activate_request *)packet };

	if (late.activate.credential_len > CHANNEL_CREDENTIAL_MAX ||
		late.activate.secret_len > CHANNEL_SECRET_MAX)
		return false;
	if (may_activate(requests))
		put_late(requests, &late, late.activate.id);
	else
		answer_error(requests, late.activate.id, -EBUSY, too_many);
	return true;
}

/* Of one line of ASCII: it goes to the daemon's log, and into the status, which would not be JSON with a byte that
 * is no UTF-8. */
static bool is_clause(const char *text, size_t size)
{
	const char *end = memchr(text, '\0', size);

	for (; end && text < end; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return end;
}

static bool on_state(struct requests *requests, const void *packet)
{
	const struct channel_state *state = packet;

	/* Each may be a line in the daemon's log. */
	if (++requests->states > STATES_MAX || state->error > INT32_MAX || state->seccomp > 1 ||
		!is_clause(state->text, sizeof(state->text)))
		return false;
	requests->open--; /* nobody waits for an answer */
	requests->setup.on_state(requests->setup.arg, state);
	return true;
}

/* All that the attestation server may ask. */
static const struct row {
	uint32_t what;
	size_t size;
	bool (*fn)(struct requests *requests, const void *packet);
} rows[] = {
	{ CHANNEL_FACTS, sizeof(struct channel_request), on_facts },
	{ CHANNEL_QUOTE, sizeof(struct channel_request), on_quote },
	{ CHANNEL_ACTIVATE, sizeof(struct channel_activate_request), on_activate },
	{ CHANNEL_STATE, sizeof(struct channel_state), on_state },
};

/* Every packet begins alike. */
union packet {
	struct {
		char magic[8];
		uint32_t what;
	} head;
	struct channel_request request;
	struct channel_activate_request activate;
	struct channel_state state;
};

static bool handle(struct requests *requests, const union packet *packet, size_t len)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (len == rows[i].size && packet->head.what == rows[i].what &&
			!memcmp(packet->head.magic, CHANNEL_MAGIC, sizeof(packet->head.magic))) {
			requests->open++;
			requests->is_heard = true;
			return rows[i].fn(requests, packet);
		}
	return false;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct requests *requests = arg;
	union packet packet;

	(void)what;
	for (size_t i = 0; i < READ_MAX && requests->open < open_max(requests); i++) {
		ssize_t len = recv(fd, &packet, sizeof(packet), MSG_DONTWAIT | MSG_TRUNC);

		if (len < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (len <= 0) {
			requests->setup.on_end(requests->setup.arg, "");
			return;
		}
		if ((size_t)len > sizeof(packet) || !handle(requests, &packet, (size_t)len)) {
			requests->setup.on_end(
				requests->setup.arg, "it sent what is no request of its");
			return;
		}
	}
	/* It has to wait for answers first. */
	if (requests->open == open_max(requests))
		event_del(requests->readable);
}

/* ---- the channel ---- */

struct requests *requests_new(const struct requests_setup *setup, int channel)
{
	struct requests *requests = calloc(1, sizeof(*requests));

	if (!requests)
		return NULL;
	requests->setup = *setup;
	requests->channel = -1;
	requests->last = &requests->first;
	requests->readable = event_new(
		setup->base, channel, EV_READ | EV_PERSIST, on_readable, requests);
	requests->writable = event_new(setup->base, channel, EV_WRITE, on_writable, requests);
	if (!requests->readable || !requests->writable || event_add(requests->readable, NULL)) {
		requests_free(requests);
		return NULL;
	}
	requests->channel = channel;
	return requests;
}

bool requests_heard(struct requests *requests)
{
	bool is_heard = requests->is_heard;

	requests->is_heard = false;
	return is_heard;
}

void requests_free(struct requests *requests)
{
	if (!requests)
		return;
	quotes_drop(requests->setup.quotes, requests);
	if (requests->readable)
		event_free(requests->readable);
	if (requests->writable)
		event_free(requests->writable);
	while (requests->first) {
		struct answer *next = requests->first->next;

		free(requests->first);
		requests->first = next;
	}
	if (requests->channel >= 0)
		close(requests->channel);
	free(requests);
}
