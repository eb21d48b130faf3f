// SPDX-License-Identifier: BSD-2-Clause
/*
 * fake-channel DATABASE KEY=VALUE...: the attestation server as a process of its own, and a measurer at
 * the other end of its channel that is all made up but for the records of DATABASE (tests/tools/make-log.c).
 *
 * Keys are those of struct server_conf, and of the measurer:
 *
 *	quote_ms    how long a quote takes; those that wait meanwhile have the next
 *	error       every answer is this errno
 *	hand        PCR values are at hand after every so many records (default 50)
 *	mode        short: answers are too short; statement: statements are none; ahead: they end beyond
 *	            the log; deaf: there are no answers; leave: the first request ends it
 *
 * An activation is answered with sha256(binding, EK, credential, secret). SIGTERM ends both.
 */
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attest/channel.h"
#include "attest/server.h"
#include "db/db.h"
#include "tests/unit/attest_forge.h"

enum { HANDS_MAX = 1 << 16, WAITING_MAX = 4096 };

struct hand {
	uint64_t seq; /* the values are before this record */
	bank_set banks;
	struct bank_values values;
};

struct measurer {
	int channel;
	unsigned quote_ms, error, hand_every;
	char mode[32];
	struct forge forge;
	uint64_t anchor, last;
	struct replay replay;
	struct hand hands[HANDS_MAX];
	size_t hand_count;
	struct channel_request waiting[WAITING_MAX];
	size_t waiting_count;
};

static const char identity[] =
	"{\"bpfmeasure\":\"identity/1\",\"agent\":\"0.1.0\",\"eks\":[{\"template\":\"rsa2048-l1\","
	"\"public\":\"AAEC\",\"certificate\":\"MIIB\"},{\"template\":\"ecc256-l2\",\"public\":\"AAED\","
	"\"certificate\":null}]}";

/* ---- the log ---- */

static int take_line(void *arg, uint64_t seq, const void *line, size_t len)
{
	struct measurer *measurer = arg;
	struct replay_line replayed;
	struct hand *hand = &measurer->hands[measurer->hand_count];

	if (measurer->hand_count < HANDS_MAX && seq % measurer->hand_every == 0) {
		*hand = (struct hand){ seq, measurer->replay.banks, measurer->replay.values };
		measurer->hand_count++;
	}
	if (replay_next(&measurer->replay, line, len, &replayed))
		errx(1, "replay");
	if (replayed.is_epoch) {
		measurer->anchor = seq;
		measurer->hand_count = 1;
		measurer->hands[0] = (struct hand){ seq, replayed.epoch.banks,
			replayed.epoch.base };
	}
	measurer->last = seq;
	return 0;
}

static void read_log(struct measurer *measurer, const char *path)
{
	static const struct bank_values zero;
	struct db *db = db_new();
	uint64_t first;

	if (!db || db_open(db, path) || db_first_seq(db, &first))
		errx(1, "%s: %s", path, db ? db_errmsg(db) : "");
	replay_init(&measurer->replay, first, 0, &zero, NULL);
	if (db_each(db, first, UINT64_MAX, take_line, measurer) && measurer->last == 0)
		errx(1, "%s: %s", path, db_errmsg(db));
	db_free(db);
}

/* ---- answers ---- */

static void answer(
	const struct measurer *measurer, uint32_t id, uint32_t error, const void *bytes, size_t len)
{
	static struct {
		struct channel_answer head;
		char bytes[CHANNEL_BYTES_MAX];
	} packet;

	packet.head = (struct channel_answer){ .magic = CHANNEL_MAGIC, .id = id, .error = error };
	if (len)
		memcpy(packet.bytes, bytes, len);
	if (strcmp(measurer->mode, "short") == 0)
		len = 0;
	if (strcmp(measurer->mode, "deaf") != 0)
		send(measurer->channel, &packet,
			strcmp(measurer->mode, "short") == 0 ? 7 : sizeof(packet.head) + len,
			MSG_NOSIGNAL);
}

static void answer_quote(struct measurer *measurer, const struct channel_request *request)
{
	struct forge *forge = &measurer->forge;
	struct evidence_statement *statement = &forge->statement;
	const struct hand *hand = &measurer->hands[0];
	char bytes[EVIDENCE_STATEMENT_MAX];
	struct line line;

	if (request->since > measurer->last) {
		answer(measurer, request->id, EINVAL, "since: beyond the log", 21);
		return;
	}
	for (size_t i = 0; i < measurer->hand_count; i++)
		if (measurer->hands[i].seq <= request->since + 1)
			hand = &measurer->hands[i];
	memcpy(statement->nonce, request->nonce, SHA256_LEN);
	memcpy(statement->binding, request->binding, SHA256_LEN);
	forge_challenge(forge);
	statement->first = hand->seq;
	statement->since = request->since < hand->seq ? request->since : hand->seq - 1;
	statement->start_banks = hand->banks;
	statement->start = hand->values;
	statement->last = measurer->last + (strcmp(measurer->mode, "ahead") == 0);
	statement->banks = measurer->replay.banks;
	statement->values = measurer->replay.values;
	forge_quote(forge);
	line_init(&line, bytes, sizeof(bytes));
	evidence_statement_encode(&line, statement);
	if (strcmp(measurer->mode, "statement") == 0)
		bytes[1] = '!';
	answer(measurer, request->id, 0, line.buf, line.len);
}

static void answer_activation(
	const struct measurer *measurer, const struct channel_activate_request *request)
{
	uint8_t all[SHA256_LEN + 4 + CHANNEL_CREDENTIAL_MAX + CHANNEL_SECRET_MAX];
	uint8_t digest[SHA256_LEN];
	size_t len = 0;

	memcpy(all, request->binding, SHA256_LEN);
	len += SHA256_LEN;
	memcpy(all + len, &request->ek, 4);
	len += 4;
	memcpy(all + len, request->credential, request->credential_len);
	len += request->credential_len;
	memcpy(all + len, request->secret, request->secret_len);
	len += request->secret_len;
	if (sha256(all, len, digest))
		errx(1, "sha256");
	if (request->ek > 1)
		answer(measurer, request->id, ENOENT, "there is no such EK", 19);
	else
		answer(measurer, request->id, 0, digest, sizeof(digest));
}

static void answer_status(const struct measurer *measurer, uint32_t id)
{
	char text[1024];
	int len = snprintf(text, sizeof(text),
		"{\"state\":\"degraded\",\"why\":\"no \\\"audit\\\"\",\"faults\":[{\"fault\":\"log-full\","
		"\"what\":\"\",\"remedy\":\"\"},{\"fault\":\"log-full\"}],\"version\":\"0.1.0\",\"tpm\":{\"kind\":\"software\"},"
		"\"first_seq\":%llu,\"last_seq\":%llu,\"extended_seq\":%llu,\"lost\":3,\"programs\":44,"
		"\"loads\":{\"verified\":5,\"unsigned\":7},\"fault_starts\":{\"hooks-removed\":2},\"ring\":{\"size\":4096,\"held\":128,\"unread\":64},"
		"\"oldest_waiting_us\":1500000,\"durations\":{\"bounds_us\":[10,200,3000000],"
		"\"durable\":{\"counts\":[1,2,3,4],\"sum_us\":5000001}},"
		"\"attest\":{\"restarts\":2,\"landlock\":0,\"seccomp\":true}}",
		1ULL, (unsigned long long)measurer->last, (unsigned long long)measurer->last);

	answer(measurer, id, 0, text, (size_t)len);
}

static void handle(struct measurer *measurer, const void *packet, size_t len)
{
	const struct channel_request *request = packet;
	const struct channel_activate_request *activate = packet;
	bool is_activate = request->what == CHANNEL_ACTIVATE;

	if (memcmp(request->magic, CHANNEL_MAGIC, 8) != 0 ||
		len != (is_activate ? sizeof(*activate) : sizeof(*request)))
		errx(1, "a request of %zu bytes that is none", len);
	if (measurer->error)
		answer(measurer, request->id, measurer->error, "as the test has it", 18);
	else if (request->what == CHANNEL_QUOTE)
		measurer->waiting[measurer->waiting_count++] = *request;
	else if (is_activate)
		answer_activation(measurer, activate);
	else if (request->facts == CHANNEL_IDENTITY)
		answer(measurer, request->id, 0, identity, sizeof(identity) - 1);
	else
		answer_status(measurer, request->id);
}

/* ---- both processes ---- */

static void set(
	struct server_conf *conf, struct measurer *measurer, const char *key, const char *value)
{
	const struct {
		const char *key;
		char *text;
		size_t size;
	} texts[] = {
		{ "listen", conf->listen, sizeof(conf->listen) },
		{ "metrics_listen", conf->metrics_listen, sizeof(conf->metrics_listen) },
		{ "socket", conf->socket, sizeof(conf->socket) },
		{ "group", conf->group, sizeof(conf->group) },
		{ "dir", conf->dir, sizeof(conf->dir) },
		{ "certificate", conf->certificate, sizeof(conf->certificate) },
		{ "key", conf->key, sizeof(conf->key) },
		{ "client_ca", conf->client_ca, sizeof(conf->client_ca) },
		{ "mode", measurer->mode, sizeof(measurer->mode) },
	};
	const struct {
		const char *key;
		uint32_t *number;
	} numbers[] = {
		{ "request_timeout_ms", &conf->request_timeout_ms },
		{ "send_timeout_ms", &conf->send_timeout_ms },
		{ "connections_max", &conf->connections_max },
		{ "connections_per_peer", &conf->connections_per_peer },
		{ "waiting_max", &conf->waiting_max },
		{ "activations_per_minute", &conf->activations_per_minute },
		{ "quote_ms", &measurer->quote_ms },
		{ "error", &measurer->error },
		{ "hand", &measurer->hand_every },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcmp(key, texts[i].key) == 0) {
			snprintf(texts[i].text, texts[i].size, "%s", value);
			return;
		}
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (strcmp(key, numbers[i].key) == 0) {
			*numbers[i].number = (uint32_t)strtoul(value, NULL, 10);
			return;
		}
	if (strcmp(key, "header_max") == 0 || strcmp(key, "body_max") == 0) {
		*(*key == 'h' ? &conf->header_max : &conf->body_max) = strtoul(value, NULL, 10);
		return;
	}
	if (strcmp(key, "require_client_cert") != 0)
		errx(2, "%s?", key);
	conf->require_client_cert = strcmp(value, "yes") == 0;
}

static int serve(const struct server_conf *conf, int channel)
{
	char error[SERVER_ERROR_MAX] = "";
	struct server *server = NULL;
	int code;

	if (server_new(conf, channel, &server, error))
		errx(3, "%s", error);
	puts("ready");
	fflush(stdout);
	code = server_run(server, error);
	if (code)
		warnx("%s", error);
	server_free(server);
	return code ? 4 : 0;
}

static void on_signal(int number)
{
	(void)number; /* poll() returns */
}

static void measure(struct measurer *measurer)
{
	static uint8_t packet[4096];

	for (;;) {
		struct pollfd ready = { .fd = measurer->channel, .events = POLLIN };
		int count;

		while ((count = poll(&ready, 1, measurer->waiting_count ? 0 : -1)) > 0 &&
			measurer->waiting_count < WAITING_MAX) {
			ssize_t len = recv(measurer->channel, packet, sizeof(packet), 0);
			if (len <= 0 || strcmp(measurer->mode, "leave") == 0)
				return;
			handle(measurer, packet, (size_t)len);
		}
		if (count < 0)
			return;
		if (measurer->quote_ms)
			usleep(measurer->quote_ms * 1000);
		for (size_t i = 0; i < measurer->waiting_count; i++)
			answer_quote(measurer, &measurer->waiting[i]);
		measurer->waiting_count = 0;
	}
}

static void make_ready(struct measurer *measurer, const char *path)
{
	struct forge *forge = &measurer->forge;

	forge_init(forge);
	read_log(measurer, path);
	forge->selection_count = 0;
	for (enum bank bank = 0; bank < BANK_COUNT; bank++)
		if (measurer->replay.banks & 1u << bank)
			forge->selections[forge->selection_count++] =
				(struct tpms_selection){ bank_alg(bank), 1u << 13 };
	sigaction(SIGTERM, &(struct sigaction){ .sa_handler = on_signal }, NULL);
}

int main(int argc, char **argv)
{
	static struct measurer measurer = { .hand_every = 50 };
	struct server_conf conf = {
		.header_max = 8 * 1024,
		.body_max = 16 * 1024,
		.request_timeout_ms = 10000,
		.send_timeout_ms = 60000,
		.connections_max = 256,
		.connections_per_peer = 32,
		.waiting_max = 1024,
		.activations_per_minute = 60,
	};
	int channel[2], status;

	if (argc < 2)
		errx(2, "usage: fake-channel DATABASE KEY=VALUE...");
	snprintf(conf.database, sizeof(conf.database), "%s", argv[1]);
	for (int i = 2; i < argc; i++) {
		char *value = strchr(argv[i], '=');
		if (!value)
			errx(2, "%s: KEY=VALUE", argv[i]);
		*value = '\0';
		set(&conf, &measurer, argv[i], value + 1);
	}
	make_ready(&measurer, argv[1]);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, channel))
		err(1, "socketpair");
	pid_t child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(channel[1]);
		return serve(&conf, channel[0]);
	}
	close(channel[0]);
	measurer.channel = channel[1];
	measure(&measurer);
	close(measurer.channel);
	if (child < 0 || waitpid(child, &status, 0) < 0)
		err(1, "child");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 5;
}
