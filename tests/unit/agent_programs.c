/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/programs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/samples.h"

static void an_empty_set_has_nothing(void **)
{
	struct programs programs = {};

	assert_null(programs_find(&programs, 1));
	programs_remove(&programs, 1);
	assert_int_equal(programs.count, 0);
	programs_done(&programs);
	programs_done(&programs);
}

static void a_program_takes_the_place_of_one_with_its_id(void **)
{
	struct programs programs = {};
	struct program_known one = { .id = 7, .seq = 1 }, other = { .id = 7, .seq = 2 };

	assert_int_equal(programs_add(&programs, &one), 0);
	one.seq = 99; /* it was copied */
	assert_int_equal(programs_find(&programs, 7)->seq, 1);
	assert_int_equal(programs_add(&programs, &other), 0);
	assert_int_equal(programs.count, 1);
	assert_int_equal(programs_find(&programs, 7)->seq, 2);
	programs_remove(&programs, 7);
	assert_null(programs_find(&programs, 7));
	assert_int_equal(programs.count, 0);
	programs_done(&programs);
}

static void ids_are_compared_as_unsigned(void **)
{
	struct programs programs = {};
	const uint32_t ids[] = { 0, 1, 0x7fffffff, 0x80000000, 0xffffffff };

	for (size_t i = 0; i < 5; i++)
		assert_int_equal(
			programs_add(&programs, &(struct program_known){ .id = ids[i], .seq = i }),
			0);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(programs_find(&programs, ids[i])->seq, i);
	assert_int_equal(programs.count, 5);
	programs_done(&programs);
}

struct walked {
	uint32_t ids[4];
	size_t count, stop_at;
};

static int walk(void *arg, const struct program_known *program)
{
	struct walked *walked = arg;

	walked->ids[walked->count++] = program->id;
	return walked->count == walked->stop_at ? 7 : 0;
}

static void a_walk_is_in_the_order_of_ids_and_ends_when_told(void **)
{
	struct programs programs = {};
	struct walked walked = {};
	const uint32_t ids[] = { 30, 10, 0x80000000, 20 };

	assert_int_equal(programs_each(&programs, walk, &walked), 0);
	assert_int_equal(walked.count, 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(
			programs_add(&programs, &(struct program_known){ .id = ids[i] }), 0);
	assert_int_equal(programs_each(&programs, walk, &walked), 0);
	assert_memory_equal(
		walked.ids, ((uint32_t[]){ 10, 20, 30, 0x80000000 }), sizeof(walked.ids));
	walked = (struct walked){ .stop_at = 2 };
	assert_int_equal(programs_each(&programs, walk, &walked), 7);
	assert_int_equal(walked.count, 2);
	programs_done(&programs);
}

static void it_does_what_a_plain_array_does(void **)
{
	enum { IDS = 300 };
	struct sampler *sampler = calloc(1, sizeof(*sampler));
	struct programs programs = {};
	uint64_t seqs[IDS] = { 0 };
	size_t count = 0;

	assert_non_null(sampler);
	for (uint64_t seq = 1; seq < 20000; seq++) {
		uint32_t id = (uint32_t)sample_below(sampler, IDS);
		const struct program_known *found = programs_find(&programs, id);

		assert_int_equal(found ? found->seq : 0, seqs[id]);
		count -= seqs[id] != 0;
		if (sample_bool(sampler)) {
			struct program_known program = { .id = id, .seq = seq };

			assert_int_equal(programs_add(&programs, &program), 0);
			seqs[id] = seq;
			count++;
		} else {
			programs_remove(&programs, id);
			seqs[id] = 0;
		}
		assert_int_equal(programs.count, count);
	}
	programs_done(&programs);
	assert_null(programs_find(&programs, 1));
	free(sampler);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_set_has_nothing),
		cmocka_unit_test(a_program_takes_the_place_of_one_with_its_id),
		cmocka_unit_test(ids_are_compared_as_unsigned),
		cmocka_unit_test(a_walk_is_in_the_order_of_ids_and_ends_when_told),
		cmocka_unit_test(it_does_what_a_plain_array_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
