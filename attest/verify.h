/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verifier: is this log what that machine's TPM holds, all of it, now?
 *
 * Needs the evidence and the machine's AK; no TPM, no database, no network, no privilege. Anybody
 * may have made the evidence: memory does not grow with it, and nothing costly is done before the
 * signature was found good.
 */
#ifndef ATTEST_VERIFY_H
#define ATTEST_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "attest/ak.h"
#include "attest/evidence.h"
#include "attest/tpms.h"
#include "bpf/bank.h"
#include "bpf/record.h"

enum {
	VERIFY_PCR = 13, /* unless configured otherwise */
	VERIFY_TEXT_MAX = 1024,
	VERIFY_NOTES_MAX = 16,
	VERIFY_NOTE_MAX = 256,
};

enum verify_verdict {
	VERIFY_TRUSTED,
	VERIFY_UNTRUSTED, /* a check failed: reason says which */
	VERIFY_UNKNOWN, /* could not find out */
};

/* "trusted", "untrusted", "unknown". */
const char *verify_verdict_name(enum verify_verdict verdict);

/*
 * The checks, in the order in which they are made; the first that fails is the reason, and nothing
 * after it was looked at. A kept quote in the evidence is refused with the reasons of "what the TPM
 * signed", and the explanation says that it is the kept quote. The words are part of the interface and do not change.
 */
enum verify_reason {
	VERIFY_OK, /* "ok" */

	/* Before anything is believed. */
	VERIFY_MALFORMED, /* "malformed": not evidence, or a bound is exceeded */
	VERIFY_AK_UNKNOWN, /* "ak-unknown": made by another key than the one enrolled */
	VERIFY_AK_ATTRIBUTES, /* "ak-attributes": that key can sign what no TPM has seen */
	VERIFY_SIGNATURE, /* "signature": not that key's, over these bytes */

	/* What the TPM signed. */
	VERIFY_MAGIC, /* "magic": not made by the TPM */
	VERIFY_TYPE, /* "type": not a quote */
	VERIFY_SIGNER, /* "signer": the quote names another key, or one of another hierarchy */
	VERIFY_NONCE, /* "nonce": the answer to another challenge */
	VERIFY_BINDING, /* "binding": the answer to a challenge through another channel */
	VERIFY_QUALIFYING_DATA, /* "qualifying-data": the challenge does not lead to it */
	VERIFY_PCR_SELECTION, /* "pcr-selection": not the PCR asked for in exactly the log's banks */
	VERIFY_PCR_DIGEST, /* "pcr-digest": not the values stated */

	/* The log. Why it does not replay is in the explanation. */
	VERIFY_START, /* "start": nobody vouches for the values before the first record */
	VERIFY_REPLAY, /* "replay": the log does not lead to the values signed */
	VERIFY_BASE, /* "unexplained-base": an epoch began with a PCR that somebody had extended */
	VERIFY_FOREIGN, /* "foreign": likewise, and the log tells of it */
	VERIFY_GRAMMAR, /* "grammar": what was measured is no record */
	VERIFY_PREV, /* "prev": a record does not name the line before it */
	VERIFY_SEQ, /* "seq": numbers with gaps, or not those stated */
	VERIFY_UNEXTENDED, /* "unextended": lines that the PCR does not cover as they must be */
	VERIFY_AK_NAME, /* "ak-name": the epoch was begun with another AK */
	VERIFY_EPOCH_COUNTS, /* "epoch-counts": the TPM was reset or resumed, the log does not say so */
	VERIFY_CLOCK, /* "clock": the quote is older than what it covers, or than what was proven */

	/* Against what was proven before (verify_options.after). */
	VERIFY_OTHER_LOG, /* "other-log": another log's id */
	VERIFY_ROLLBACK, /* "rollback": it ends before the log that was proven, or did once */
	VERIFY_FORK, /* "fork": a record is not the one that was proven */
	VERIFY_RESET_COUNT, /* "reset-count": the TPM counts no more resets than were proven */

	/* VERIFY_UNKNOWN */
	VERIFY_BEHIND, /* "behind": proven, but the agent had more that was not measured yet */
	VERIFY_UNREADABLE, /* "unreadable": the stream failed */
	VERIFY_FAILED, /* "failed": no memory, or OpenSSL refuses an algorithm */
	VERIFY_REASON_COUNT,
};

const char *verify_reason_name(enum verify_reason reason);

/*
 * The end of a log that was proven: what a verifier remembers, and where the next evidence can go
 * on (`since`).
 */
struct verify_anchor {
	uint64_t seq;
	uint8_t sha256[SHA256_LEN]; /* of record seq */
	bank_set banks;
	struct bank_values values; /* of the PCR after it */
	uint8_t log_id[16]; /* zeros: not known */
	bool software; /* as the epoch says */
	uint32_t reset_count;
	uint32_t restart_count;
	uint64_t clock_ms;
};

/*
 * ak       required; from enrolment, never from the evidence.
 * nonce    the challenge, SHA256_LEN bytes; NULL: freshness is not checked, and a note says so.
 * binding  TLS exporter value of our own channel, SHA256_LEN bytes; NULL: not checked, noted.
 * base     PCR values that enrolment has pinned as the beginning of an epoch, in base_banks; NULL:
 *          epochs begin at zero.
 * after    what was proven before; NULL: nothing.
 * record   gets each record as it is read, len bytes without the newline; NULL: nobody does. They are to be
 *          believed only where the result says is_proven.
 * is_statement  look at the statement only: VERIFY_OK is then VERIFY_UNKNOWN, as no record was read.
 * has_gap  the caller looks for records between `after` and the evidence itself: that they were not
 *          shown is not noted.
 */
struct verify_options {
	const struct ak *ak;
	unsigned pcr;
	const uint8_t *nonce;
	const uint8_t *binding;
	bank_set base_banks;
	const struct bank_values *base;
	const struct verify_anchor *after;
	void (*record)(void *arg, uint64_t seq, const char *line, size_t len);
	void *record_arg;
	bool is_statement;
	bool has_gap;
};

/* What the records say, as far as they were read; to be believed only under VERIFY_TRUSTED. */
struct verify_facts {
	uint64_t records;
	uint64_t first;
	uint64_t last;
	bool has_epoch; /* the last epoch record among them: */
	uint64_t epoch_seq;
	uint64_t reset_seq; /* the last among them whose PCR began anew; 0: none */
	char epoch_why[16];
	uint8_t log_id[16]; /* of an epoch or trim, or of what was proven before; else zeros */
	bool software; /* the TPM says that it is one; false proves nothing */
	uint64_t loads[VERDICT_VERIFIED + 1]; /* by enum record_verdict */
	uint64_t kinds[RECORD_KIND_COUNT];
	uint64_t lost; /* things that `lost` records speak of */
	uint64_t clock_ms; /* of the quote */
	uint32_t reset_count;
	uint32_t restart_count;
	bool safe; /* false: the TPM was stopped without warning, its clock may have gone back */
	uint64_t behind; /* not signed, these three */
	enum evidence_state state;
	char agent[EVIDENCE_AGENT_MAX + 1];
};

struct verify_result {
	enum verify_verdict verdict;
	enum verify_reason reason;
	char explanation[VERIFY_TEXT_MAX]; /* sentences for people, printable ASCII */
	size_t note_count; /* what limits the verdict, whatever it is */
	char notes[VERIFY_NOTES_MAX][VERIFY_NOTE_MAX];
	struct verify_facts facts;
	bool is_proven; /* VERIFY_OK and VERIFY_BEHIND: everything up to `end` is */
	struct verify_anchor end;
};

/*
 * Verify the evidence in a stream, to its end.
 *
 * Always writes the whole of ret_result; what went wrong on our own side is VERIFY_UNKNOWN.
 */
void verify_evidence(
	FILE *stream, const struct verify_options *options, struct verify_result *ret_result);

/*
 * Verify a quote that the daemon kept: that the TPM of this AK held these values of this PCR, in
 * exactly these banks, when it was asked for a kept quote under this line's sha256. That the lines
 * up to that one lead to the values is for a replay to show.
 *
 * ak   the enrolled key; NULL: whatever key the quote comes with, so that it is only found whole.
 *
 * Returns VERIFY_OK, and ret_attest is what the TPM said besides: compare its counters with those
 * that the log has there. Otherwise the reason of the first check that failed, or VERIFY_FAILED;
 * ret_text is then a sentence for people, printable ASCII. Each is written in its own case only.
 */
enum verify_reason verify_kept(const struct evidence_kept *kept, const struct ak *ak,
	struct tpms_attest *ret_attest, char ret_text[static VERIFY_TEXT_MAX]);

#endif
