/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whatever a local process writes to the measurer's socket, it gets one answer of attest/ask.h or
 * none, and the measurer serves the next. Quotes and status are made up here; the log is real.
 */
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/quote.h"
#include "agent/quotes.h"
#include "agent/serve.h"
#include "agent/status.h"
#include "attest/ask.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct conf conf;
static struct measurer measurer;
static struct event_base *base;
static bool is_due; /* a challenge waits */

static struct quotes *quotes;

static void wake(void *arg)
{
	*(bool *)arg = true;
}

int quote_settle(struct measurer *of, uint64_t *ret_behind, char error[static MEASURER_TEXT_MAX])
{
	(void)error;
	assert(of == &measurer);
	*ret_behind = 0;
	return 0;
}

int quote_sign(struct measurer *of, const uint8_t qualifying[static SHA256_LEN],
	struct tpm_quote *ret_quote, char error[static MEASURER_TEXT_MAX])
{
	(void)error;
	assert(of == &measurer && qualifying);
	*ret_quote = (struct tpm_quote){ .attest_len = 1, .signature_len = 1 };
	return 0;
}

int quote_cut(struct measurer *of, uint64_t since, bool near,
	struct evidence_statement *ret_statement, char error[static MEASURER_TEXT_MAX])
{
	assert(of == &measurer && !near);
	if (since > 3) {
		strcpy(error, "beyond the log");
		return -EINVAL;
	}
	*ret_statement = (struct evidence_statement){
		.since = since,
		.first = since + 1,
		.last = 3,
		.pcr = 13,
		.banks = 1U << BANK_SHA256,
		.start_banks = 1U << BANK_SHA256,
		.ak_len = 1,
		.agent = "fuzz",
	};
	return 0;
}

char *status_json(const struct measurer *of)
{
	return of == &measurer ? strdup("{}") : NULL;
}

char *status_loaded_json(const struct measurer *of, const struct cross *)
{
	return status_json(of);
}

static void set_up(void)
{
	char dir[] = "/tmp/ask-XXXXXX", path[64];
	struct db_line lines[3];
	struct serve *serve;

	signal(SIGPIPE, SIG_IGN);
	assert(mkdtemp(dir));
	snprintf(conf.socket_path, sizeof(conf.socket_path), "%s/socket", dir);
	snprintf(path, sizeof(path), "%s/log", dir);
	strcpy(conf.log_group, "root");
	measurer.conf = &conf;
	measurer.db = db_new();
	assert(measurer.db && !db_create(measurer.db, path));
	for (size_t i = 0; i < 3; i++)
		lines[i] = (struct db_line){ .seq = i + 1, .line = "line", .len = 4 };
	assert(!db_append(measurer.db, &(struct db_batch){ .lines = lines, .line_count = 3 }));
	base = event_base_new();
	quotes = quotes_new(SERVE_CONNECTIONS_MAX, wake, &is_due);
	assert(base && quotes && !serve_new(base, &measurer, quotes, &serve));
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	assert(fd >= 0 && !connect(fd, (struct sockaddr *)&address, sizeof(address)));
	return fd;
}

static void assert_answer(const uint8_t *bytes, size_t len, const char *answer, size_t answer_len)
{
	const struct ask_request *request = (const void *)bytes;
	struct ask_answer head;

	if (len < sizeof(*request)) {
		assert(answer_len == 0);
		return;
	}
	assert(answer_len > sizeof(head) && answer[answer_len - 1] == '\n');
	memcpy(&head, answer, sizeof(head));
	assert(!memcmp(head.magic, ASK_MAGIC, sizeof(head.magic)) && !head.zero);
	if (head.error) /* one line of text */
		assert(memchr(answer + sizeof(head), '\n', answer_len) == answer + answer_len - 1);
	else
		assert(answer[sizeof(head)] == '{' && !memcmp(bytes, ASK_MAGIC, 8));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static char answer[65536];
	size_t got = 0;
	int fd;

	if (!base)
		set_up();
	if (len > 4096)
		return 0;
	fd = connect_to(conf.socket_path);
	assert(!len || send(fd, bytes, len, 0) == (ssize_t)len);
	shutdown(fd, SHUT_WR);
	for (;;) {
		ssize_t n = recv(fd, answer + got, sizeof(answer) - got, MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno == ECONNRESET))
			break;
		assert(n > 0 || errno == EAGAIN);
		if (n > 0)
			got += (size_t)n;
		else
			event_base_loop(base, EVLOOP_ONCE);
		if (is_due)
			quotes_answer(quotes, &measurer);
		is_due = false;
	}
	close(fd);
	assert_answer(bytes, len, answer, got);
	return 0;
}
