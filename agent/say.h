/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon's voice: to the journal with fields, where standard error is the journal's, else as lines on
 * standard error. docs/operations.md, "What it says", has the fields.
 *
 * Nothing here waits. What the journal, a pipe or a terminal does not take at once is dropped, and counted:
 * sd_journal_send() would wait for a journal that reads nothing, and measuring with it.
 *
 * Of one kind so many lines are said in a period; of the others it is told, when the period is over, how many
 * there were and where they are in the log.
 *
 * systemd.io/JOURNAL_NATIVE_PROTOCOL; systemd.exec(5), JOURNAL_STREAM; systemd.journal-fields(7).
 */
#ifndef AGENT_SAY_H
#define AGENT_SAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SAY_BURST = 20, /* lines of one kind */
	SAY_PERIOD_MS = 5000,
	SAY_MESSAGE_MAX = 1024, /* what is longer is cut, and ends with "..." */
	SAY_VALUE_MAX = 2304, /* any value of a record that is said fits */
	SAY_LINE_MAX = 16 * 1024,
};

/* Each has a MESSAGE_ID of its own. */
enum say_kind {
	SAY_NOTE, /* what belongs to no other */
	SAY_LOAD,
	SAY_REJECT,
	SAY_LOST,
	SAY_FOREIGN,
	SAY_EPOCH, /* and resume */
	SAY_FAULT, /* one began */
	SAY_MENDED, /* one is over */
	SAY_SERVER, /* of the attestation server */
	SAY_ERROR, /* the daemon ends by it */
	SAY_KIND_COUNT,
};

struct say;

struct say_setup {
	const char *journal; /* the journal's socket; NULL: lines on fd */
	int fd;
	uint64_t (*now_ms)(void); /* monotonic */
};

/* What $JOURNAL_STREAM (NULL: it is not set) says of standard error: the journal's socket, or NULL. */
const char *say_journal(const char *stream, int fd);

/* NULL without memory. fd is the caller's and outlives it. */
struct say *say_new(const struct say_setup *setup);

/* What is still to be told of lines that were not said, or dropped, is. NULL: nothing is done. */
void say_free(struct say *say);

/* A line; priority is one of syslog(3). */
[[gnu::format(printf, 4, 5)]] void say_text(
	struct say *say, enum say_kind kind, int priority, const char *format, ...);

/*
 * A line with fields, of a record or not (seq 0): say_wants() first, and where it returns true
 *
 *	struct say_line line;
 *	say_begin(&line, kind, priority, "...", ...);
 *	say_field(&line, "BPFMEASURE_SEQ", "42");
 *	say_send(say, &line);
 *
 * Otherwise it was counted. Bytes of texts and values that are not printable ASCII are said as \xHH.
 */
struct say_line {
	enum say_kind kind;
	int priority;
	size_t message_len;
	size_t len;
	char bytes[SAY_LINE_MAX];
};

bool say_wants(struct say *say, enum say_kind kind, uint64_t seq);
[[gnu::format(printf, 4, 5)]] void say_begin(
	struct say_line *line, enum say_kind kind, int priority, const char *format, ...);
void say_field(struct say_line *line, const char *name, const char *value);
void say_send(struct say *say, const struct say_line *line);

/* To be called about once a second: periods end, and what was dropped is told. */
void say_tick(struct say *say);

/* Lines that nobody took. */
uint64_t say_dropped(const struct say *say);

#endif
