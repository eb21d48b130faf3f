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
struct log;

/* NULL without memory. db is the caller's and outlives the log. */
struct log *log_new(struct db *db, uint64_t program_store_max);
void log_free(struct log *log);
void log_freep(struct log **log);

/* Why the last call failed, for people; never NULL. */
const char *log_errmsg(const struct log *log);

/*
 * Find the end of the log and its last epoch. Nothing is extended or written.
 *
 * Returns 0, or an error of db/db.h; -EUCLEAN also where the last lines are not a log of ours.
 */
[[nodiscard]] int log_open(struct log *log);

/* How the daemon that wrote the last record of the log ended. */
enum record_exit log_last_exit(const struct log *log);

/* The newest epoch record's seq, and what it says; seq 0 in an empty log. */
uint64_t log_epoch_seq(const struct log *log);
const struct record_epoch_facts *log_epoch(const struct log *log);

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
 * ref          number to find the record by (db/db.h); 0 for none.
 * keep         the record gets an extend of its own, however long the queue: verified loads, and
 *              all that is not a program.
 *
 * ret_seq (may be NULL) is its number. Returns 0 or -ENOMEM, -EIO with nothing put.
 */
struct log_put {
	enum record_kind kind;
	uint64_t boottime_ns;
	uint64_t ref;
	bool keep;
};
[[nodiscard]] int log_put(
	struct log *log, const struct log_put *put, const void *record, uint64_t *ret_seq);

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
void log_epoch_begin(struct log *log, bank_set banks, const struct bank_values *base);

/* The PCR before the line seq of the current epoch was extended. Returns 0 or an error
 * of db/db.h. */
[[nodiscard]] int log_values_before(struct log *log, uint64_t seq, struct bank_values *ret_values);

/* Remember the values at extended_seq, in the place of the oldest that are remembered. */
void log_mark(struct log *log);

#endif
