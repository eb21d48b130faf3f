/* SPDX-License-Identifier: BSD-2-Clause */
/* One verification under way: what the files verify*.c share. */
#ifndef ATTEST_VERIFICATION_H
#define ATTEST_VERIFICATION_H

#include "attest/diagnose.h"
#include "attest/replay.h"
#include "attest/tpms.h"
#include "attest/verify.h"

/* What the TPM counted, by an epoch or resume record, the anchor, or the kept quote. */
struct verification_epoch {
	bool is_known;
	uint32_t reset_count;
	uint32_t restart_count;
	uint64_t clock_ms;
	size_t ak_name_len; /* 0: it does not say */
	uint8_t ak_name[TPMS_NAME_MAX];
};

/* Where records lead to. */
struct verification_lead {
	uint64_t seq; /* the last that was extended */
	bank_set banks;
	struct bank_values values;
};

/*
 * Since the PCR was last reset, somebody else has extended it: an epoch's base is unexplained, or a
 * `foreign` record says so.
 */
struct verification_break {
	uint64_t place; /* of that epoch; 0: there is none */
	uint8_t base[SHA256_LEN]; /* its sha256 value */
	bool is_same_reset; /* the counters did not move */
	struct verification_lead lead; /* of the records before it */
	uint64_t foreign; /* the first `foreign` record that speaks of it; 0: none */
	uint64_t found_ns; /* its time */
	struct record_foreign_facts facts;
};

struct verification {
	const struct verify_options *options;
	struct verify_result *result;
	struct evidence_reader reader;
	struct evidence_statement statement;
	struct tpms_public ak; /* the statement's; once check_ak() is past, the enrolled one */
	struct tpms_attest quote;
	struct tpms_attest kept; /* the kept quote's, if there is one */

	const char *line; /* the record read last; NULL: there are no more */
	size_t line_len;
	struct replay replay;
	struct diagnosis diagnosis;
	struct verification_epoch epoch; /* in force */
	uint64_t reset; /* the last epoch that began with a reset PCR; 0: none */
	struct verification_break broken;
	uint64_t mended; /* the first break that a reset has ended, */
	uint64_t mended_last; /* and the last record before the reset */
	uint64_t kept_first; /* the records that the kept quote proves */
	uint64_t kept_last; /* 0: none */
	enum verify_reason kept_fault; /* at its record the replay was not that */
	uint64_t matched; /* the last record after which the PCR had the values signed; 0: none */
	enum verify_reason
		after_fault; /* what was proven last is shown again, and is not what it was */
	bool has_log_id;
	uint64_t shorter; /* the epoch by which the log had ended before what was proven; 0: none */
	uint64_t cleared; /* the last epoch after what was proven that TPM2_Clear began; 0: none */
	uint64_t other_log; /* the record that is of another log; 0: none */
	uint64_t backwards; /* where the PCR went on and the counters did not; 0: nowhere */
	enum verify_reason backwards_reason;
	uint64_t other_trim; /* the trim that names another line than the kept quote; 0: none */
};

/*
 * The checks return whether to go on. Where not, one of the first two has written the result: they
 * return false.
 */
[[gnu::format(printf, 3, 4)]] bool verification_conclude(
	struct verification *v, enum verify_reason reason, const char *format, ...);
bool verification_fail(struct verification *v, int err);
[[gnu::format(printf, 2, 3)]] void verification_note(
	struct verification *v, const char *format, ...);

/* Read the next record's line into v->line. */
bool verification_read(struct verification *v);

/* ---- verify_kept.c: what is proven of a log besides its end ---- */

bool check_kept(struct verification *v);

/* The kept quote is of the record before the first: the log goes on from it. */
bool is_kept_start(const struct verification *v);

/* The line in the place that the kept quote is of. To be called after every line. */
void verification_meet_kept(struct verification *v, const struct replay_line *line);

/* An epoch, before its counters are in force; lead is of the records before it. */
void verification_meet_epoch(struct verification *v, const struct replay_line *line,
	const struct verification_lead *lead);
void verification_meet_foreign(struct verification *v, const struct replay_line *line);

/*
 * What is proven otherwise than by the evidence's quote, as sentences with a blank before each, cut
 * to size; empty where nothing is. Returns the last record of it, or 0.
 */
uint64_t verification_explain_proven(const struct verification *v, char *ret_text, size_t size);

bool check_history(struct verification *v);

/* ---- the checks of verify_log.c, in their order ---- */

/* The log goes on from what was proven before. */
bool is_continued(const struct verification *v);

bool check_start(struct verification *v);
bool follow_log(struct verification *v);
bool check_replay(struct verification *v);
/* check_history() */
bool check_records(struct verification *v);
bool check_epoch(struct verification *v);

/* ---- verify_after.c ---- */

/* The record that was proven last, where it is shown again. To be called after every line. */
void verification_meet_after(struct verification *v, const struct replay_line *line);

bool check_memory(struct verification *v);

#endif
