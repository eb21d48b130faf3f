/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log and the PCR: from records to lines, durable first, then extended.
 *
 * Records are put into a batch, the batch is committed to the database in one transaction, and then
 * its lines are extended one by one. No line is ever marked as extended: the PCR itself says how
 * far it got, and after a crash the log is folded until its value is the PCR's.
 *
 * The log is in one of these places at any time:
 *
 *	extended_seq <= last_seq < next_seq
 *
 * Lines up to extended_seq are in the PCR (a line that is not extended itself counts with the next
 * one that is), those up to last_seq are in the database, those below next_seq in the batch.
 */
#ifndef AGENT_LOG_H
#define AGENT_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/bank.h"
#include "bpf/record.h"

struct db;
struct evidence_kept;
struct log;

/* NULL without memory. db is the caller's and outlives the log. */
struct log *log_new(struct db *db, uint64_t program_store_max);
void log_free(struct log *log);

/* Why the last call failed, for people; never NULL. */
const char *log_errmsg(const struct log *log);

/*
 * Find the beginning and the end of the log, its last epoch and its kept quotes. Nothing is extended
 * or written.
 *
 * Returns 0, or an error of db/db.h; -EUCLEAN also where the last lines are not a log of ours.
 */
[[nodiscard]] int log_open(struct log *log);

/* How the daemon that wrote the last record of the log ended. */
enum record_exit log_last_exit(const struct log *log);

/* The newest epoch record's seq, and what it says; seq 0 in an empty log. Of its counters those that
 * the last `resume` record says, if there is one. */
uint64_t log_epoch_seq(const struct log *log);
const struct record_epoch_facts *log_epoch(const struct log *log);

/*
 * Where a verifier has to begin: the newest epoch at which the PCR itself began anew. Epochs after it
 * went on where the one before had ended (kexec, TPM2_Clear), or found the PCR extended by others:
 * log_broken_seq() is the first such one since the anchor, or 0.
 */
uint64_t log_anchor_seq(const struct log *log);
uint64_t log_broken_seq(const struct log *log);

/* The oldest record that is still there; 1, until the log is trimmed. */
uint64_t log_first_seq(const struct log *log);

/*
 * Find the place in the current epoch at which the PCR has these values: everything after it is
 * still to be extended.
 *
 * Returns 1 when it was found; 0 when no prefix of the epoch leads to these values; an error.
 */
[[nodiscard]] int log_find(struct log *log, const struct bank_values *values);

/* ---- putting records ---- */

/*
 * Put one record, a struct record_* of its kind, into the batch.
 *
 * boottime_ns  when it happened, 0 for now; its wall-clock time follows from it.
 * ref          number to find the record by (db/db.h): the program's id, of a load or baseline; above any
 *              of these, of an attach or detach; 0 of all others. audit looks at that.
 * returned_ns  of a load: when it returned, on the clock of boottime_ns, for log_listen(); 0: not known.
 * own          of a load: it is the agent's, for log_listen().
 * keep         the record gets an extend of its own, however long the queue: verified loads, and
 *              all that is of no program.
 *
 * ret_seq (may be NULL) is its number. Returns 0 or -ENOMEM, -EIO with nothing put.
 */
struct log_put {
	enum record_kind kind;
	uint64_t boottime_ns;
	uint64_t returned_ns;
	uint64_t ref;
	bool own;
	bool keep;
};
[[nodiscard]] int log_put(
	struct log *log, const struct log_put *put, const void *record, uint64_t *ret_seq);

/*
 * Hear of each record once it is durable, in order: from within log_commit(), which is not to be called
 * from there. line is of len bytes, and the log's.
 */
struct log_committed {
	enum record_kind kind;
	uint64_t seq;
	uint64_t returned_ns; /* as it was put */
	bool own; /* likewise */
	const char *line;
	size_t len;
};
void log_listen(struct log *log, void (*committed)(void *arg, const struct log_committed *record),
	void *arg);

/* Keep a program's bytes with the batch; they are copied. Without memory they are not kept. */
void log_put_program(
	struct log *log, const uint8_t sha256[static SHA256_LEN], const void *insns, size_t len);

/* Bytes and records in the batch: a caller commits before either grows large. */
size_t log_batch_bytes(const struct log *log);
size_t log_batch_count(const struct log *log);

/*
 * Commit the batch, and with it one value of the caller's (key NULL: none). After an error the
 * batch is as it was and may be committed again.
 *
 * Returns 0 or an error of db/db.h.
 */
[[nodiscard]] int log_commit(struct log *log, const char *key, const void *value, size_t len);

/* ---- extending ---- */

uint64_t log_next_seq(const struct log *log);
uint64_t log_last_seq(const struct log *log);
uint64_t log_extended_seq(const struct log *log);

/* What the PCR must be after extended_seq. */
const struct bank_values *log_values(const struct log *log);

/*
 * The next line to extend: its number and its digests. Returns 1; 0 if everything committed is
 * extended; an error of db/db.h.
 */
struct log_extend {
	uint64_t seq;
	struct bank_values digests;
};
[[nodiscard]] int log_next_extend(struct log *log, struct log_extend *ret_extend);

/* The TPM has executed the extend that log_next_extend() returned. Returns 0 or -EIO. */
[[nodiscard]] int log_extended(struct log *log, const struct log_extend *extend);

/*
 * A new epoch starts with the next record that is put: the PCR is base now, what was not extended
 * before never will be, and is part of the new epoch through prev only.
 */
enum log_epoch_kind {
	LOG_EPOCH_NEW, /* the PCR began anew */
	LOG_EPOCH_UNEXPLAINED, /* the log does, on a PCR that somebody has extended */
	LOG_EPOCH_CONTINUED, /* base is log_values(): nothing is waiting, and nothing came between */
	LOG_EPOCH_BROKEN, /* the log does not lead to base */
};
void log_epoch_begin(
	struct log *log, enum log_epoch_kind kind, bank_set banks, const struct bank_values *base);

/*
 * What the PCR would be if everything committed of the current epoch were extended. Returns 0 or an
 * error.
 */
[[nodiscard]] int log_values_at_end(struct log *log, struct bank_values *ret_values);

/* The PCR before the line seq, from the anchor on, was extended. Returns 0 or an error. */
[[nodiscard]] int log_values_before(struct log *log, uint64_t seq, struct bank_values *ret_values);

/*
 * The same for a record at or before seq, the last one of which it is known without reading the log:
 * by a mark, by a kept quote, or because the anchor is there. Returns 0 or an error.
 */
[[nodiscard]] int log_place_before(
	struct log *log, uint64_t seq, uint64_t *ret_place, struct bank_values *ret_values);

/* Remember the values at extended_seq. Of many places some are forgotten: the older, the further apart. */
void log_mark(struct log *log);

/* ---- kept quotes ---- */

/* The record that the newest kept quote covers; 0 if there is none. */
uint64_t log_kept_seq(const struct log *log);

/* sha256 of the line extended_seq, which is what a kept quote is over. Returns 0 or an error. */
[[nodiscard]] int log_extended_sha256(struct log *log, uint8_t ret_sha256[static SHA256_LEN]);

/* Keep a quote of the PCR as it is after extended_seq; durable when it returns 0. */
[[nodiscard]] int log_keep(struct log *log, const struct evidence_kept *kept);

/* The newest kept quote at or before a record. Returns 0, -ENOENT or another error. */
[[nodiscard]] int log_kept_get(
	struct log *log, uint64_t at_most_seq, struct evidence_kept *ret_kept);

/* ---- retention ---- */

/*
 * Remove the oldest records, up to the one that the newest `trim` record names, some at a time; to
 * be called again while it returns 1. That record has to be extended first, and a quote kept at the
 * cut.
 *
 * Returns 1, 0 when nothing is left to remove, or an error of db/db.h.
 */
[[nodiscard]] int log_trim(struct log *log);

/* The newest `trim` record; 0 if there is none. */
uint64_t log_trim_seq(const struct log *log);

#endif
