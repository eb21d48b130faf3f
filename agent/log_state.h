/* SPDX-License-Identifier: BSD-2-Clause */
/* What log.c (records into the database) and log_pcr.c (records into the PCR) share. */
#ifndef AGENT_LOG_STATE_H
#define AGENT_LOG_STATE_H

#include "agent/log.h"

enum {
	WAITING_MAX = 16, /* records that may wait before lines are left to the next extend */
	MARKS_MAX = 1024, /* places of the epoch whose values are remembered */
	QUEUE_MAX = 256, /* extends whose digests are at hand; the rest is read back */
	TRIM_STEP = 1000, /* records removed in one transaction */
};

/* Keys of the database's states. */
#define LOG_HINT_KEY "extended"
#define LOG_NOTE_KEY "epoch"

struct entry {
	uint64_t seq;
	uint64_t ref;
	uint64_t returned_ns;
	size_t at; /* in bytes */
	size_t len;
	enum record_kind kind;
	bool own;
	bool extend;
};

struct program {
	uint8_t sha256[SHA256_LEN];
	void *insns;
	size_t len;
};

/* Where the PCR stood at some commit: where to start folding after a restart. */
struct hint {
	uint64_t epoch_seq;
	uint64_t seq;
	struct bank_values values;
};

struct mark {
	uint64_t seq;
	struct bank_values values;
};

/*
 * What the log remembers of itself beside its lines, because finding it in them again would take
 * long, or because they may be trimmed. The line of the epoch record follows it.
 */
struct note {
	uint64_t epoch_seq;
	uint64_t anchor_seq;
	uint64_t broken_seq; /* 0: the PCR is ours since the anchor */
	uint64_t trim_seq; /* the newest trim record; 0: none */
	uint64_t trim_last; /* what it removes, up to here */
	uint32_t reset_count; /* of the epoch, or of the last resume */
	uint32_t restart_count;
};

struct log {
	struct db *db;
	uint64_t program_store_max;
	void (*committed)(void *arg, const struct log_committed *record); /* NULL: nobody listens */
	void *committed_arg;

	/* the batch */
	char *bytes;
	size_t bytes_len, bytes_room;
	struct entry *entries;
	size_t entry_count, entry_room;
	struct program *programs;
	size_t program_count, program_room;

	/* the database */
	uint64_t first_seq;
	uint64_t last_seq;
	uint8_t last_sha256[SHA256_LEN]; /* of line last_seq; zeros in an empty log */
	enum record_exit last_exit;

	/* the PCR */
	struct note note;
	bool note_changed; /* since it was committed */
	char *epoch_line;
	size_t epoch_line_len;
	struct record_epoch_facts epoch;
	uint64_t kept_seq;
	uint64_t trimmed_seq; /* the trim record that nothing is left to remove of */
	uint64_t extended_seq;
	struct bank_values values;
	struct mark marks[MARKS_MAX]; /* seq rises */
	size_t mark_count;
	struct log_extend queue[QUEUE_MAX]; /* the next extends, a ring */
	size_t queue_begin, queue_count;
	uint64_t queue_seq; /* the last line that the queue was filled from, or extended_seq */

	char error[256];
};

/* Keep a text; returns err. */
[[gnu::format(printf, 3, 4)]] int log_fail(struct log *log, int err, const char *format, ...);

/* Keep the database's text where err is an error; returns it. */
int log_fail_db(struct log *log, int err);

/* The strict check of a line of our own log, and that it is where it belongs: 0 or -EUCLEAN. */
[[nodiscard]] int log_check(
	struct log *log, uint64_t seq, const void *line, size_t len, struct record_head *ret_head);

/* The batch that was just committed: its extends at hand for the TPM, as far as there is room and
 * no gap before it. */
void log_queue_batch(struct log *log);

/* The note of a log that is not empty, from the database. Returns 0 or an error. */
[[nodiscard]] int log_note_read(struct log *log);

/* Take over what a line says of the epoch, when it is put or read again. */
[[nodiscard]] int log_note_epoch(struct log *log, uint64_t seq, const char *line, size_t len);
void log_note_resume(struct log *log, const char *line, size_t len);
void log_note_trim(struct log *log, uint64_t seq, const char *line, size_t len);

/*
 * A value as the database keeps it: its sha256 before it, so that a damaged one is not believed.
 * ret has room for LOG_SEAL_LEN + len bytes.
 */
enum { LOG_SEAL_LEN = SHA256_LEN };
[[nodiscard]] int log_seal(const void *value, size_t len, void *ret_sealed);

/* Read a sealed value of at most size bytes. Returns its length; -ENOENT; -EUCLEAN; another error. */
[[nodiscard]] int log_unseal(struct log *log, const char *key, void *ret_value, size_t size);

#endif
