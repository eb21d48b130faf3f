/* SPDX-License-Identifier: BSD-2-Clause */
/* One round under way: what the files of the round share. */
#ifndef ATTEST_ROUND_OWN_H
#define ATTEST_ROUND_OWN_H

#include "attest/round.h"

enum { ROUND_BOOT_ID_MAX = 2 * RECORD_WORD_MAX };

/*
 * A record that policies will ask for in later rounds: of a program that is loaded, of an attachment
 * that has not ended, of an epoch of this boot. It is in the memory, or at these bytes of a file.
 */
struct round_record {
	uint64_t seq;
	FILE *file; /* NULL: in the memory */
	long at;
	size_t len;
	enum record_kind kind;
	uint64_t program_id; /* of an attach; 0: not known */
	bool is_gone;
};

struct round_unload {
	uint64_t program_id;
	uint64_t seq;
};

struct round_records {
	struct round_record *list; /* by seq */
	size_t count, size;
	bool is_partial; /* there were more than MEMORY_LINES_MAX */
	char boot_id[ROUND_BOOT_ID_MAX]; /* of the last epoch; empty: not known */
	struct round_unload *unloads; /* that attachments before them are not yet held against */
	size_t unload_count;
};

/* Records between what was proven and the evidence. */
struct round_gap {
	FILE *file; /* NULL: none */
	uint64_t first, last;
};

/* What policies have found. */
struct round_found {
	struct policy_violation *list;
	size_t count, size;
	bool is_cut; /* there was no memory for all of list */
	int64_t standing; /* all of them that are not of the past, or a negative errno */
	uint64_t past;
	struct policy_violation first_past;
	char error[POLICY_ERROR_MAX];
};

struct round {
	const struct round_options *options;
	struct round_result *result;
	struct memory_proven proven; /* before */
	uint8_t policy_digest[SHA256_LEN];
	uint64_t since;
	bool is_whole; /* the whole epoch is to be judged */
	bool is_judged; /* policies were run */
	bool is_unfinished; /* not to their end, or not all they found is remembered: again, next time */
	uint8_t nonce[SHA256_LEN];
	uint64_t asked_ns;
	FILE *evidence; /* NULL: none came */
	struct round_gap gap;
	uint64_t judged_from; /* the first record that policies judge */
	char unshown[VERIFY_NOTE_MAX]; /* which records were asked for and not shown; empty: none */
	bool is_boot_short; /* some of this boot are among them */
	struct round_records records;
	struct round_found found;
};

enum { ROUND_SECOND_NS = 1000000000 };

[[gnu::format(printf, 4, 5)]] void round_conclude(struct round *round, enum verify_verdict verdict,
	const char *reason, const char *format, ...);
[[gnu::format(printf, 2, 3)]] void round_note(struct round *round, const char *format, ...);

/* Since 1970, UTC. */
uint64_t round_now_ns(void);

/* The evidence proves more than was proven before. */
bool round_is_newer(const struct round *round);

/* The record that this boot began with, of what was proven before and is proven now. */
uint64_t round_epoch_seq(const struct round *round);

/* ---- round_gap.c ---- */

enum round_gap_is { GAP_SHOWN, GAP_MISSING, GAP_FORK, GAP_UNREACHABLE };

/*
 * Get the records between what was proven and the evidence, which is proven, and check that they lead
 * from the one to the other. GAP_FORK: they lead to the evidence and do not come from what was proven.
 * GAP_UNREACHABLE: nothing was answered that says anything of them.
 */
enum round_gap_is round_gap_get(struct round *round);

/* ---- round_judge.c ---- */

/*
 * Run the policies over what is new, or over the whole epoch; and find out what is loaded and attached
 * then. Only after the evidence was proven. Returns 0 or a negative errno of this machine's, found.error
 * its text; what a policy said is in found.
 */
[[nodiscard]] int round_judge(struct round *round);

/* Write to the memory what is loaded and attached. Returns 0, an error of the memory's, -ENOMEM, or -ENODATA
 * where the evidence cannot be read again. */
[[nodiscard]] int round_records_put(struct round *round);

/* ---- round_remember.c ---- */

/*
 * All of it, in a transaction that is open; and conclude, where there was an answer. Returns 0 or an
 * error as round_records_put() does.
 */
[[nodiscard]] int round_remember(struct round *round, bool is_answered);

#endif
