/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A round: ask one machine for evidence, judge it by what is remembered of the machine and by policies,
 * and remember what came of it.
 *
 * Everything that a round finds is remembered in one transaction, and nothing where it fails. Memory
 * does not grow with the log; what is new of it goes through an unlinked temporary file.
 */
#ifndef ATTEST_ROUND_H
#define ATTEST_ROUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "attest/memory.h"
#include "attest/policy.h"
#include "attest/verify.h"

enum { ROUND_REASON_MAX = 32 };

/* Who is asked: the functions of attest/client.h, or a test's. */
struct round_peer {
	void *arg;
	int (*request)(void *arg, const char *path, const char *json, FILE *into);
	const uint8_t *(*binding)(void *arg);
	const char *(*errmsg)(void *arg);
};

struct client;
struct round_peer round_peer_client(struct client *client);

/*
 * machine  its name in the memory.
 * policy   NULL: only what the evidence itself shows is judged, and what is remembered.
 */
struct round_options {
	struct memory *memory;
	const char *machine;
	struct policy *policy;
	struct round_peer peer;
};

/*
 * reason      one of verify_reason_name(), or of a round's own: docs/verifier.md, "Reasons".
 * evidence    what verify_evidence() said, with the round's notes; the reason VERIFY_FAILED where there
 *             was no evidence to look at (has_evidence).
 * last        the record up to which this machine's log is proven; 0: none.
 * violations  those remembered, open ones first; the round's, as is stream.
 * stream      the evidence as it came; NULL: none.
 */
struct round_result {
	enum verify_verdict verdict;
	char reason[ROUND_REASON_MAX];
	char explanation[VERIFY_TEXT_MAX];
	struct machine machine;
	bool has_evidence;
	struct verify_result evidence;
	uint64_t last;
	struct memory_violation *violations;
	size_t violation_count;
	size_t open_count;
	bool is_remembered; /* false: the memory failed, and the next round knows nothing of this one */
	bool has_before;
	struct memory_verdict before; /* the verdict of the round before */
	FILE *stream;
};

/*
 * Returns 0, whatever the verdict; -ENOENT where the machine is not enrolled, and nothing is written.
 * round_result_done() is due after 0. What fails here rather than there is VERIFY_UNKNOWN.
 */
[[nodiscard]] int round_run(const struct round_options *options, struct round_result *ret_result);
void round_result_done(struct round_result *result);

/*
 * Remember that a round was not survived by whoever had it: unknown, "crashed". As round_run(); what is
 * said is explanation, a sentence.
 */
[[nodiscard]] int round_crashed(struct memory *memory, const char *machine, const char *explanation,
	struct round_result *ret_result);

#endif
