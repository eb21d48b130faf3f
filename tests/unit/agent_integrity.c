/* SPDX-License-Identifier: BSD-2-Clause */
/* Verdicts on a program's integrity: with its load, and apart from it. */
#include "tests/teller.h"
#include "tests/unit/collect_fixture.h"

static void a_verdict_within_a_load_follows_it(void **state)
{
	struct fixture *f = *state;
	struct story story;

	story_init(&story, 7);
	story_verdict(&story, 1);
	story_verdict(&story, 3);
	tape_story(&f->tape, &story);
	play(f, 0, f->tape.count - 1);
	assert_int_equal(f->integrity_count, 0);
	play(f, f->tape.count - 1, f->tape.count);
	assert_int_equal(f->load_count, 1);
	assert_non_null(strstr(f->loads[0], "7 events 7/7 "));
	assert_int_equal(f->integrity_count, 2);
	assert_int_equal(f->integrity[0].verdict, 1);
	assert_int_equal(f->integrity[1].verdict, 3);
	assert_int_equal(f->integrity_of[1], 7);
}

static void a_verdict_apart_from_any_load_is_told_once(void **state)
{
	struct fixture *f = *state;

	tape_integrity(&f->tape, &(struct event_integrity){ .id = 400 });
	tape_integrity(&f->tape, &(struct event_integrity){ .id = 0 });
	play_all(f);
	restart(f);
	play_all(f);
	assert_int_equal(f->integrity_count, 2);
	assert_int_equal(f->integrity_of[0], 0);
	assert_int_equal(f->integrity[0].id, 400);
}

static void a_verdict_on_a_program_whose_load_is_not_over_waits_for_it(void **state)
{
	struct fixture *f = *state;
	size_t end = tape_load(f);

	tape_integrity(&f->tape, &(struct event_integrity){ .id = 501 });
	play_but_one(f, end);
	assert_int_equal(f->integrity_count, 0);
	restart(f);
	play_but_one(f, end);
	play(f, end, end + 1);
	assert_int_equal(f->integrity_count, 1);
	assert_int_equal(f->integrity_of[0], 1);
}

static void a_verdict_that_the_sink_refused_can_be_told_again(void **state)
{
	struct fixture *f = *state;
	struct story story;
	size_t end;

	story_init(&story, 1);
	story_verdict(&story, 1);
	story_verdict(&story, 2);
	tape_story(&f->tape, &story);
	end = f->tape.count - 1;
	play(f, 0, end);
	f->integrity_error = -ENOMEM;
	assert_int_equal(tape_play_one(&f->tape, &f->collect, end), -ENOMEM);
	assert_int_equal(tape_play_one(&f->tape, &f->collect, end), 0);
	assert_int_equal(f->load_count, 1);
	assert_int_equal(f->integrity_count, 2);
}

static void more_verdicts_than_there_are_lsms_are_counted_and_passed_by(void **state)
{
	struct fixture *f = *state;
	struct event_integrity event = {};
	struct story story;

	for (size_t i = 0; i < COLLECT_INTEGRITY_MAX + 3; i++)
		tape_put(&f->tape, 1, EVENT_INTEGRITY, &event, sizeof(event));
	story_init(&story, 1);
	tape_story(&f->tape, &story);
	play_all(f);
	assert_int_equal(f->integrity_count, COLLECT_INTEGRITY_MAX);
	assert_int_equal(f->collect.malformed, 3);
}

/* ---- what the record says ---- */

static struct record_integrity described(struct event_integrity event)
{
	struct probe *probe = probe_new();
	struct describe describe = { .probe = probe };
	struct record_integrity ret;

	describe_integrity(&describe, &event, &ret);
	probe_free(probe);
	return ret;
}

static void a_verdict_that_the_kernel_does_not_name_is_a_number(void **)
{
	struct record_integrity record = described(
		(struct event_integrity){ .has_verdict = 1, .verdict = 77 });

	assert_null(record.verdict.bytes);
	assert_true(record.value.known);
	assert_int_equal(record.value.value, 77);
	assert_null(record.source.bytes);
}

static void a_hook_without_a_verdict_claims_none(void **)
{
	struct record_integrity record = described((struct event_integrity){ .verdict = 1 });

	assert_null(record.verdict.bytes);
	assert_false(record.value.known);
}

static void a_source_that_fills_its_field_is_told_as_it_is(void **)
{
	struct event_integrity event = { .has_verdict = 1 };
	struct record_integrity record;

	memset(event.source, 'x', sizeof(event.source));
	record = described(event);
	assert_int_equal(record.source.len, sizeof(event.source));
}

static void any_verdict_has_a_line_that_passes_the_check(void **)
{
	struct teller *teller = teller_new();
	struct event_integrity event = {
		.id = UINT32_MAX, .verdict = UINT32_MAX, .has_verdict = 1
	};

	memset(event.source, 0xff, sizeof(event.source));
	teller_integrity(teller, NULL, &event);
	assert_non_null(strstr(teller->line, "\"value\":4294967295"));
	event.has_verdict = 0;
	teller_integrity(teller, NULL, &event);
	assert_non_null(strstr(teller->line, "\"value\":null"));
	teller_free(teller);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_new, fixture_free)
	const struct CMUnitTest tests[] = {
		TEST(a_verdict_within_a_load_follows_it),
		TEST(a_verdict_apart_from_any_load_is_told_once),
		TEST(a_verdict_on_a_program_whose_load_is_not_over_waits_for_it),
		TEST(a_verdict_that_the_sink_refused_can_be_told_again),
		TEST(more_verdicts_than_there_are_lsms_are_counted_and_passed_by),
		cmocka_unit_test(a_verdict_that_the_kernel_does_not_name_is_a_number),
		cmocka_unit_test(a_hook_without_a_verdict_claims_none),
		cmocka_unit_test(a_source_that_fills_its_field_is_told_as_it_is),
		cmocka_unit_test(any_verdict_has_a_line_that_passes_the_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
