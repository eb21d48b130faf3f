/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/say.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

static const char journal_socket[] = "/run/systemd/journal/socket";
static const char name[] = "bpfmeasured";

static const struct {
	const char *name; /* BPFMEASURE_KIND, and after a number: "3 more lines of kind ..." */
	const char *id; /* MESSAGE_ID */
} kinds[SAY_KIND_COUNT] = {
	[SAY_NOTE] = { "note", "0100885bdcd24d14a73736bf98acf920" },
	[SAY_LOAD] = { "load", "69233ba9f5ae4688a2af0c24e933d0a0" },
	[SAY_REJECT] = { "reject", "1fc760d806334653989d8024bc7d5545" },
	[SAY_LOST] = { "lost", "0f5663ee9e7046debf5c239144db73ac" },
	[SAY_FOREIGN] = { "foreign", "5ed840ef70e8448aaa30668f27446516" },
	[SAY_EPOCH] = { "epoch", "21d3d4e65dcf40c4b62db233243e444f" },
	[SAY_FAULT] = { "fault", "aa9c963e31b747609382afc19a36c255" },
	[SAY_MENDED] = { "mended", "3a3b42b341d1468388d4216649770df4" },
	[SAY_SERVER] = { "server", "cbfba9b367034a8da504cb4777450a12" },
	[SAY_ERROR] = { "error", "6faf6c9dbbe2472f8f77d8eb5eb6ab7b" },
};

/* Lines of one kind since its period began. */
struct period {
	uint64_t began_ms;
	unsigned said;
	uint64_t unsaid;
	uint64_t first, last; /* records that were not said */
};

struct say {
	int fd;
	int journal; /* -1: there is none */
	struct sockaddr_un address;
	uint64_t (*now_ms)(void);
	struct period periods[SAY_KIND_COUNT];
	uint64_t dropped, dropped_told;
};

const char *say_journal(const char *stream, int fd)
{
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 && !fstat(fd, &st) &&
			st.st_dev == dev && st.st_ino == ino
		? journal_socket
		: NULL;
}

struct say *say_new(const struct say_setup *setup)
{
	struct say *say = calloc(1, sizeof(*say));

	if (!say)
		return NULL;
	say->fd = setup->fd;
	say->now_ms = setup->now_ms;
	say->journal = -1;
	say->address.sun_family = AF_UNIX;
	if (setup->journal && strlen(setup->journal) < sizeof(say->address.sun_path)) {
		strcpy(say->address.sun_path, setup->journal);
		say->journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	}
	return say;
}

/* ---- a line ---- */

static void put(struct say_line *line, const char *bytes, size_t len)
{
	assert(len <= sizeof(line->bytes) - line->len);
	memcpy(line->bytes + line->len, bytes, len);
	line->len += len;
}

/* NAME=VALUE and a newline, which no value has then. What does not fit is not said. */
static void put_field(struct say_line *line, const char *field, const char *value)
{
	char escape[sizeof("\\xHH")];

	if (strlen(field) + 4 * strlen(value) + 2 > sizeof(line->bytes) - line->len)
		return;
	put(line, field, strlen(field));
	put(line, "=", 1);
	for (; *value; value++) {
		if (*value >= 0x20 && *value <= 0x7e)
			put(line, value, 1);
		else
			put(line, escape,
				(size_t)snprintf(escape, sizeof(escape), "\\x%02x",
					(unsigned)(unsigned char)*value));
	}
	put(line, "\n", 1);
}

[[gnu::format(printf, 4, 0)]] static void begin(
	struct say_line *line, enum say_kind kind, int priority, const char *format, va_list args)
{
	static const char cut[] = "...";
	char text[SAY_MESSAGE_MAX];
	char digit[] = { (char)('0' + priority), 0 };
	int len = vsnprintf(text, sizeof(text), format, args);

	if (len < 0 || (size_t)len >= sizeof(text))
		strcpy(text + sizeof(text) - sizeof(cut), cut);
	line->kind = kind;
	line->priority = priority;
	line->len = 0;
	put_field(line, "MESSAGE", text);
	line->message_len = line->len;
	put_field(line, "PRIORITY", digit);
	put_field(line, "SYSLOG_IDENTIFIER", name);
	put_field(line, "MESSAGE_ID", kinds[kind].id);
	put_field(line, "BPFMEASURE_KIND", kinds[kind].name);
}

void say_begin(struct say_line *line, enum say_kind kind, int priority, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	begin(line, kind, priority, format, args);
	va_end(args);
}

void say_field(struct say_line *line, const char *field, const char *value)
{
	put_field(line, field, value);
}

/* ---- out ---- */

/* A pipe or a terminal that is ready takes a line of PIPE_BUF bytes; of a socket none is waited for. */
static bool write_line(int fd, const char *bytes, size_t len)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLOUT };
	ssize_t sent = send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent < 0 && errno == ENOTSOCK && poll(&pollfd, 1, 0) == 1 && pollfd.revents & POLLOUT)
		sent = write(fd, bytes, len);
	return sent == (ssize_t)len;
}

/* Standard error, for people, or where the journal's own socket is not there. */
static bool send_plain(const struct say *say, const struct say_line *line)
{
	static const size_t skip = sizeof("MESSAGE=") - 1;
	char text[PIPE_BUF + 1], priority[] = { '<', (char)('0' + line->priority), '>', 0 };
	int len = snprintf(text, sizeof(text), "%s%s: %.*s", say->journal >= 0 ? priority : "",
		name, (int)(line->message_len - skip), line->bytes + skip);

	if (len > PIPE_BUF) {
		len = PIPE_BUF;
		text[PIPE_BUF - 1] = '\n';
	}
	return len > 0 && write_line(say->fd, text, (size_t)len);
}

/* Whether somebody took it. */
static bool send_line(const struct say *say, const struct say_line *line)
{
	if (say->journal >= 0) {
		if (sendto(say->journal, line->bytes, line->len, MSG_DONTWAIT | MSG_NOSIGNAL,
			    (const struct sockaddr *)&say->address, sizeof(say->address)) >= 0)
			return true;
		if (errno == EAGAIN)
			return false;
	}
	return send_plain(say, line);
}

void say_send(struct say *say, const struct say_line *line)
{
	if (!send_line(say, line))
		say->dropped++;
}

/* ---- how often ---- */

static void number_field(struct say_line *line, const char *field, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	put_field(line, field, text);
}

/* How many lines were not said in a period. Whether somebody took it. */
static bool tell_unsaid(const struct say *say, enum say_kind kind, const struct period *period)
{
	struct say_line line;
	char where[96] = "";

	if (period->last)
		snprintf(where, sizeof(where),
			"; they are in the log, records %" PRIu64 " to %" PRIu64, period->first,
			period->last);
	say_begin(&line, kind, LOG_NOTICE, "%" PRIu64 " more of kind %s not shown here%s",
		period->unsaid, kinds[kind].name, where);
	number_field(&line, "BPFMEASURE_NOT_SHOWN", period->unsaid);
	if (period->last) {
		number_field(&line, "BPFMEASURE_FIRST", period->first);
		number_field(&line, "BPFMEASURE_LAST", period->last);
	}
	return send_line(say, &line);
}

/* A period is over. Its count that nobody took goes into the next. */
static void period_end(struct say *say, enum say_kind kind)
{
	struct period *period = &say->periods[kind];

	if (period->unsaid && !tell_unsaid(say, kind, period))
		period->said = 0;
	else
		*period = (struct period){};
}

static void tell_dropped(struct say *say)
{
	uint64_t dropped = say->dropped - say->dropped_told;
	struct say_line line;

	if (!dropped)
		return;
	say_begin(&line, SAY_NOTE, LOG_WARNING,
		"%" PRIu64 " lines are missing here: nobody took them; loads are in the log",
		dropped);
	number_field(&line, "BPFMEASURE_DROPPED", dropped);
	if (send_line(say, &line))
		say->dropped_told = say->dropped;
}

bool say_wants(struct say *say, enum say_kind kind, uint64_t seq)
{
	struct period *period = &say->periods[kind];
	uint64_t now_ms = say->now_ms();

	if (period->said && now_ms - period->began_ms >= SAY_PERIOD_MS)
		period_end(say, kind);
	if (!period->said)
		period->began_ms = now_ms;
	if (period->said < SAY_BURST) {
		period->said++;
		return true;
	}
	period->unsaid++;
	period->last = seq;
	if (!period->first)
		period->first = seq;
	return false;
}

void say_text(struct say *say, enum say_kind kind, int priority, const char *format, ...)
{
	struct say_line line;
	va_list args;

	if (!say_wants(say, kind, 0))
		return;
	va_start(args, format);
	begin(&line, kind, priority, format, args);
	va_end(args);
	say_send(say, &line);
}

void say_tick(struct say *say)
{
	uint64_t now_ms = say->now_ms();

	for (enum say_kind kind = 0; kind < SAY_KIND_COUNT; kind++)
		if (now_ms - say->periods[kind].began_ms >= SAY_PERIOD_MS)
			period_end(say, kind);
	tell_dropped(say);
}

void say_free(struct say *say)
{
	if (!say)
		return;
	for (enum say_kind kind = 0; kind < SAY_KIND_COUNT; kind++)
		period_end(say, kind);
	tell_dropped(say);
	if (say->journal >= 0)
		close(say->journal);
	free(say);
}

uint64_t say_dropped(const struct say *say)
{
	return say->dropped;
}
