/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { MS = 1000000 };

static struct window window;

static int begin(void **)
{
	memset(&window, 0, sizeof(window));
	return 0;
}

static int end(void **)
{
	window_done(&window);
	return 0;
}

static void durable(uint64_t seq, uint64_t since_ns, uint64_t now_ns)
{
	window_durable(&window, &(struct window_load){ seq, since_ns }, now_ns);
}

static uint64_t total(const struct durations *durations)
{
	uint64_t sum = 0;

	for (size_t i = 0; i <= DURATION_BOUNDS; i++)
		sum += durations->counts[i];
	return sum;
}

static void bounds_rise(void **)
{
	for (size_t i = 1; i < DURATION_BOUNDS; i++)
		assert_true(duration_bound_us(i) > duration_bound_us(i - 1));
}

static void a_duration_counts_where_it_still_fits(void **)
{
	struct durations durations = {};

	durations_add(&durations, 10000);
	assert_int_equal(durations.counts[0], 1);
	durations_add(&durations, 10001);
	assert_int_equal(durations.counts[1], 1);
	durations_add(&durations, 100000000000);
	assert_int_equal(durations.counts[DURATION_BOUNDS - 1], 1);
	durations_add(&durations, 100000000001);
	assert_int_equal(durations.counts[DURATION_BOUNDS], 1);
	assert_int_equal(durations.sum_us, 10 + 10 + 2 * 100000000ULL);
}

static void the_window_is_from_the_return_to_each_place(void **)
{
	durable(5, 100 * MS, 103 * MS);
	assert_int_equal(window.durable.sum_us, 3000);
	assert_int_equal(total(&window.extended), 0);
	assert_int_equal(window_oldest_ns(&window, 150 * MS), 50 * MS);
	window_extended(&window, 4, 160 * MS);
	assert_int_equal(total(&window.extended), 0);
	window_extended(&window, 5, 160 * MS);
	assert_int_equal(window.extended.sum_us, 60000);
	assert_int_equal(window_oldest_ns(&window, 170 * MS), 0);
}

/* A line that is not extended itself counts with the next one that is. */
static void one_extend_may_be_of_many(void **)
{
	for (uint64_t seq = 1; seq <= 1000; seq++)
		durable(seq, seq * MS, seq * MS);
	window_extended(&window, 700, 2000 * MS);
	assert_int_equal(total(&window.extended), 700);
	assert_int_equal(window_oldest_ns(&window, 2000 * MS), (2000 - 701) * (uint64_t)MS);
	for (uint64_t seq = 1001; seq <= 3000; seq++) /* around the end of the ring, and larger */
		durable(seq, seq * MS, seq * MS);
	window_extended(&window, 3000, 4000ULL * MS);
	assert_int_equal(total(&window.extended), 3000);
	assert_int_equal(window.count, 0);
}

static void more_than_there_is_room_for_are_not_counted(void **)
{
	for (uint64_t seq = 1; seq <= WINDOW_WAITING_MAX + 10; seq++)
		durable(seq, 1, 1);
	window_extended(&window, UINT64_MAX, 2);
	assert_true(total(&window.extended) <= WINDOW_WAITING_MAX);
	assert_int_equal(total(&window.durable), WINDOW_WAITING_MAX + 10);
	durable(WINDOW_WAITING_MAX + 11, 1, 1);
	assert_int_equal(window.count, 1);
}

static void what_is_never_extended_is_forgotten(void **)
{
	durable(1, 1, 1);
	window_forget(&window);
	window_extended(&window, 2, 1000);
	assert_int_equal(total(&window.extended), 0);
	assert_int_equal(window_oldest_ns(&window, 1000), 0);
}

static void a_clock_that_is_behind_makes_nothing_of_it(void **)
{
	durable(1, 2000, 1000);
	assert_int_equal(window.durable.sum_us, 0);
	assert_int_equal(window.durable.counts[0], 1);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bounds_rise),
		TEST(a_duration_counts_where_it_still_fits),
		TEST(the_window_is_from_the_return_to_each_place),
		TEST(one_extend_may_be_of_many),
		TEST(more_than_there_is_room_for_are_not_counted),
		TEST(what_is_never_extended_is_forgotten),
		TEST(a_clock_that_is_behind_makes_nothing_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
