/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/seen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/samples.h"

static void numbers_may_come_in_any_order(void **)
{
	static struct seen seen;

	seen_init(&seen, 5);
	assert_true(seen_has(&seen, 4));
	assert_false(seen_has(&seen, 5));
	seen_add(&seen, 7);
	seen_add(&seen, 5);
	assert_int_equal(seen.low, 6);
	assert_int_equal(seen.end, 8);
	assert_false(seen_has(&seen, 6));
	assert_true(seen_has(&seen, 7));
	assert_false(seen_has(&seen, 8));
	seen_add(&seen, 6);
	assert_int_equal(seen.low, 8);
	assert_int_equal(seen.lost, 0);
}

static void a_number_twice_is_as_good_as_once(void **)
{
	static struct seen seen;

	seen_init(&seen, 0);
	for (int i = 0; i < 3; i++) {
		seen_add(&seen, 0);
		seen_add(&seen, 2);
	}
	assert_int_equal(seen.low, 1);
	assert_int_equal(seen.end, 3);
}

static void holes_that_are_given_up_are_counted_and_named(void **)
{
	static struct seen seen;
	uint64_t first = 99, last = 99;

	seen_init(&seen, 10);
	seen_add(&seen, 11);
	seen_add(&seen, 14);
	seen_add(&seen, 16);
	assert_int_equal(seen_give_up(&seen, 10, &first, &last), 0);
	assert_int_equal(first, 99);
	assert_int_equal(seen_give_up(&seen, 15, &first, &last), 3); /* 10, 12, 13 */
	assert_int_equal(first, 10);
	assert_int_equal(last, 13);
	assert_int_equal(seen.low, 15);
	assert_false(seen_has(&seen, 15));
	assert_true(seen_has(&seen, 16));
}

static void giving_up_beyond_the_end_counts_what_never_came(void **)
{
	static struct seen seen;
	uint64_t first, last;

	seen_init(&seen, 0);
	seen_add(&seen, 1);
	assert_int_equal(seen_give_up(&seen, 1000000, &first, &last), 999999);
	assert_int_equal(first, 0);
	assert_int_equal(last, 999999);
	assert_true(seen_has(&seen, 999999));
	assert_false(seen_has(&seen, 1000000));
}

static void a_number_a_window_ahead_pushes_the_oldest_holes_out(void **)
{
	static struct seen seen;

	seen_init(&seen, 0);
	seen_add(&seen, SEEN_WINDOW - 1);
	assert_int_equal(seen.lost, 0);
	assert_false(seen_has(&seen, 0));
	seen_add(&seen, SEEN_WINDOW);
	assert_int_equal(seen.lost, 1);
	assert_true(seen_has(&seen, 0));
	assert_false(seen_has(&seen, 1));
	seen_add(&seen, 10 * SEEN_WINDOW);
	assert_int_equal(seen.lost, 9 * SEEN_WINDOW + 1 - 2);
	assert_false(seen_has(&seen, 10 * SEEN_WINDOW - 1));
}

/* A number that no counter reaches, from somebody who wrote to the ring. */
static void the_largest_number_leaves_a_set_that_can_be_saved(void **)
{
	static struct seen seen, back;
	static uint8_t bytes[SEEN_SAVED_MAX];
	size_t len;

	for (uint64_t number = UINT64_MAX; number > UINT64_MAX - 3; number--) {
		seen_init(&seen, 7);
		seen_add(&seen, 9);
		seen_add(&seen, number);
		len = seen_save(&seen, bytes);
		assert_in_range(len, 24, SEEN_SAVED_MAX);
		assert_int_equal(seen_restore(&back, bytes, len), len);
		assert_true(seen_has(&back, 9));
	}
}

static void what_is_no_set_is_not_restored(void **)
{
	static struct seen seen, back;
	static uint8_t bytes[SEEN_SAVED_MAX];
	uint64_t head[3] = { 10, 9, 0 };
	size_t len;

	seen_init(&seen, 3);
	seen_add(&seen, 50);
	len = seen_save(&seen, bytes);
	assert_int_equal(seen_restore(&back, bytes, len), len);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(seen_restore(&back, bytes, i), 0);
	memcpy(bytes, head, sizeof(head));
	assert_int_equal(seen_restore(&back, bytes, sizeof(bytes)), 0);
	head[1] = 10 + SEEN_WINDOW + 1;
	memcpy(bytes, head, sizeof(head));
	assert_int_equal(seen_restore(&back, bytes, sizeof(bytes)), 0);
}

/* ---- against a set that has a byte for every number ---- */

enum { MODEL_MAX = 6 * SEEN_WINDOW };

struct model {
	bool has[MODEL_MAX];
	uint64_t low, lost;
};

static uint64_t model_give_up(
	struct model *model, uint64_t limit, uint64_t *ret_first, uint64_t *ret_last)
{
	uint64_t count = 0;

	for (uint64_t i = model->low; i < limit; i++) {
		if (model->has[i])
			continue;
		if (!count++)
			*ret_first = i;
		*ret_last = i;
		model->has[i] = true;
	}
	while (model->low < MODEL_MAX && model->has[model->low])
		model->low++;
	return count;
}

static void model_add(struct model *model, uint64_t number)
{
	uint64_t first, last;

	if (number >= model->low + SEEN_WINDOW)
		model->lost += model_give_up(model, number - SEEN_WINDOW + 1, &first, &last);
	model->has[number] = true;
	while (model->low < MODEL_MAX && model->has[model->low])
		model->low++;
}

static void assert_same(const struct seen *seen, const struct model *model, uint64_t near)
{
	assert_int_equal(seen->lost, model->lost);
	assert_int_equal(seen->low, model->low);
	for (uint64_t i = near < 40 ? 0 : near - 40; i < near + 40 && i < MODEL_MAX; i++)
		assert_int_equal(seen_has(seen, i), model->has[i]);
}

static void model_step(struct sampler *sampler, struct seen *seen, struct model *model)
{
	static uint8_t bytes[SEEN_SAVED_MAX];
	static struct seen back;
	uint64_t reach = sample_below(sampler, 200) ? 60 : SEEN_WINDOW + 1000;
	uint64_t number = model->low + sample_below(sampler, reach);
	uint64_t first[2] = { 0 }, last[2] = { 0 };
	size_t len;

	switch (sample_below(sampler, 16)) {
	case 0:
		assert_int_equal(seen_give_up(seen, number, &first[0], &last[0]),
			model_give_up(model, number, &first[1], &last[1]));
		assert_int_equal(first[0], first[1]);
		assert_int_equal(last[0], last[1]);
		break;
	case 1:
		len = seen_save(seen, bytes);
		assert_int_equal(seen_restore(&back, bytes, len), len);
		*seen = back;
		break;
	default:
		if (number > 30 && sample_below(sampler, 4) == 0)
			number -= 30;
		seen_add(seen, number);
		model_add(model, number);
	}
	assert_same(seen, model, number);
}

static void it_does_what_a_plain_array_does(void **)
{
	static struct seen seen;
	struct model *model = malloc(sizeof(*model));

	assert_non_null(model);
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct sampler *sampler = calloc(1, sizeof(*sampler));

		assert_non_null(sampler);
		sampler->state = seed;
		memset(model, 0, sizeof(*model));
		seen_init(&seen, 0);
		while (model->low < MODEL_MAX - 2 * SEEN_WINDOW)
			model_step(sampler, &seen, model);
		free(sampler);
	}
	free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_may_come_in_any_order),
		cmocka_unit_test(a_number_twice_is_as_good_as_once),
		cmocka_unit_test(holes_that_are_given_up_are_counted_and_named),
		cmocka_unit_test(giving_up_beyond_the_end_counts_what_never_came),
		cmocka_unit_test(a_number_a_window_ahead_pushes_the_oldest_holes_out),
		cmocka_unit_test(the_largest_number_leaves_a_set_that_can_be_saved),
		cmocka_unit_test(what_is_no_set_is_not_restored),
		cmocka_unit_test(it_does_what_a_plain_array_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
