/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Challenges that wait for a quote, local ones and those of the attestation server: one quote answers all
 * that wait. Its qualifying data is the root of a tree whose leaves they are (attest/merkle.h); one alone
 * is a tree of one.
 *
 * There is no timer: while the TPM is busy with one quote, challenges come together for the next.
 */
#ifndef AGENT_QUOTES_H
#define AGENT_QUOTES_H

#include "agent/measurer.h"
#include "attest/evidence.h"

struct quotes;

/* One challenge, and who is told. */
struct quotes_challenge {
	uint8_t nonce[SHA256_LEN];
	uint8_t binding[SHA256_LEN];
	uint64_t since;
	bool near; /* see quote_cut() */

	/*
	 * err 0: the statement, which is gone when this returns; else error is one line of text. It may
	 * drop challenges and put none.
	 */
	void (*answer)(const struct quotes_challenge *challenge, int err,
		const struct evidence_statement *statement, const char *error);
	void *owner;
	uint32_t id; /* the owner's */
};

/*
 * max     of challenges that wait, up to MERKLE_LEAVES_MAX
 * wake    called when the first one waits: quotes_answer() is due when nothing else can be read
 *
 * NULL without memory.
 */
struct quotes *quotes_new(size_t max, void (*wake)(void *arg), void *arg);
void quotes_free(struct quotes *quotes);

/* Let a challenge wait; it is copied. Returns 0, or -EBUSY where no more may. */
[[nodiscard]] int quotes_put(struct quotes *quotes, const struct quotes_challenge *challenge);

/* This owner's challenges are not answered any more. */
void quotes_drop(struct quotes *quotes, const void *owner);

/* Answer all that wait now, with one quote. */
void quotes_answer(struct quotes *quotes, struct measurer *measurer);

#endif
