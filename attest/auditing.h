/* SPDX-License-Identifier: BSD-2-Clause */
/* One history under way: what history.c, history_epoch.c and history_result.c share. */
#ifndef ATTEST_AUDITING_H
#define ATTEST_AUDITING_H

#include "attest/diagnose.h"
#include "attest/history.h"
#include "attest/replay.h"
#include "attest/tpms.h"

enum {
	HISTORY_WINDOW = 3, /* lines that a diagnosis needs: the one at fault, and two before */
	HISTORY_BLAMES_MAX = 16,
	HISTORY_DOUBTS_MAX = 16,
};

/* What is wrong with a whole epoch. */
struct history_fault {
	const char *reason; /* NULL: nothing */
	char text[HISTORY_TEXT_MAX];
};

/* The epoch in force. Of counters and clock, what the log says last. */
struct history_epoch {
	uint64_t seq; /* 0: begun before the first record */
	bool is_known; /* the counters are */
	uint32_t reset_count;
	uint32_t restart_count;
	uint64_t clock_ms;
	bool is_other_ak; /* not the one that was given */
	struct history_fault fault;
};

struct history {
	struct history_options options;
	struct history_result result;
	struct history_span *spans;
	size_t span_room;
	int error; /* of span_add(): -ENOMEM */

	struct replay replay;
	bool is_anchored; /* an epoch or a quote vouches for the replay's values */
	struct history_epoch epoch;
	bool has_log_id;
	uint8_t log_id[16];

	/* The records from `open` on are not judged yet; those of them that cannot be right: */
	uint64_t open;
	size_t blame_count;
	struct history_span blames[HISTORY_BLAMES_MAX];
	/* And those that no quote can prove, as they were not extended and nothing covers them. */
	size_t doubt_count;
	struct history_doubt {
		uint64_t first;
		uint64_t last;
	} doubts[HISTORY_DOUBTS_MAX];
	/* Where the lines first did not follow from each other, and what that was. */
	struct replay_fault broken;
	const char *broken_reason;
	bool is_diagnosing;
	struct diagnosis diagnosis;
	size_t line_count; /* since the window was cleared */
	struct replay_line window[HISTORY_WINDOW];
	uint8_t before[HISTORY_WINDOW][BANK_DIGEST_MAX]; /* the sha256 bank before each */

	/* The beginning of a log that was trimmed. */
	uint64_t first; /* the first record; 0: none yet */
	bool first_is_epoch;
	uint8_t first_prev[SHA256_LEN];
	bool has_cut; /* a good quote that was kept after record first - 1: */
	struct evidence_kept cut;
	struct tpms_attest cut_attest;
	uint64_t trim_seq; /* the record that says where the beginning went; 0: none */
	struct record_trim_facts trim;
};

/* history_result.c: add a span, of which the same as before makes the last one longer; text may be
 * that of a blame. What is wrong with memory is kept in history->error. */
void history_span_add(struct history *history, const struct history_span *span);

/* Note that records of those not judged yet cannot be right. */
[[gnu::format(printf, 5, 6)]] void history_blame(struct history *history, uint64_t first,
	uint64_t last, const char *reason, const char *format, ...);

/* Note that what was not extended itself, records first to last, is not covered either. */
void history_doubt(struct history *history, uint64_t first, uint64_t last);

/* Judge the records from `open` to last: those that are blamed or in doubt, and the others as is said here. */
void history_close(struct history *history, uint64_t last, enum history_trust trust,
	const char *reason, const char *why);

/* history_find(), where nothing contradicts but something may be missing. */
[[gnu::format(printf, 4, 5)]] void history_gap(
	struct history *history, uint64_t seq, const char *reason, const char *format, ...);

/* history_epoch.c: what the record taken last says of the TPM. */
int history_take_facts(
	struct history *history, const struct replay_line *line, const char *bytes, size_t len);

/* The counters and the clock of a good quote, against those that the log has there. */
bool history_check_clock(struct history *history, uint64_t seq, const struct tpms_attest *attest);

/* history.c: judge the records up to last without a quote. Returns 0 or -EIO. */
int history_close_unproven(struct history *history, uint64_t last, const char *why);

#endif
