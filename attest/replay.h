/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Replay: what a PCR must hold after a log, computed from the log's lines alone.
 *
 * A line is hashed as it is, whether it means anything or not; then what it says of itself and of
 * the line before is compared with where it stands, and the first contradiction of each kind is
 * kept. So a verifier can compare the values first and the lines' own word afterwards.
 */
#ifndef ATTEST_REPLAY_H
#define ATTEST_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/bank.h"
#include "bpf/line.h"
#include "bpf/record.h"

/* What an epoch's base is, by the lines before it. */
enum replay_base {
	REPLAY_BASE_RESET, /* zero, or as pinned: the PCR began anew */
	REPLAY_BASE_RUNNING, /* what those lines lead to: the PCR went on */
	REPLAY_BASE_UNEXPLAINED, /* neither: somebody else had extended it */
};

/* One line, as replay sees it. */
struct replay_line {
	uint64_t place; /* the sequence number that belongs here */
	uint8_t sha256[SHA256_LEN];
	bool is_record; /* head is set: the line keeps to the grammar */
	struct record_head head;
	uint64_t program_id; /* as in struct record_brief, both */
	enum record_verdict verdict;
	bool is_epoch; /* epoch and base are set */
	struct record_epoch_facts epoch;
	enum replay_base base;
	struct line_error error; /* where it is no record */
	/* Of the lines up to it that were not extended themselves, each named by the next, the
	 * first; 0: it was extended. */
	uint64_t run;
	/* Of such lines right before it that it does not name, so that nothing covers them, the
	 * first; 0: there are none. */
	uint64_t uncovered;
};

/* Contradictions, in the order in which a verifier asks for them. */
enum replay_check {
	REPLAY_GRAMMAR, /* a line is no record */
	REPLAY_PREV, /* a record does not name the sha256 of the line before it */
	REPLAY_SEQ, /* a record's number is not that of its place */
	REPLAY_UNEXTENDED, /* a record that must be extended itself says that it was not */
	REPLAY_CHECK_COUNT,
};

struct replay_fault {
	bool found;
	uint64_t place;
	char what[224]; /* a clause for people, the record's number in it */
};

struct replay {
	bank_set pinned_banks; /* what else than zero an epoch may begin with; 0: nothing */
	struct bank_values pinned;
	bank_set banks; /* of the epoch in force */
	struct bank_values values; /* after the lines so far */
	uint64_t place; /* of the next line */
	bool prev_known;
	uint8_t prev[SHA256_LEN]; /* of the line before the next one */
	uint64_t extended; /* place of the last line that was extended; 0: none yet */
	uint64_t run; /* of the line before the next one, as in struct replay_line */
	uint64_t uncovered; /* the first of all, likewise */
	struct replay_fault faults[REPLAY_CHECK_COUNT];
};

/*
 * Begin before the record `first`, with the PCR at values in these banks; with no banks where only
 * an epoch record may come first. The caller may set pinned then.
 *
 * prev   sha256 of the line before; NULL if it is not known, and then the first line's word for it
 *        is not looked at.
 */
void replay_init(struct replay *replay, uint64_t first, bank_set banks,
	const struct bank_values *values, const uint8_t *prev);

/*
 * Take the next line, len bytes without the newline.
 *
 * A record that says extend:false is not extended itself: the next one that is covers it through
 * prev. A line that is no record is taken for one that was extended. At an epoch record the values
 * begin again at its base.
 *
 * Returns 0, or -EIO when OpenSSL refuses: then the replay is of no more use.
 */
[[nodiscard]] int replay_next(
	struct replay *replay, const char *line, size_t len, struct replay_line *ret_line);

/* Whether the values of every bank in force are these, in these banks. */
bool replay_is_at(const struct replay *replay, bank_set banks, const struct bank_values *values);

/* "ab12cd34...": enough of a digest for people to find it. */
struct replay_short {
	char text[2 * 4 + sizeof("...")];
};
struct replay_short replay_shorten(const uint8_t *digest);

/* "2026-01-02T03:04:05Z" (RFC 3339) of nanoseconds since 1970, UTC. */
struct replay_instant {
	char text[sizeof("2554-07-21T23:34:33Z")];
};
struct replay_instant replay_instant(uint64_t time_ns);

#endif
