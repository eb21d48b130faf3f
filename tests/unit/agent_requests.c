/* SPDX-License-Identifier: BSD-2-Clause */
/* What the attestation server may ask: a packet that is not exactly a row of the table is its end. */
#include "agent/requests.h"

#include <errno.h>
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/identity.h"
#include "agent/quote.h"
#include "agent/quotes.h"
#include "agent/status.h"

enum { WAITING_MAX = 8, PER_MINUTE = 3, OPEN_MAX = WAITING_MAX + REQUESTS_BESIDE };

/* ---- a measurer that is made up ---- */

static struct {
	int settle_err;
	unsigned quotes, identities, activations, statuses;
	uint64_t now_ms;
	uint64_t takes_ms; /* an activation */
} did;

uint64_t measurer_now_ms(void)
{
	return did.now_ms;
}

char *status_json(const struct measurer *measurer)
{
	(void)measurer;
	did.statuses++;
	return strdup("{\"state\":\"measuring\"}");
}

void identity_forget(struct measurer *measurer)
{
	(void)measurer;
}

int identity_json(
	struct measurer *measurer, char **ret_json, char ret_error[static IDENTITY_ERROR_MAX])
{
	(void)measurer;
	(void)ret_error;
	did.identities++;
	*ret_json = strdup("{}");
	return 0;
}

int identity_activate(struct measurer *measurer, const struct channel_activate_request *request,
	uint8_t ret_proof[static SHA256_LEN], char ret_error[static IDENTITY_ERROR_MAX])
{
	(void)measurer;
	did.activations++;
	did.now_ms += did.takes_ms;
	memset(ret_proof, 0x77, SHA256_LEN);
	strcpy(ret_error, "no such EK");
	return request->ek ? -EINVAL : 0;
}

int quote_settle(
	struct measurer *measurer, uint64_t *ret_behind, char error[static MEASURER_TEXT_MAX])
{
	(void)measurer;
	*ret_behind = 0;
	strcpy(error, "not now");
	return did.settle_err;
}

int quote_sign(struct measurer *measurer, const uint8_t qualifying[static SHA256_LEN],
	struct tpm_quote *ret_quote, char error[static MEASURER_TEXT_MAX])
{
	(void)measurer;
	(void)qualifying;
	(void)error;
	did.quotes++;
	*ret_quote = (struct tpm_quote){ .attest_len = 1, .signature_len = 1 };
	return 0;
}

int quote_cut(struct measurer *measurer, uint64_t since, bool near,
	struct evidence_statement *ret_statement, char error[static MEASURER_TEXT_MAX])
{
	(void)measurer;
	assert_true(near);
	strcpy(error, "beyond the log");
	*ret_statement = (struct evidence_statement){
		.since = since,
		.first = since + 1,
		.last = 9,
		.pcr = 13,
		.banks = 1U << BANK_SHA256,
		.start_banks = 1U << BANK_SHA256,
		.ak_len = 1,
		.agent = "unit",
	};
	return since > 9 ? -EINVAL : 0;
}

/* ---- fixture ---- */

struct fixture {
	struct event_base *base;
	struct quotes *quotes;
	struct requests *requests;
	struct requests_credit credit;
	int server; /* its end of the channel */
	bool is_due, has_ended;
	char why[256];
	unsigned states;
};

static void wake(void *arg)
{
	struct fixture *f = arg;

	f->is_due = true;
}

static void on_state(void *arg, const struct channel_state *state)
{
	struct fixture *f = arg;

	f->states++;
	assert_int_equal(state->landlock, 5);
}

static void on_end(void *arg, const char *why)
{
	struct fixture *f = arg;

	f->has_ended = true;
	snprintf(f->why, sizeof(f->why), "%s", why);
	requests_free(f->requests);
	f->requests = NULL;
}

/* A server, and the channel to it; the one before it is gone. */
static void server_begin(struct fixture *f)
{
	const struct requests_setup setup = {
		.base = f->base,
		.quotes = f->quotes,
		.credit = &f->credit,
		.waiting_max = WAITING_MAX,
		.activations_per_minute = PER_MINUTE,
		.on_state = on_state,
		.on_end = on_end,
		.arg = f,
		.wake = wake,
		.wake_arg = f,
	};
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	f->requests = requests_new(&setup, ends[0]);
	f->server = ends[1];
	assert_non_null(f->requests);
}

static int fixture_new(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	memset(&did, 0, sizeof(did));
	f->base = event_base_new();
	f->quotes = quotes_new(OPEN_MAX, wake, f);
	f->credit = requests_credit_new();
	assert_true(f->base && f->quotes);
	server_begin(f);
	*state = f;
	return 0;
}

static int fixture_free(void **state)
{
	struct fixture *f = *state;

	requests_free(f->requests);
	quotes_free(f->quotes);
	event_base_free(f->base);
	close(f->server);
	free(f);
	return 0;
}

/* Turns of the loop until nothing happens any more. */
static void settle(struct fixture *f)
{
	for (size_t i = 0; i < 100; i++) {
		event_base_loop(f->base, EVLOOP_NONBLOCK);
		if (f->is_due && f->requests) {
			f->is_due = false;
			quotes_answer(f->quotes, NULL);
			requests_turn(f->requests);
		}
	}
}

static void tell(struct fixture *f, const void *packet, size_t len)
{
	assert_int_equal(send(f->server, packet, len, MSG_DONTWAIT), len);
}

/* The next answer's bytes, NUL behind them, and its error; returns its id. */
static uint32_t hear(struct fixture *f, char *ret_bytes, size_t size, int *ret_err)
{
	char packet[sizeof(struct channel_answer) + CHANNEL_BYTES_MAX];
	ssize_t len = recv(f->server, packet, sizeof(packet), MSG_DONTWAIT);
	struct channel_answer head;

	assert_true(len >= (ssize_t)sizeof(head));
	memcpy(&head, packet, sizeof(head));
	assert_memory_equal(head.magic, CHANNEL_MAGIC, sizeof(head.magic));
	assert_true((size_t)len - sizeof(head) < size);
	memcpy(ret_bytes, packet + sizeof(head), (size_t)len - sizeof(head));
	ret_bytes[(size_t)len - sizeof(head)] = '\0';
	*ret_err = -(int)head.error;
	return head.id;
}

static void assert_silence(struct fixture *f)
{
	char byte;

	assert_int_equal(recv(f->server, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

static struct channel_request request_of(uint32_t what, uint32_t id)
{
	return (struct channel_request){ .magic = CHANNEL_MAGIC, .what = what, .id = id };
}

static const struct channel_activate_request credential = {
	.magic = CHANNEL_MAGIC,
	.what = CHANNEL_ACTIVATE,
	.id = 77,
	.credential_len = CHANNEL_CREDENTIAL_MAX,
	.secret_len = CHANNEL_SECRET_MAX,
};

static const struct channel_state serving = {
	.magic = CHANNEL_MAGIC, .what = CHANNEL_STATE, .landlock = 5, .seccomp = 1
};

/* ---- tests ---- */

static void each_request_of_the_table_is_answered(void **state)
{
	struct fixture *f = *state;
	struct channel_request request = request_of(CHANNEL_FACTS, 1);
	char bytes[EVIDENCE_STATEMENT_MAX];
	int err;

	tell(f, &request, sizeof(request));
	settle(f);
	assert_int_equal(hear(f, bytes, sizeof(bytes), &err), 1);
	assert_int_equal(err, 0);
	assert_string_equal(bytes, "{\"state\":\"measuring\"}");
	request.facts = CHANNEL_IDENTITY;
	tell(f, &request, sizeof(request));
	settle(f);
	hear(f, bytes, sizeof(bytes), &err);
	assert_string_equal(bytes, "{}");
	request = request_of(CHANNEL_QUOTE, 0xffffffff);
	request.since = 4;
	tell(f, &request, sizeof(request));
	settle(f);
	assert_int_equal(hear(f, bytes, sizeof(bytes), &err), 0xffffffff);
	assert_non_null(strstr(bytes, "\"since\":4,\"first\":5,\"last\":9"));
	tell(f, &credential, sizeof(credential));
	settle(f);
	assert_int_equal(hear(f, bytes, sizeof(bytes), &err), 77);
	assert_int_equal(strlen(bytes), SHA256_LEN);
	tell(f, &serving, sizeof(serving));
	settle(f);
	assert_int_equal(f->states, 1);
	assert_silence(f);
	assert_false(f->has_ended);
}

static void errors_are_told_as_text(void **state)
{
	struct fixture *f = *state;
	struct channel_request request = request_of(CHANNEL_QUOTE, 5);
	struct channel_activate_request other = credential;
	char bytes[512];
	int err;

	request.since = 10;
	tell(f, &request, sizeof(request));
	settle(f);
	hear(f, bytes, sizeof(bytes), &err);
	assert_int_equal(err, -EINVAL);
	assert_string_equal(bytes, "beyond the log");
	other.ek = 1;
	tell(f, &other, sizeof(other));
	settle(f);
	hear(f, bytes, sizeof(bytes), &err);
	assert_int_equal(err, -EINVAL);
	assert_string_equal(bytes, "no such EK");
	did.settle_err = -EAGAIN;
	tell(f, &credential, sizeof(credential));
	settle(f);
	hear(f, bytes, sizeof(bytes), &err);
	assert_int_equal(err, -EAGAIN);
	assert_string_equal(bytes, "not now");
	assert_int_equal(did.activations, 1);
}

/* Each in a channel of its own. */
static void assert_is_the_end(const void *packet, size_t len)
{
	struct fixture *f;
	void *state;

	fixture_new(&state);
	f = state;
	tell(f, packet, len);
	settle(f);
	assert_true(f->has_ended);
	assert_string_equal(f->why, "it sent what is no request of its");
	assert_int_equal(
		did.statuses + did.identities + did.activations + did.quotes + f->states, 0);
	fixture_free(&state);
}

static void a_packet_of_any_other_size_is_the_end(void **state)
{
	static const uint32_t whats[] = { CHANNEL_FACTS, CHANNEL_QUOTE, CHANNEL_ACTIVATE,
		CHANNEL_STATE };
	static const size_t sizes[] = { sizeof(struct channel_request),
		sizeof(struct channel_request), sizeof(struct channel_activate_request),
		sizeof(struct channel_state) };
	char packet[2048] = CHANNEL_MAGIC;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		memcpy(packet + 8, &whats[i], sizeof(whats[i]));
		for (size_t len = 1; len < sizeof(packet); len += len < 1000 ? 1 : 97)
			if (len != sizes[i])
				assert_is_the_end(packet, len);
	}
}

static void a_packet_of_no_row_is_the_end(void **state)
{
	struct channel_request request;
	const uint32_t whats[] = { 0, CHANNEL_STATE, CHANNEL_ACTIVATE, 5, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(whats) / sizeof(whats[0]); i++) {
		request = request_of(whats[i], 1);
		assert_is_the_end(&request, sizeof(request));
	}
	for (size_t i = 0; i < sizeof(request.magic); i++) {
		request = request_of(CHANNEL_FACTS, 1);
		request.magic[i] ^= 1;
		assert_is_the_end(&request, sizeof(request));
	}
}

static void what_becomes_of_the_server_is_said_twice_at_most(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 1; i <= 3; i++) {
		tell(f, &serving, sizeof(serving));
		settle(f);
		assert_int_equal(f->states, i < 3 ? i : 2);
		assert_int_equal(f->has_ended, i == 3);
	}
}

/* A TPM that has to make the key for each takes ten seconds. */
static void activations_keep_the_tpm_busy_for_a_tenth_of_the_time(void **state)
{
	struct fixture *f = *state;
	struct channel_activate_request request = credential;
	char bytes[256];
	int err;

	did.takes_ms = 10000;
	for (int i = 0; i < 2; i++)
		tell(f, &request, sizeof(request));
	settle(f);
	assert_int_equal(did.activations, 1);
	hear(f, bytes, sizeof(bytes), &err);
	assert_int_equal(err, 0);
	hear(f, bytes, sizeof(bytes), &err);
	assert_int_equal(err, -EBUSY);

	for (int i = 0; i < 600; i++) {
		did.now_ms += 1000;
		tell(f, &request, sizeof(request));
		settle(f);
		hear(f, bytes, sizeof(bytes), &err);
	}
	assert_in_range(did.activations, 5, 8);
}

static void a_server_that_ends_gains_no_activations(void **state)
{
	struct fixture *f = *state;
	char bytes[256];
	int err;

	for (unsigned i = 0; i <= PER_MINUTE; i++) {
		tell(f, &credential, sizeof(credential));
		settle(f);
		hear(f, bytes, sizeof(bytes), &err);
		assert_int_equal(err, i < PER_MINUTE ? 0 : -EBUSY);
		close(f->server);
		settle(f);
		assert_null(f->requests);
		server_begin(f);
	}
	assert_int_equal(did.activations, PER_MINUTE);
}

static void a_field_that_must_be_zero_and_is_not_is_the_end(void **state)
{
	struct channel_request request;
	struct channel_activate_request other = credential;
	struct channel_state said = serving;

	(void)state;
	for (size_t at = offsetof(struct channel_request, facts); at < sizeof(request); at++) {
		request = request_of(CHANNEL_FACTS, 1);
		((char *)&request)[at] = 2; /* no enum channel_facts either */
		assert_is_the_end(&request, sizeof(request));
	}
	request = request_of(CHANNEL_QUOTE, 1);
	request.facts = 1;
	assert_is_the_end(&request, sizeof(request));
	request = request_of(CHANNEL_QUOTE, 1);
	request.zero = 1;
	assert_is_the_end(&request, sizeof(request));
	other.credential_len++;
	assert_is_the_end(&other, sizeof(other));
	other = credential;
	other.secret_len++;
	assert_is_the_end(&other, sizeof(other));
	memset(said.text, 'x', sizeof(said.text));
	assert_is_the_end(&said, sizeof(said));
	strcpy(said.text, "gone\nbpfmeasured: measuring");
	assert_is_the_end(&said, sizeof(said));
	strcpy(said.text, "gone \xff"); /* in no JSON */
	assert_is_the_end(&said, sizeof(said));
	said = serving;
	said.error = UINT32_MAX;
	assert_is_the_end(&said, sizeof(said));
}

static void a_server_that_is_gone_is_no_fault_of_its(void **state)
{
	struct fixture *f = *state;
	struct channel_request request = request_of(CHANNEL_QUOTE, 1);

	tell(f, &request, sizeof(request));
	shutdown(f->server, SHUT_RDWR);
	settle(f);
	assert_true(f->has_ended);
	assert_string_equal(f->why, "");
	quotes_answer(f->quotes, NULL);
	assert_int_equal(did.quotes, 0);
}

/* Nothing is read while so many wait; what was sent meanwhile is answered then. */
static void one_that_reads_no_answers_is_not_heard_until_it_does(void **state)
{
	struct fixture *f = *state;
	struct channel_request request = request_of(CHANNEL_QUOTE, 0);
	char bytes[EVIDENCE_STATEMENT_MAX];
	unsigned sent = 0, heard = 0;
	int err;

	while (send(f->server, &request, sizeof(request), MSG_DONTWAIT) > 0) {
		request.id = ++sent;
		if (sent <= OPEN_MAX)
			event_base_loop(f->base, EVLOOP_NONBLOCK);
	}
	assert_true(sent > OPEN_MAX);
	for (unsigned round = 0; heard < sent && round < sent; round++) {
		assert_false(f->has_ended);
		settle(f);
		while (recv(f->server, bytes, 1, MSG_PEEK | MSG_DONTWAIT) > 0) {
			assert_true(hear(f, bytes, sizeof(bytes), &err) < sent);
			assert_int_equal(err, 0);
			heard++;
		}
	}
	assert_int_equal(heard, sent);
	assert_true(did.quotes <= sent / WAITING_MAX);
}

static void activations_are_limited_by_the_minute(void **state)
{
	struct fixture *f = *state;
	char bytes[512];
	int err;

	for (unsigned i = 0; i < PER_MINUTE + 2; i++) {
		tell(f, &credential, sizeof(credential));
		settle(f);
		hear(f, bytes, sizeof(bytes), &err);
		assert_int_equal(err, i < PER_MINUTE ? 0 : -EBUSY);
	}
	assert_int_equal(did.activations, PER_MINUTE);
}

static void what_else_needs_the_tpm_waits_up_to_a_limit(void **state)
{
	struct fixture *f = *state;
	struct channel_request request = request_of(CHANNEL_FACTS, 1);
	char bytes[512];
	int err;

	request.facts = CHANNEL_IDENTITY;
	for (unsigned i = 0; i <= REQUESTS_LATE_MAX; i++)
		tell(f, &request, sizeof(request));
	event_base_loop(f->base, EVLOOP_NONBLOCK);
	hear(f, bytes, sizeof(bytes), &err);
	assert_int_equal(err, -EBUSY);
	for (unsigned i = 0; i < REQUESTS_LATE_MAX; i++) {
		settle(f);
		hear(f, bytes, sizeof(bytes), &err);
		assert_int_equal(err, 0);
	}
	assert_silence(f);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, fixture_new, fixture_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_request_of_the_table_is_answered),
		TEST(errors_are_told_as_text),
		TEST(a_packet_of_any_other_size_is_the_end),
		TEST(a_packet_of_no_row_is_the_end),
		TEST(what_becomes_of_the_server_is_said_twice_at_most),
		TEST(activations_keep_the_tpm_busy_for_a_tenth_of_the_time),
		TEST(a_server_that_ends_gains_no_activations),
		TEST(a_field_that_must_be_zero_and_is_not_is_the_end),
		TEST(a_server_that_is_gone_is_no_fault_of_its),
		TEST(one_that_reads_no_answers_is_not_heard_until_it_does),
		TEST(activations_are_limited_by_the_minute),
		TEST(what_else_needs_the_tpm_waits_up_to_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
