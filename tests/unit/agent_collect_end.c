/* SPDX-License-Identifier: BSD-2-Clause */
/* Loads whose end does not come. */
#include "tests/unit/collect_fixture.h"

static bool gone;

static bool is_gone(uint32_t tgid, uint32_t pid)
{
	assert_int_equal(tgid, 100); /* as story_init() has it */
	assert_int_equal(pid, 101);
	return gone;
}

static void idle(struct fixture *f, unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		assert_int_equal(collect_give_up(&f->collect, is_gone), 0);
}

/* A load but for its last events. Returns where they are on the tape. */
static size_t play_but(struct fixture *f, struct story *story, size_t last)
{
	size_t begin = f->tape.count;

	gone = false;
	tape_story(&f->tape, story);
	play(f, begin, f->tape.count - last);
	return f->tape.count - last;
}

static void a_load_that_has_its_program_is_given_up_after_a_while(void **state)
{
	struct fixture *f = *state;
	struct story story;

	story_init(&story, 1);
	play_but(f, &story, 1);
	idle(f, COLLECT_GIVE_UP_PROG - 1);
	assert_int_equal(f->load_count, 0);
	idle(f, 1);
	assert_handed(f, "1 events 5/0 verify 0 load 1001 prog 501 end 0");
	assert_null(f->collect.unfinished);
	assert_int_equal(f->collect.held, 0);
	assert_true(seen_has(&f->collect.loads, 1));
	assert_int_equal(collect_needs_from(&f->collect, f->tape.end), f->tape.end);
	idle(f, COLLECT_GIVE_UP);
	assert_int_equal(f->load_count, 1);
}

static void a_load_that_goes_on_is_not_given_up(void **state)
{
	struct fixture *f = *state;
	struct story story;
	size_t at;

	story_init(&story, 1);
	for (int i = 0; i < STORY_MAPS; i++)
		story_map(&story, "x", 1);
	for (at = play_but(f, &story, 9); at < f->tape.count; at++) {
		idle(f, COLLECT_GIVE_UP_PROG - 1);
		play(f, at, at + 1);
	}
	assert_handed(f, "1 events 13/13 ");
}

static void a_load_in_the_verifier_is_given_up_when_its_thread_is_gone(void **state)
{
	struct fixture *f = *state;
	struct story story;

	story_init(&story, 1);
	story.has_prog = false;
	play_but(f, &story, 1);
	idle(f, 1000);
	assert_int_equal(f->load_count, 0);
	gone = true;
	idle(f, 1); /* what it sent may not have been read */
	assert_int_equal(f->load_count, 0);
	idle(f, 1);
	assert_handed(f, "1 events 4/0 verify 0 load 1001 prog 0 end 0");
}

static void a_load_of_which_only_a_verification_came_is_given_up_later(void **state)
{
	struct fixture *f = *state;
	struct story story;

	story_init(&story, 1);
	story_sign(&story);
	story.has_load = story.has_prog = false;
	play_but(f, &story, 1);
	idle(f, COLLECT_GIVE_UP - 1);
	assert_int_equal(f->load_count, 0);
	idle(f, 1);
	assert_handed(f, "1 events 3/0 verify 1 load 0 prog 0");
}

static void an_end_that_comes_after_all_does_not_count_again(void **state)
{
	struct fixture *f = *state;
	struct story story;
	size_t end;

	story_init(&story, 1);
	end = play_but(f, &story, 1);
	idle(f, COLLECT_GIVE_UP_PROG);
	play(f, end, end + 1);
	assert_int_equal(f->load_count, 1);
	assert_null(f->collect.unfinished);
	assert_int_equal(f->collect.tickets.low, f->tape.ticket);
	play(f, end, end + 1); /* once more after a crash */
	assert_int_equal(f->load_count, 1);
}

static void it_does_not_with_the_next_daemon_either(void **state)
{
	struct fixture *f = *state;
	struct story story;
	size_t end;

	story_init(&story, 1);
	end = play_but(f, &story, 1);
	idle(f, COLLECT_GIVE_UP_PROG);
	restart(f);
	play(f, 0, end); /* told again */
	play(f, end, end + 1);
	assert_int_equal(f->load_count, 1);
}

static void the_program_of_a_load_without_an_end_ends_once(void **state)
{
	struct fixture *f = *state;
	struct story story;

	story_init(&story, 1);
	play_but(f, &story, 1);
	tape_free(&f->tape, 501, 77);
	play(f, f->tape.count - 1, f->tape.count);
	assert_int_equal(f->free_count, 0);
	f->free_error = -ENOMEM;
	idle(f, COLLECT_GIVE_UP_PROG - 1);
	assert_int_equal(collect_give_up(&f->collect, is_gone), -ENOMEM);
	idle(f, 1);
	assert_int_equal(f->load_count, 1);
	assert_int_equal(f->free_count, 1);
}

static void a_load_that_the_sink_refused_is_given_up_again(void **state)
{
	struct fixture *f = *state;
	struct story story;

	story_init(&story, 1);
	play_but(f, &story, 1);
	idle(f, COLLECT_GIVE_UP_PROG - 1);
	f->load_error = -ENOMEM;
	assert_int_equal(collect_give_up(&f->collect, is_gone), -ENOMEM);
	assert_int_equal(f->load_count, 0);
	idle(f, 1);
	assert_int_equal(f->load_count, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_new, fixture_free)
	const struct CMUnitTest tests[] = {
		TEST(a_load_that_has_its_program_is_given_up_after_a_while),
		TEST(a_load_that_goes_on_is_not_given_up),
		TEST(a_load_in_the_verifier_is_given_up_when_its_thread_is_gone),
		TEST(a_load_of_which_only_a_verification_came_is_given_up_later),
		TEST(an_end_that_comes_after_all_does_not_count_again),
		TEST(it_does_not_with_the_next_daemon_either),
		TEST(the_program_of_a_load_without_an_end_ends_once),
		TEST(a_load_that_the_sink_refused_is_given_up_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
