/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/quotes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/quote.h"
#include "attest/merkle.h"

struct quotes {
	struct quotes_challenge *waiting; /* room for max */
	size_t count;
	struct quotes_challenge *answering; /* likewise: taken out of waiting */
	size_t answering_count;
	size_t max;
	struct merkle_hash *leaves; /* likewise */
	void (*wake)(void *arg);
	void *arg;
};

struct quotes *quotes_new(size_t max, void (*wake)(void *arg), void *arg)
{
	struct quotes *quotes = calloc(1, sizeof(*quotes));

	if (!quotes)
		return NULL;
	*quotes = (struct quotes){
		.waiting = calloc(max, sizeof(*quotes->waiting)),
		.answering = calloc(max, sizeof(*quotes->answering)),
		.leaves = calloc(max, sizeof(*quotes->leaves)),
		.max = max,
		.wake = wake,
		.arg = arg,
	};
	if (!quotes->waiting || !quotes->answering || !quotes->leaves) {
		quotes_free(quotes);
		return NULL;
	}
	return quotes;
}

void quotes_free(struct quotes *quotes)
{
	if (!quotes)
		return;
	free(quotes->waiting);
	free(quotes->answering);
	free(quotes->leaves);
	free(quotes);
}

int quotes_put(struct quotes *quotes, const struct quotes_challenge *challenge)
{
	if (quotes->count == quotes->max)
		return -EBUSY;
	quotes->waiting[quotes->count++] = *challenge;
	if (quotes->count == 1)
		quotes->wake(quotes->arg);
	return 0;
}

void quotes_drop(struct quotes *quotes, const void *owner)
{
	size_t kept = 0;

	for (size_t i = 0; i < quotes->count; i++)
		if (quotes->waiting[i].owner != owner)
			quotes->waiting[kept++] = quotes->waiting[i];
	quotes->count = kept;
	/* Their leaves are in the tree, so they keep their places. */
	for (size_t i = 0; i < quotes->answering_count; i++)
		if (quotes->answering[i].owner == owner)
			quotes->answering[i].answer = NULL;
}

/* ---- answering ---- */

/* Those that begin at the same place are neighbours. */
static int by_place(const void *one_ptr, const void *other_ptr)
{
	const struct quotes_challenge *one = one_ptr, *other = other_ptr;

	if (one->near != other->near)
		return one->near ? 1 : -1;
	return (one->since > other->since) - (one->since < other->since);
}

static int grow_tree(struct quotes *quotes, struct merkle *ret_tree)
{
	int err = 0;

	for (size_t i = 0; i < quotes->answering_count && !err; i++)
		err = merkle_leaf_attest(quotes->answering[i].nonce, quotes->answering[i].binding,
			&quotes->leaves[i]);
	return err ? err : merkle_init(ret_tree, quotes->leaves, quotes->answering_count);
}

static int sign(struct measurer *measurer, const struct merkle *tree, uint64_t *ret_behind,
	struct tpm_quote *ret_quote, char error[static MEASURER_TEXT_MAX])
{
	int err = quote_settle(measurer, ret_behind, error);

	return err ? err : quote_sign(measurer, merkle_root(tree)->sha256, ret_quote, error);
}

static void refuse_all(struct quotes *quotes, int err, const char *error)
{
	for (size_t i = 0; i < quotes->answering_count; i++) {
		const struct quotes_challenge *challenge = &quotes->answering[i];

		if (challenge->answer)
			challenge->answer(challenge, err, NULL, error);
	}
}

static void add_quote(const struct tpm_quote *quote, struct evidence_statement *statement)
{
	statement->quote_len = quote->attest_len;
	memcpy(statement->quote, quote->attest, quote->attest_len);
	statement->signature_len = quote->signature_len;
	memcpy(statement->signature, quote->signature, quote->signature_len);
}

/* Each its own statement; one cut for all that begin at the same place. */
static void answer_all(struct quotes *quotes, struct measurer *measurer, const struct merkle *tree,
	const struct tpm_quote *quote, uint64_t behind)
{
	struct evidence_statement statement;
	const struct quotes_challenge *cut = NULL;
	char error[MEASURER_TEXT_MAX];
	int err = 0;

	for (size_t i = 0; i < quotes->answering_count; i++) {
		const struct quotes_challenge *challenge = &quotes->answering[i];

		if (!challenge->answer)
			continue;
		if (!cut || by_place(cut, challenge)) {
			err = quote_cut(
				measurer, challenge->since, challenge->near, &statement, error);
			if (!err)
				add_quote(quote, &statement);
			cut = challenge;
		}
		if (err) {
			challenge->answer(challenge, err, NULL, error);
			continue;
		}
		memcpy(statement.nonce, challenge->nonce, SHA256_LEN);
		memcpy(statement.binding, challenge->binding, SHA256_LEN);
		statement.index = i;
		statement.count = quotes->answering_count;
		statement.path_len = merkle_path(tree, i, statement.path);
		statement.behind = behind;
		challenge->answer(challenge, 0, &statement, "");
	}
}

static void merkle_donep(struct merkle *tree)
{
	merkle_done(tree);
}

void quotes_answer(struct quotes *quotes, struct measurer *measurer)
{
	[[gnu::cleanup(merkle_donep)]] struct merkle tree = {};
	struct quotes_challenge *taken = quotes->waiting;
	char error[MEASURER_TEXT_MAX] = "out of memory";
	struct tpm_quote quote;
	uint64_t behind;
	int err;

	if (!quotes->count)
		return;
	quotes->waiting = quotes->answering;
	quotes->answering = taken;
	quotes->answering_count = quotes->count;
	quotes->count = 0;
	qsort(taken, quotes->answering_count, sizeof(*taken), by_place);
	err = grow_tree(quotes, &tree);
	if (!err)
		err = sign(measurer, &tree, &behind, &quote, error);
	/* Extended by somebody else just now: that is recorded by the second try, and proven. */
	if (err == -ESTALE)
		err = sign(measurer, &tree, &behind, &quote, error);
	if (err)
		refuse_all(quotes, err, error);
	else
		answer_all(quotes, measurer, &tree, &quote, behind);
	quotes->answering_count = 0;
}
