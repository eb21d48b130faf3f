/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a verifier remembers: the machines and their keys, what it has proven of each, what it has asked
 * and not been answered, violations that stay, verdicts. One SQLite file; several processes of one user
 * may use it at a time.
 *
 * It holds no secret. Who can write it can enrol machines and forget what they did.
 *
 * Every function returns 0 (or what its comment says) or a negative errno, of which memory_errmsg() is
 * the text: -EBUSY where another process writes for too long, -EUCLEAN where the file is damaged,
 * -ENOSPC, -EROFS, -ENOMEM, -EIO. After an error nothing of that call is in the file.
 */
#ifndef ATTEST_MEMORY_H
#define ATTEST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/machine.h"
#include "attest/policy.h"
#include "attest/verify.h"

enum {
	MEMORY_BUSY_MS = 10000, /* how long a call waits for another process */
	MEMORY_TEXT_MAX = 256, /* of a word or a comment, with its NUL byte */
	MEMORY_LINES_MAX = 16384, /* remembered of a machine */
	MEMORY_VERDICTS_MAX = 1000, /* of a machine; the oldest go */
	MEMORY_NONCE_S = 3600, /* how long an answer may take */
	MEMORY_VERDICT_S = 400 * 24 * 3600,
};

struct memory;

/*
 * Open, made with mode 0600 if it is not there. The folder must be.
 *
 * Returns 0, or a negative errno: -EMEDIUMTYPE for another kind of file or another version of it,
 * -EINVAL for a path that SQLite would not take for one. ret_memory is written either way, NULL without
 * memory.
 */
[[nodiscard]] int memory_open(const char *path, struct memory **ret_memory);
void memory_free(struct memory *memory);
void memory_freep(struct memory **memory);
const char *memory_errmsg(const struct memory *memory);

/*
 * A machine. put: -EEXIST where that name is enrolled with other keys and replace is false. With the
 * same keys the rest is changed and everything that was remembered stays; replaced, it goes.
 */
[[nodiscard]] int memory_machine_put(
	struct memory *memory, const struct machine *machine, bool replace);

/* -ENOENT. */
[[nodiscard]] int memory_machine_get(
	struct memory *memory, const char *name, struct machine *ret_machine);

/* In the order of their names, until fn returns something else than 0, which is returned then. fn may
 * call any function of the memory. */
[[nodiscard]] int memory_machines_each(
	struct memory *memory, int (*fn)(void *arg, const struct machine *machine), void *arg);

/* Forget a machine and all that was remembered of it: -ENOENT. */
[[nodiscard]] int memory_machine_remove(struct memory *memory, const char *name);

/* ---- what was proven ---- */

/*
 * The end of what was proven of a machine.
 *
 * round      how many rounds have been committed.
 * epoch_seq  the epoch record since which the PCR was not reset: what follows is of the same boot of the
 *            machine, maybe of several kernels of it (kexec).
 * policy     policy_digest() of the policies that have judged everything up to the anchor; zeros: none.
 * is_partial more programs and attachments are in force than are remembered (MEMORY_LINES_MAX): the next
 *            round with something new has to judge the whole epoch.
 */
struct memory_proven {
	uint64_t round;
	bool is_known; /* false: nothing was proven yet, and all but round is zero */
	struct verify_anchor anchor;
	uint64_t epoch_seq;
	uint8_t policy[SHA256_LEN];
	bool is_partial;
};

[[nodiscard]] int memory_proven_get(
	struct memory *memory, const char *machine, struct memory_proven *ret_proven);

/* The record lines remembered of a machine, by seq, until fn returns something else than 0, which is
 * returned then. fn must not write to the memory. */
[[nodiscard]] int memory_lines_each(struct memory *memory, const char *machine,
	int (*fn)(void *arg, uint64_t seq, const char *line, size_t len), void *arg);

/* A challenge, to be stored before it is sent, at now_ns (since 1970, UTC); those that were never
 * answered go with their time. */
[[nodiscard]] int memory_nonce_put(struct memory *memory, const char *machine,
	const uint8_t nonce[static SHA256_LEN], uint64_t now_ns);

/* ---- violations ---- */

enum { MEMORY_VIOLATIONS_MAX = POLICY_VIOLATIONS_MAX }; /* open ones of a machine */

enum memory_source {
	MEMORY_EVIDENCE, /* "evidence": refused, though signed anew; the rule is the reason */
	MEMORY_POLICY, /* "policy" */
};
const char *memory_source_name(enum memory_source source);

/* In force until the machine boots anew, or somebody has acknowledged it. */
struct memory_violation {
	enum memory_source source;
	struct policy_violation what; /* seq 0: of no record */
	uint64_t epoch_seq; /* as in struct memory_proven; 0: not known yet */
	uint64_t found_ns; /* since 1970, UTC; and below */
	uint64_t acked_ns; /* 0: open */
	char acked_by[MEMORY_TEXT_MAX];
	char comment[MEMORY_TEXT_MAX];
};

/* Of a machine, open ones first, then by seq, until fn returns something else than 0, which is
 * returned then. fn must not write to the memory. */
[[nodiscard]] int memory_violations_each(struct memory *memory, const char *machine,
	int (*fn)(void *arg, const struct memory_violation *violation), void *arg);

/* Which violations an operator has acknowledged, and what is remembered of that. */
struct memory_ack {
	bool has_seq;
	uint64_t seq;
	const char *rule; /* NULL: any */
	const char *by;
	const char *comment;
	uint64_t now_ns;
};

/* Returns how many open violations were acknowledged. */
[[nodiscard]] int64_t memory_ack(
	struct memory *memory, const char *machine, const struct memory_ack *ack);

/* ---- verdicts ---- */

struct memory_verdict {
	uint64_t time_ns;
	enum verify_verdict verdict;
	char reason[MEMORY_TEXT_MAX]; /* docs/verifier.md, "Reasons" */
	char explanation[VERIFY_TEXT_MAX];
	uint64_t seq; /* the last record that is proven; 0: none */
	enum machine_mode mode;
	enum machine_tpm tpm;
};

/* The newest: -ENOENT where there is none. */
[[nodiscard]] int memory_verdict_last(
	struct memory *memory, const char *machine, struct memory_verdict *ret_verdict);

/* ---- a round: one transaction ---- */

/*
 * Begin to write what a round has found; what follows is in the file after memory_commit() and not
 * before. round is that of memory_proven_get(), by which the round was judged: -ESTALE where another
 * process has committed one meanwhile, or the machine is enrolled no more. After an error of any of
 * these the caller rolls back.
 */
[[nodiscard]] int memory_begin(struct memory *memory, const char *machine, uint64_t round);
[[nodiscard]] int memory_commit(struct memory *memory);

/* Nothing where no transaction is open. */
void memory_rollback(struct memory *memory);

/* The challenge is answered: -ENOENT where it is not outstanding, that is, it was answered before, or
 * was stored more than MEMORY_NONCE_S before now_ns. */
[[nodiscard]] int memory_nonce_take(struct memory *memory, const char *machine,
	const uint8_t nonce[static SHA256_LEN], uint64_t now_ns);

/* What was proven; its round is not looked at. With another epoch_seq violations of earlier boots go. */
[[nodiscard]] int memory_proven_put(
	struct memory *memory, const char *machine, const struct memory_proven *proven);

/* A policy has judged every record from seq on: what it had found there before goes, unless it was
 * acknowledged. */
[[nodiscard]] int memory_violations_drop(
	struct memory *memory, const char *machine, const char *rule, uint64_t seq);

/* One more, unless it is there already: of a policy the same value in the same record, acknowledged or
 * not; of the evidence the same reason, open. Returns 1 where it is open now; 0 where it is
 * acknowledged; -ENOBUFS where there are too many, and the transaction goes on. */
[[nodiscard]] int memory_violation_put(
	struct memory *memory, const char *machine, const struct memory_violation *violation);

[[nodiscard]] int memory_line_put(
	struct memory *memory, const char *machine, uint64_t seq, const char *line, size_t len);
[[nodiscard]] int memory_line_drop(struct memory *memory, const char *machine, uint64_t seq);
[[nodiscard]] int memory_lines_drop(struct memory *memory, const char *machine); /* all */

[[nodiscard]] int memory_verdict_put(
	struct memory *memory, const char *machine, const struct memory_verdict *verdict);

#endif
