/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The auditor: what of a whole log, every epoch of it, is proven by the quotes that were kept with
 * it, and where trust ends and why.
 *
 * It is fed the log in order, each kept quote behind the record that it covers, and gives the log
 * back as spans of records that are trusted alike. A contradiction does not end it: it goes on from
 * what the next epoch or quote vouches for, so that each is judged by itself. Needs no TPM and no
 * database; memory grows with epochs and contradictions, not with records.
 *
 *	history_new() → history_quote() or history_record() ... → history_end()
 */
#ifndef ATTEST_HISTORY_H
#define ATTEST_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/ak.h"
#include "attest/verify.h"
#include "bpf/bank.h"

enum {
	HISTORY_TEXT_MAX = 512,
	HISTORY_FINDINGS_MAX = 64,
	HISTORY_SPANS_MAX = 1 << 16, /* what comes behind is added to the last, as contradicted */
};

enum history_trust {
	HISTORY_PROVEN, /* a kept quote of the epoch has the value that the records lead to */
	HISTORY_CONSISTENT, /* likewise, but signed by whatever key it came with: none was given */
	HISTORY_UNPROVEN, /* nothing contradicts, and no quote covers them */
	HISTORY_CONTRADICTED, /* something says that this is not what was measured */
	HISTORY_TRIMMED, /* not there any more, as a record says */
};

/* "proven", ... */
const char *history_trust_name(enum history_trust trust);

struct history_span {
	uint64_t first; /* records, inclusive */
	uint64_t last;
	uint64_t epoch_seq; /* the epoch record in force; 0: not known */
	enum history_trust trust;
	const char *reason; /* of a contradiction: as verify_reason_name(), else "" */
	char why[HISTORY_TEXT_MAX]; /* a sentence for people, printable ASCII */
};

/* What is wrong or missing besides the lines of a span: a quote, the TPM's counters, the database. */
struct history_finding {
	uint64_t seq; /* the record where it was found; 0: none */
	const char *reason; /* as verify_reason_name(), or "database" */
	bool is_gap; /* something may be missing: nothing contradicts */
	char text[HISTORY_TEXT_MAX]; /* a sentence for people, printable ASCII */
};

/*
 * ak    required to prove anything; from enrolment, never from the log. NULL: quotes are checked
 *       with the keys that they come with, and the verdict is VERIFY_UNKNOWN at best.
 * pcr   the PCR that the log is about.
 * base  PCR values that enrolment has pinned as the beginning of an epoch, in base_banks; NULL:
 *       epochs begin at zero.
 */
struct history_options {
	const struct ak *ak;
	unsigned pcr;
	bank_set base_banks;
	const struct bank_values *base;
};

struct history_result {
	enum verify_verdict verdict;
	const char *reason; /* the first, as in spans and findings; "ok" where it is trusted */
	char explanation[HISTORY_TEXT_MAX]; /* a sentence for people */
	uint64_t records; /* that were there */
	uint64_t counts[HISTORY_TRIMMED + 1]; /* records, by their trust */
	uint64_t quotes; /* that were good */
	bool software; /* a TPM among them says that it is one */
	size_t span_count; /* in the order of the records, without gaps from 1 to the last */
	const struct history_span *spans;
	size_t finding_count;
	struct history_finding findings[HISTORY_FINDINGS_MAX];
	uint64_t findings_left_out;
};

struct history;

/* NULL without memory. options, and what they point to, must outlive it. */
struct history *history_new(const struct history_options *options);
void history_free(struct history *history);
void history_freep(struct history **history);

/*
 * The record that is stored under number seq, which is above that of the one before, and the
 * number `ref` by which the database finds it: `program.id` of a load or baseline, else 0.
 *
 * Returns 0; -EINVAL if seq is not above the one before; -ENOMEM, -EIO: then no more can be said.
 */
[[nodiscard]] int history_record(
	struct history *history, uint64_t seq, uint64_t ref, const char *line, size_t len);

/* Whether the line that was handed over last keeps to the grammar. */
bool history_was_record(const struct history *history);

/*
 * A kept quote (docs/format.md, "Kept quotes") that is stored for record seq: due after that
 * record, and before the next one. Those of records that are not there any more come first.
 *
 * Returns 0; -ENOMEM, -EIO.
 */
[[nodiscard]] int history_quote(
	struct history *history, uint64_t seq, const char *line, size_t len);

/* Something was found in what surrounds the lines: it makes the log untrusted. */
[[gnu::format(printf, 4, 5)]] void history_find(
	struct history *history, uint64_t seq, const char *reason, const char *format, ...);

/*
 * There are no more records, or none that can be read. The result belongs to the history.
 *
 * Returns 0, -ENOMEM or -EIO.
 */
[[nodiscard]] int history_end(struct history *history, const struct history_result **ret_result);

#endif
