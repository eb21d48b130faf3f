/* SPDX-License-Identifier: BSD-2-Clause */
/* Challenges that wait: one quote answers them all, and every path leads to it. The measurer is made up here. */
#include "agent/quotes.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/quote.h"
#include "attest/merkle.h"

enum { LAST = 50, ASKERS_MAX = 2000 };

/* Who asked, and what came. */
struct asker {
	unsigned answers;
	int err;
	struct evidence_statement statement;
	char error[MEASURER_TEXT_MAX];
};

struct fixture {
	struct quotes *quotes;
	unsigned wakes;
	struct asker *askers;
	uint32_t drop_at; /* an asker that drops itself and the next when it is answered */
};

static struct {
	unsigned settles, quotes, cuts;
	int settle_err, stale;
	uint8_t qualifying[SHA256_LEN];
} tpm;

int quote_settle(
	struct measurer *measurer, uint64_t *ret_behind, char error[static MEASURER_TEXT_MAX])
{
	(void)measurer;
	tpm.settles++;
	if (tpm.settle_err)
		strcpy(error, "not now");
	else
		*ret_behind = 7;
	return tpm.settle_err;
}

int quote_sign(struct measurer *measurer, const uint8_t qualifying[static SHA256_LEN],
	struct tpm_quote *ret_quote, char error[static MEASURER_TEXT_MAX])
{
	(void)measurer;
	tpm.quotes++;
	if (tpm.stale) {
		tpm.stale--;
		strcpy(error, "the PCR does not hold still");
		return -ESTALE;
	}
	memcpy(tpm.qualifying, qualifying, SHA256_LEN);
	*ret_quote = (struct tpm_quote){ .attest_len = 3, .signature_len = 2 };
	return 0;
}

int quote_cut(struct measurer *measurer, uint64_t since, bool near,
	struct evidence_statement *ret_statement, char error[static MEASURER_TEXT_MAX])
{
	(void)measurer;
	tpm.cuts++;
	if (since > LAST) {
		strcpy(error, "beyond the log");
		return -EINVAL;
	}
	*ret_statement = (struct evidence_statement){
		.since = since, .first = near ? 1 : since + 1, .last = LAST
	};
	return 0;
}

static void wake(void *arg)
{
	struct fixture *f = arg;

	f->wakes++;
}

static int fixture_new(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->askers = calloc(ASKERS_MAX, sizeof(*f->askers));
	f->quotes = quotes_new(ASKERS_MAX / 2, wake, f);
	assert_true(f->askers && f->quotes);
	f->drop_at = UINT32_MAX;
	memset(&tpm, 0, sizeof(tpm));
	*state = f;
	return 0;
}

static int fixture_free(void **state)
{
	struct fixture *f = *state;

	quotes_free(f->quotes);
	free(f->askers);
	free(f);
	return 0;
}

static void answered(const struct quotes_challenge *challenge, int err,
	const struct evidence_statement *statement, const char *error)
{
	struct fixture *f = challenge->owner;
	struct asker *asker = &f->askers[challenge->id];

	asker->answers++;
	asker->err = err;
	snprintf(asker->error, sizeof(asker->error), "%s", error);
	assert_true(!err == !!statement);
	if (statement)
		asker->statement = *statement;
	if (challenge->id == f->drop_at)
		quotes_drop(f->quotes, f);
}

static void nonce_of(uint32_t id, uint8_t ret_nonce[static SHA256_LEN])
{
	memset(ret_nonce, 0, SHA256_LEN);
	memcpy(ret_nonce, &id, sizeof(id));
}

static int ask(struct fixture *f, uint32_t id, uint64_t since, bool near)
{
	struct quotes_challenge challenge = {
		.since = since, .near = near, .answer = answered, .owner = f, .id = id
	};

	nonce_of(id, challenge.nonce);
	memset(challenge.binding, 0xb1, sizeof(challenge.binding));
	return quotes_put(f->quotes, &challenge);
}

/* Answered once, with a statement whose path leads from this challenge to what the TPM has signed. */
static void assert_answered(struct fixture *f, uint32_t id, uint64_t count)
{
	const struct asker *asker = &f->askers[id];
	const struct evidence_statement *statement = &asker->statement;
	uint8_t nonce[SHA256_LEN], binding[SHA256_LEN];
	struct merkle_hash leaf, root;

	nonce_of(id, nonce);
	memset(binding, 0xb1, sizeof(binding));
	assert_int_equal(asker->answers, 1);
	assert_int_equal(asker->err, 0);
	assert_memory_equal(statement->nonce, nonce, sizeof(nonce));
	assert_memory_equal(statement->binding, binding, sizeof(binding));
	assert_int_equal(statement->count, count);
	assert_int_equal(statement->behind, 7);
	assert_int_equal(statement->quote_len, 3);
	assert_int_equal(merkle_leaf_attest(nonce, binding, &leaf), 0);
	assert_int_equal(merkle_path_root(&leaf, statement->index, statement->count,
				 statement->path, statement->path_len, &root),
		0);
	assert_memory_equal(root.sha256, tpm.qualifying, SHA256_LEN);
}

/* ---- tests ---- */

static void a_lone_challenge_is_a_tree_of_one(void **state)
{
	struct fixture *f = *state;

	quotes_answer(f->quotes, NULL);
	assert_int_equal(tpm.settles, 0);
	assert_int_equal(ask(f, 0, 3, false), 0);
	assert_int_equal(f->wakes, 1);
	quotes_answer(f->quotes, NULL);
	assert_answered(f, 0, 1);
	assert_int_equal(f->askers[0].statement.path_len, 0);
	assert_int_equal(f->askers[0].statement.first, 4);
	assert_int_equal(tpm.quotes, 1);
}

static void one_quote_answers_all_that_wait(void **state)
{
	struct fixture *f = *state;

	for (uint32_t count = 1; count <= 65; count++) {
		memset(&tpm, 0, sizeof(tpm));
		memset(f->askers, 0, count * sizeof(*f->askers));
		f->wakes = 0;
		for (uint32_t id = 0; id < count; id++)
			assert_int_equal(ask(f, id, 0, false), 0);
		assert_int_equal(f->wakes, 1);
		quotes_answer(f->quotes, NULL);
		for (uint32_t id = 0; id < count; id++)
			assert_answered(f, id, count);
		assert_int_equal(tpm.settles, 1);
		assert_int_equal(tpm.quotes, 1);
		assert_int_equal(tpm.cuts, 1);
	}
}

static void each_begins_where_it_asked_and_one_cut_does_for_all_that_begin_there(void **state)
{
	struct fixture *f = *state;

	for (uint32_t id = 0; id < 100; id++)
		assert_int_equal(ask(f, id, id % 10, id % 20 >= 10), 0);
	quotes_answer(f->quotes, NULL);
	assert_int_equal(tpm.cuts, 20);
	for (uint32_t id = 0; id < 100; id++) {
		assert_answered(f, id, 100);
		assert_int_equal(f->askers[id].statement.since, id % 10);
		assert_int_equal(f->askers[id].statement.first, id % 20 >= 10 ? 1 : id % 10 + 1);
	}
}

static void one_that_asks_beyond_the_log_is_refused_alone(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ask(f, 0, LAST + 1, false), 0);
	assert_int_equal(ask(f, 1, LAST, false), 0);
	assert_int_equal(ask(f, 2, LAST + 1, false), 0);
	quotes_answer(f->quotes, NULL);
	assert_answered(f, 1, 3);
	for (uint32_t id = 0; id <= 2; id += 2) {
		assert_int_equal(f->askers[id].answers, 1);
		assert_int_equal(f->askers[id].err, -EINVAL);
		assert_string_equal(f->askers[id].error, "beyond the log");
	}
}

static void no_more_wait_than_there_is_room_for(void **state)
{
	struct fixture *f = *state;

	for (uint32_t id = 0; id < ASKERS_MAX / 2; id++)
		assert_int_equal(ask(f, id, 0, true), 0);
	assert_int_equal(ask(f, ASKERS_MAX - 1, 0, true), -EBUSY);
	quotes_answer(f->quotes, NULL);
	for (uint32_t id = 0; id < ASKERS_MAX / 2; id++)
		assert_answered(f, id, ASKERS_MAX / 2);
	assert_int_equal(f->askers[ASKERS_MAX - 1].answers, 0);
	assert_int_equal(ask(f, ASKERS_MAX - 1, 0, true), 0);
	assert_int_equal(f->wakes, 2);
	quotes_answer(f->quotes, NULL);
	assert_answered(f, ASKERS_MAX - 1, 1);
}

static void who_went_away_is_not_answered(void **state)
{
	struct fixture *f = *state;
	struct quotes_challenge other = { .answer = answered, .owner = &tpm };

	assert_int_equal(ask(f, 0, 0, false), 0);
	assert_int_equal(quotes_put(f->quotes, &other), 0);
	assert_int_equal(ask(f, 1, 0, false), 0);
	quotes_drop(f->quotes, &tpm);
	quotes_answer(f->quotes, NULL);
	assert_answered(f, 0, 2);
	assert_answered(f, 1, 2);
	assert_int_equal(ask(f, 2, 0, false), 0);
	quotes_drop(f->quotes, f);
	quotes_answer(f->quotes, NULL);
	assert_int_equal(tpm.quotes, 1);
	assert_int_equal(f->askers[2].answers, 0);
}

static void who_goes_away_while_others_are_answered_is_not_either(void **state)
{
	struct fixture *f = *state;
	unsigned answers = 0;

	f->drop_at = 0;
	for (uint32_t id = 0; id < 3; id++)
		assert_int_equal(ask(f, id, id, false), 0);
	quotes_answer(f->quotes, NULL);
	for (uint32_t id = 0; id < 3; id++)
		answers += f->askers[id].answers;
	assert_int_equal(answers, 1);
}

static void without_a_quote_all_are_told_why(void **state)
{
	struct fixture *f = *state;

	tpm.settle_err = -EAGAIN;
	assert_int_equal(ask(f, 0, 0, false), 0);
	assert_int_equal(ask(f, 1, 1, true), 0);
	quotes_answer(f->quotes, NULL);
	for (uint32_t id = 0; id < 2; id++) {
		assert_int_equal(f->askers[id].answers, 1);
		assert_int_equal(f->askers[id].err, -EAGAIN);
		assert_string_equal(f->askers[id].error, "not now");
	}
	assert_int_equal(tpm.quotes, 0);
}

static void a_pcr_that_moved_is_quoted_once_more(void **state)
{
	struct fixture *f = *state;

	tpm.stale = 1;
	assert_int_equal(ask(f, 0, 0, false), 0);
	quotes_answer(f->quotes, NULL);
	assert_answered(f, 0, 1);
	assert_int_equal(tpm.settles, 2);
	tpm.stale = 2;
	assert_int_equal(ask(f, 1, 0, false), 0);
	quotes_answer(f->quotes, NULL);
	assert_int_equal(f->askers[1].err, -ESTALE);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, fixture_new, fixture_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_lone_challenge_is_a_tree_of_one),
		TEST(one_quote_answers_all_that_wait),
		TEST(each_begins_where_it_asked_and_one_cut_does_for_all_that_begin_there),
		TEST(one_that_asks_beyond_the_log_is_refused_alone),
		TEST(no_more_wait_than_there_is_room_for),
		TEST(who_went_away_is_not_answered),
		TEST(who_goes_away_while_others_are_answered_is_not_either),
		TEST(without_a_quote_all_are_told_why),
		TEST(a_pcr_that_moved_is_quoted_once_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
