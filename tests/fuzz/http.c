/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whatever clients send to the attestation server. The first byte says what the others are: 'a' the body
 * of /v1/attest, 'c' that of /v1/activate, 'q' a query of /v1/log; anything else belongs to bytes that a
 * client writes to the server, with all of HTTP around. The measurer is made up; the log is real.
 */
#include <assert.h>
#include <errno.h>
#include <event2/listener.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "attest/server_own.h"
#include "bpf/line.h"
#include "db/db.h"

enum { RECORDS = 3, TURNS = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct server_conf conf = {
	.group = "root",
	.header_max = 8192,
	.body_max = 16384,
	.request_timeout_ms = 10000,
	.send_timeout_ms = 10000,
	.connections_max = 8,
	.connections_per_peer = 8,
	.waiting_max = 8,
	.activations_per_minute = 1000000,
};
static struct server *server;
static int measurer;

static void set_up(void)
{
	char dir[] = "/tmp/http-XXXXXX", error[SERVER_ERROR_MAX];
	struct db_line lines[RECORDS];
	struct db *db = db_new();
	int channel[2];

	signal(SIGPIPE, SIG_IGN);
	assert(mkdtemp(dir));
	snprintf(conf.socket, sizeof(conf.socket), "%s/socket", dir);
	snprintf(conf.database, sizeof(conf.database), "%s/log", dir);
	assert(db && !db_create(db, conf.database));
	for (size_t i = 0; i < RECORDS; i++)
		lines[i] = (struct db_line){ .seq = i + 1, .line = "line", .len = 4 };
	assert(!db_append(db, &(struct db_batch){ .lines = lines, .line_count = RECORDS }));
	db_free(db);
	assert(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, channel));
	measurer = channel[1];
	assert(!server_new(&conf, channel[0], &server, error));
	evconnlistener_enable(server->doors[0].listener);
}

static size_t statement_of(const struct channel_request *request, char *ret_bytes, size_t size)
{
	const struct evidence_statement statement = {
		.first = 1,
		.last = RECORDS,
		.pcr = 13,
		.banks = 1U << BANK_SHA256,
		.start_banks = 1U << BANK_SHA256,
		.quote_len = 1,
		.signature_len = 1,
		.ak_len = 1,
		.count = 1,
		.agent = "fuzz",
	};
	struct line line;

	(void)request;
	line_init(&line, ret_bytes, size);
	evidence_statement_encode(&line, &statement);
	return line.len;
}

/* Exact sizes, whatever the client said. */
static void measure(void)
{
	static const char status[] =
		"{\"extended_seq\":3,\"first_seq\":1,\"eks\":[{\"certificate\":\"\"}]}";
	struct {
		struct channel_answer head;
		char bytes[EVIDENCE_STATEMENT_MAX];
	} answer = { .head.magic = CHANNEL_MAGIC };
	union channel_packet packet;
	ssize_t len;

	while ((len = recv(measurer, &packet, sizeof(packet), MSG_TRUNC)) > 0) {
		bool is_activate = packet.request.what == CHANNEL_ACTIVATE;
		size_t bytes_len = 0;
		assert(len == (is_activate ? sizeof(packet.activate) : sizeof(packet.request)));
		assert(!memcmp(packet.request.magic, CHANNEL_MAGIC, 8));
		answer.head.id = packet.request.id;
		answer.head.error = 0;
		if (is_activate)
			bytes_len = SHA256_LEN;
		else if (packet.request.what == CHANNEL_FACTS)
			bytes_len = (size_t)sprintf(answer.bytes, "%s", status);
		else if (packet.request.since > RECORDS)
			answer.head.error = EINVAL;
		else
			bytes_len = statement_of(
				&packet.request, answer.bytes, sizeof(answer.bytes));
		assert(send(measurer, &answer, sizeof(answer.head) + bytes_len, 0) > 0);
	}
}

static void talk(const uint8_t *bytes, size_t len)
{
	static char answer[65536];
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t got = 0;

	strcpy(address.sun_path, conf.socket);
	assert(fd >= 0 && !connect(fd, (struct sockaddr *)&address, sizeof(address)));
	assert(!len || send(fd, bytes, len, MSG_DONTWAIT) > 0);
	for (int turn = 0; turn < TURNS; turn++) {
		event_base_loop(server->base, EVLOOP_NONBLOCK);
		measure();
		ssize_t n = recv(fd, answer + got, sizeof(answer) - got, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			break;
		got += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	for (int turn = 0; turn < TURNS && (server->exchanges || server->doors[0].count); turn++) {
		event_base_loop(server->base, EVLOOP_NONBLOCK);
		measure();
		connections_sweep(&server->doors[0]);
	}
	assert(!server->exchanges && !server->asks && !server->doors[0].count);
	assert(!got || !strncmp(answer, "HTTP/", 5));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	char error[BODY_ERROR_MAX], text[256];
	struct body_activate activate;
	struct body_attest attest;
	struct query_log query;

	if (!server)
		set_up();
	switch (len ? *bytes : 0) {
	case 'a':
		if (!body_attest_parse((const char *)bytes + 1, len - 1, &attest, error))
			assert(attest.since <= LINE_UINT_MAX);
		break;
	case 'c':
		if (!body_activate_parse((const char *)bytes + 1, len - 1, &activate, error))
			assert(activate.credential_len && activate.secret_len &&
				activate.ek <= 255);
		break;
	case 'q':
		snprintf(text, sizeof(text), "%.*s", (int)len - 1, (const char *)bytes + 1);
		if (!query_log_parse(text, &query, error))
			assert(query.since <= LINE_UINT_MAX && query.to <= LINE_UINT_MAX);
		break;
	default:
		talk(bytes, len);
	}
	return 0;
}
