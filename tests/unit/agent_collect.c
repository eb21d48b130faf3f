/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/collect_fixture.h"

static size_t tape_find(const struct tape *tape, enum event_type type)
{
	for (size_t i = 0; i < tape->count; i++)
		if (tape->events[i].event->type == (uint32_t)type)
			return i;
	fail_msg("no event of type %d", type);
	return 0;
}

/* ---- one load ---- */

static void a_load_is_handed_over_when_it_has_ended(void **state)
{
	struct fixture *f = *state;
	struct story story;
	uint8_t content[9000];

	memset(content, 'c', sizeof(content));
	story_init(&story, 1);
	story_sign(&story);
	story_map(&story, content, sizeof(content));
	story_map(&story, "x", 1);
	tape_story(&f->tape, &story);
	play(f, 0, f->tape.count - 1);
	assert_int_equal(f->load_count, 0);
	assert_int_equal(f->collect.held > 9000, true);
	play(f, f->tape.count - 1, f->tape.count);
	assert_handed(f, "1 events 13/13 verify 1 load 1001 prog 501 end 0");
	assert_handed(f, " map 9000 ");
	assert_int_equal(f->collect.held, 0);
	assert_int_equal(f->collect.malformed, 0);
	assert_null(f->collect.unfinished);
	assert_int_equal(f->collect.tickets.low, f->tape.ticket);
	assert_int_equal(f->collect.loads.low, 2);
}

static void a_load_of_nothing_but_its_end_is_one(void **state)
{
	struct fixture *f = *state;
	struct event_end end = { .event = { .ticket = 3, .load = 9, .type = EVENT_END },
		.error = -1 };

	assert_int_equal(collect_end(&f->collect, &end), 0);
	assert_handed(f, "9 events 0/0 verify 0 load 0 prog 0 end -1");
}

static void an_end_that_did_not_come_by_the_ring_ends_what_did(void **state)
{
	struct fixture *f = *state;
	struct story story;
	struct event_end end;

	story_init(&story, 1);
	tape_story(&f->tape, &story);
	play(f, 0, f->tape.count - 1);
	memcpy(&end, f->tape.events[f->tape.count - 1].event, sizeof(end));
	assert_int_equal(collect_end(&f->collect, &end), 0);
	assert_handed(f, "1 events 5/5 ");
}

static void a_missing_piece_breaks_its_stream_only(void **state)
{
	struct fixture *f = *state;
	struct story story;
	static uint8_t large[3 * EVENT_BYTES_LARGE];
	size_t skip;

	story_init(&story, 1);
	story.streams[STREAM_INSNS] = (struct story_bytes){ large, sizeof(large) };
	tape_story(&f->tape, &story);
	skip = tape_find(&f->tape, EVENT_PROG) - 2; /* the second of three */
	play(f, 0, skip);
	play(f, skip + 1, f->tape.count);
	assert_handed(f, "1 events 6/7 ");
	assert_handed(f, " stream 8192 broken ");
	assert_handed(f, " stream 15 "); /* the executable */
}

static void pieces_out_of_order_or_doubled_break_their_stream(void **state)
{
	struct fixture *f = *state;

	for (uint64_t offset = 3; offset < 10; offset++) {
		struct event_end end = { .error = 0 };
		uint64_t load = offset;

		if (offset == 5) /* the one that follows */
			continue;
		tape_piece(&f->tape, load, STREAM_EXE, "12345", 0, 5);
		tape_piece(&f->tape, load, STREAM_EXE, "67890", offset, 5);
		tape_put(&f->tape, load, EVENT_END, &end, sizeof(end));
	}
	play_all(f);
	assert_int_equal(f->load_count, 6);
	for (size_t i = 0; i < f->load_count; i++)
		assert_non_null(strstr(f->loads[i], "stream 5 broken"));
}

static void what_a_verification_after_the_load_event_says_is_passed_by(void **state)
{
	struct fixture *f = *state;
	struct story story, late;
	size_t end;

	story_init(&story, 1);
	story_sign(&story);
	tape_story(&f->tape, &story);
	late = story;
	late.has_load = late.has_prog = false;
	end = f->tape.count - 1;
	tape_story(&f->tape, &late); /* its verification comes between the load and its end */
	play(f, 0, end);
	play(f, end + 1, f->tape.count);
	assert_handed(f, " verify 1 ");
	assert_null(strstr(f->loads[0], "broken"));
}

static void two_verifications_are_counted_and_their_bytes_are_broken(void **state)
{
	struct fixture *f = *state;
	struct story story;

	story_init(&story, 1);
	story_sign(&story);
	story.verify_count = 2;
	tape_story(&f->tape, &story);
	play_all(f);
	assert_handed(f, " verify 2 ");
	assert_handed(f, " stream 32 broken ");
}

static void loads_may_be_interleaved(void **state)
{
	struct fixture *f = *state;
	struct story story;
	size_t half;

	for (uint64_t number = 1; number <= 2; number++) {
		story_init(&story, number);
		tape_story(&f->tape, &story);
	}
	half = f->tape.count / 2;
	for (size_t i = 0; i < half; i++) {
		play(f, half + i, half + i + 1);
		play(f, i, i + 1);
	}
	assert_int_equal(f->load_count, 2);
	assert_non_null(strstr(f->loads[0], "2 events 5/5 verify 0 load 1002 prog 502"));
	assert_non_null(strstr(f->loads[1], "1 events 5/5 verify 0 load 1001 prog 501"));
	assert_null(strstr(f->loads[0], "broken"));
}

/* ---- the end of a program ---- */

static void a_programs_end_before_its_loads_end_comes_after_it(void **state)
{
	struct fixture *f = *state;
	size_t end = tape_load(f);

	tape_free(&f->tape, 501, 77);
	play_but_one(f, end);
	assert_int_equal(f->free_count, 0);
	play(f, end, end + 1);
	assert_int_equal(f->load_count, 1);
	assert_int_equal(f->free_count, 1);
	assert_int_equal(f->frees[0].id, 501);
	assert_int_equal(f->frees[0].boottime_ns, 77);
}

static void an_end_that_was_told_before_is_passed_by(void **state)
{
	struct fixture *f = *state;

	tape_free(&f->tape, 501, 77);
	play_all(f);
	restart(f);
	play_all(f);
	assert_int_equal(f->free_count, 1);
}

static void a_programs_end_is_not_lost_with_a_daemon_that_waited_for_its_loads_end(void **state)
{
	struct fixture *f = *state;
	size_t end = tape_load(f);

	tape_free(&f->tape, 501, 77);
	play_but_one(f, end);
	restart(f);
	play(f, 0, end);
	play(f, end + 1, end + 2);
	play(f, end, end + 1);
	assert_int_equal(f->load_count, 1);
	assert_int_equal(f->free_count, 1);
}

/* ---- after a crash ---- */

static void loads_that_were_handed_over_are_passed_by(void **state)
{
	struct fixture *f = *state;
	struct story story;

	for (uint64_t number = 1; number <= 3; number++) {
		story_init(&story, number);
		tape_story(&f->tape, &story);
	}
	play(f, 0, 8); /* one, and half of the second */
	assert_int_equal(
		collect_needs_from(&f->collect, f->tape.events[8].begin), f->tape.events[6].begin);
	restart(f);
	play_all(f);
	assert_int_equal(f->load_count, 3);
	assert_int_equal(f->numbers[2], 3);
	assert_non_null(strstr(f->loads[1], "2 events 5/5 "));
	assert_int_equal(collect_needs_from(&f->collect, f->tape.end), f->tape.end);
}

/* Ends that found the ring full are in no order, and there may be many. */
static void a_load_far_ahead_shuts_nobody_out(void **state)
{
	struct fixture *f = *state;
	struct event_end end = { .event = { .type = EVENT_END, .ticket = 100 } };
	const uint64_t numbers[] = { 5 * SEEN_WINDOW, 7, UINT64_MAX, 8, 3 * SEEN_WINDOW };
	struct story story;

	story_init(&story, 1);
	tape_story(&f->tape, &story);
	play(f, 0, 3);
	for (size_t i = 0; i < 5; i++) {
		end.event.load = numbers[i];
		end.event.ticket++;
		assert_int_equal(collect_end(&f->collect, &end), 0);
		assert_int_equal(f->numbers[i], numbers[i]);
	}
	play(f, 3, f->tape.count);
	assert_int_equal(f->load_count, 6);
	assert_non_null(strstr(f->loads[5], "1 events 5/5 "));
}

/* ---- errors ---- */

static void an_event_that_the_sink_refused_can_be_told_again(void **state)
{
	struct fixture *f = *state;
	struct story story;
	size_t end;

	story_init(&story, 1);
	tape_story(&f->tape, &story);
	end = f->tape.count - 1;
	play(f, 0, end);
	f->load_error = -ENOMEM;
	assert_int_equal(tape_play_one(&f->tape, &f->collect, end), -ENOMEM);
	assert_false(seen_has(&f->collect.tickets, end));
	assert_int_equal(tape_play_one(&f->tape, &f->collect, end), 0);
	assert_handed(f, "1 events 5/5 ");
}

static void a_programs_end_that_the_sink_refused_can_be_told_again(void **state)
{
	struct fixture *f = *state;
	struct story story;
	size_t end;

	story_init(&story, 1);
	tape_story(&f->tape, &story);
	end = f->tape.count - 1;
	tape_free(&f->tape, 501, 77);
	tape_free(&f->tape, 400, 78);
	play(f, 0, end);
	play(f, end + 1, end + 2);
	f->free_error = -ENOMEM;
	assert_int_equal(tape_play_one(&f->tape, &f->collect, end), -ENOMEM);
	assert_int_equal(tape_play_one(&f->tape, &f->collect, end), 0);
	assert_int_equal(f->load_count, 1);
	assert_int_equal(f->free_count, 1);
	f->free_error = -EIO;
	assert_int_equal(tape_play_one(&f->tape, &f->collect, end + 2), -EIO);
	assert_int_equal(tape_play_one(&f->tape, &f->collect, end + 2), 0);
	assert_int_equal(f->free_count, 2);
}

/* ---- root can write to the ring ---- */

static void events_that_make_no_sense_are_counted_and_passed_by(void **state)
{
	struct fixture *f = *state;
	static const struct {
		uint64_t load;
		uint32_t type;
		size_t len;
	} nonsense[] = {
		{ 1, 0, 600 },
		{ 1, EVENT_ATTACH + 1, 600 },
		{ 1, UINT32_MAX, 600 },
		{ 0, EVENT_LOAD, 600 },
		{ 0, EVENT_END, 600 },
		{ 1, EVENT_FREE, 600 },
		{ 1, EVENT_BYTES, sizeof(struct event_bytes) - 1 },
		{ 1, EVENT_VERIFY, sizeof(struct event_verify) - 1 },
		{ 1, EVENT_LOAD, sizeof(struct event_load) - 1 },
		{ 1, EVENT_PROG, sizeof(struct event_prog) - 1 },
		{ 1, EVENT_MAP, sizeof(struct event_map) - 1 },
		{ 1, EVENT_END, sizeof(struct event_end) - 1 },
		{ 1, EVENT_ATTACH, sizeof(struct event_attach) - 1 },
		{ 0, EVENT_FREE, sizeof(struct event_free) - 1 },
		{ 0, EVENT_INTEGRITY, sizeof(struct event_integrity) - 1 },
		{ 1, EVENT_INTEGRITY, sizeof(struct event_integrity) - 1 },
		{ 1, EVENT_END, sizeof(struct event) },
	};
	uint8_t bytes[600] = { 0 };
	size_t count = sizeof(nonsense) / sizeof(*nonsense);

	for (size_t i = 0; i < count; i++)
		tape_put(&f->tape, nonsense[i].load, nonsense[i].type, bytes, nonsense[i].len);
	play_all(f);
	assert_int_equal(f->collect.malformed, count);
	for (size_t len = 0; len < sizeof(struct event); len++)
		assert_int_equal(collect_event(&f->collect, bytes, len, 0), 0);
	assert_int_equal(f->collect.malformed, count + sizeof(struct event));
	assert_null(f->collect.unfinished);
	assert_int_equal(f->load_count + f->free_count, 0);
}

static void pieces_that_make_no_sense_are_not_taken(void **state)
{
	struct fixture *f = *state;
	struct event_end end = {};
	struct event_bytes *piece;

	tape_piece(&f->tape, 1, STREAM_INSNS, "abc", 0, 3)->len = EVENT_BYTES_SMALL + 1;
	tape_piece(&f->tape, 1, STREAM_INSNS, "abc", 0, 3)->len = UINT32_MAX;
	tape_piece(&f->tape, 1, STREAM_COUNT, "abc", 0, 3);
	tape_piece(&f->tape, 1, STREAM_INSNS, "abc", 0, 3)->stream = UINT32_MAX;
	tape_piece(&f->tape, 1, STREAM_MAP, "abc", 0, 3); /* of no map */
	piece = tape_piece(&f->tape, 1, STREAM_EXE, "abc", 0, 3);
	piece->offset = UINT64_MAX;
	tape_put(&f->tape, 1, EVENT_END, &end, sizeof(end));
	play_all(f);
	assert_int_equal(f->collect.malformed, 5);
	assert_handed(f, " stream 0 broken "); /* the executable; the instructions never came */
	assert_handed(f, " stream 0 cbf29ce484222325");
	assert_int_equal(f->collect.held, 0);
}

static void streams_have_a_largest_size(void **state)
{
	static const size_t max[] = {
		[STREAM_SIGNED] = COLLECT_SIGNED_MAX,
		[STREAM_SIGNATURE] = COLLECT_SIGNATURE_MAX,
		[STREAM_EXE] = COLLECT_TEXT_MAX,
		[STREAM_CGROUP] = COLLECT_TEXT_MAX,
		[STREAM_TARGET] = COLLECT_TEXT_MAX,
		[STREAM_INSNS] = COLLECT_INSNS_MAX,
	};
	struct fixture *f = *state;
	static uint8_t large[sizeof(struct event_bytes) + (1 << 20)];
	struct event_bytes *piece = (struct event_bytes *)large;

	for (enum event_stream stream = 0; stream < STREAM_MAP; stream++) {
		const struct collected_bytes *bytes = NULL;

		piece->event.load = stream + 1;
		piece->event.type = EVENT_BYTES;
		piece->stream = stream;
		piece->offset = 0;
		do {
			size_t left = max[stream] - piece->offset;

			piece->len = (uint32_t)(left < 1 << 20 ? left : 1 << 20);
			assert_int_equal(collect_event(&f->collect, large, sizeof(large), 0), 0);
			piece->offset += piece->len;
		} while (piece->offset < max[stream]);
		for (struct collected_load *load = f->collect.unfinished; load; load = load->next)
			if (load->number == stream + 1)
				bytes = &load->streams[stream];
		assert_int_equal(bytes->len, max[stream]);
		assert_false(bytes->broken);
		piece->len = 1;
		assert_int_equal(collect_event(&f->collect, large, sizeof(large), 0), 0);
		assert_int_equal(bytes->len, max[stream]);
		assert_true(bytes->broken);
	}
}

static void a_load_has_no_more_maps_than_the_kernel_gives_it(void **state)
{
	struct fixture *f = *state;
	struct event_map map = {};

	for (size_t i = 0; i < EVENT_MAPS_MAX + 10; i++)
		tape_put(&f->tape, 1, EVENT_MAP, &map, sizeof(map));
	play_all(f);
	assert_int_equal(f->collect.unfinished->map_count, EVENT_MAPS_MAX);
}

static void unfinished_loads_take_so_much_memory_and_no_more(void **state)
{
	struct fixture *f = *state;
	static uint8_t large[sizeof(struct event_bytes) + (1 << 20)];
	struct event_bytes *piece = (struct event_bytes *)large;
	struct event_end end = { .event = { .type = EVENT_END, .load = 1, .ticket = 1 } };

	piece->event.type = EVENT_BYTES;
	piece->stream = STREAM_SIGNED;
	piece->len = 1 << 20;
	for (piece->event.load = 1; piece->event.load <= 8; piece->event.load++)
		for (piece->offset = 0; piece->offset < 16 << 20; piece->offset += piece->len)
			assert_int_equal(collect_event(&f->collect, large, sizeof(large), 0), 0);
	assert_in_range(f->collect.held, 90 << 20, COLLECT_HELD_MAX);
	assert_int_equal(collect_end(&f->collect, &end), 0);
	assert_non_null(strstr(f->loads[0], "stream 16777216 ")); /* the first came whole */
	assert_in_range(f->collect.held, 70 << 20, 80 << 20);
	end.event.load = 8;
	assert_int_equal(collect_end(&f->collect, &end), 0);
	assert_non_null(strstr(f->loads[1], " broken "));
}

/* Loads that never end: each is a little memory, and they must not add up. */
static void loads_without_an_end_take_so_much_memory_and_no_more(void **state)
{
	struct fixture *f = *state;
	struct event_map map = { .event = { .type = EVENT_MAP } };
	struct event_end end = { .event = { .type = EVENT_END, .load = UINT32_MAX } };
	size_t count = 0;

	f->collect.held = COLLECT_HELD_MAX - (1 << 20); /* as if there were many */
	for (map.event.load = 1; map.event.load < 1000; map.event.load++)
		for (size_t i = 0; i < EVENT_MAPS_MAX; i++)
			assert_int_equal(collect_event(&f->collect, &map, sizeof(map), 0), 0);
	for (struct collected_load *load = f->collect.unfinished; load; load = load->next)
		count += sizeof(*load) + load->map_count * sizeof(*load->maps);
	assert_in_range(count, 1, 1 << 20);
	assert_in_range(f->collect.held, COLLECT_HELD_MAX - (1 << 20), COLLECT_HELD_MAX);
	/* What ends is told all the same. */
	assert_int_equal(collect_end(&f->collect, &end), 0);
	assert_int_equal(f->load_count, 1);
	f->collect.held -= COLLECT_HELD_MAX - (1 << 20);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_new, fixture_free)
	const struct CMUnitTest tests[] = {
		TEST(a_load_is_handed_over_when_it_has_ended),
		TEST(a_load_of_nothing_but_its_end_is_one),
		TEST(an_end_that_did_not_come_by_the_ring_ends_what_did),
		TEST(a_missing_piece_breaks_its_stream_only),
		TEST(pieces_out_of_order_or_doubled_break_their_stream),
		TEST(what_a_verification_after_the_load_event_says_is_passed_by),
		TEST(two_verifications_are_counted_and_their_bytes_are_broken),
		TEST(loads_may_be_interleaved),
		TEST(a_programs_end_before_its_loads_end_comes_after_it),
		TEST(an_end_that_was_told_before_is_passed_by),
		TEST(a_programs_end_is_not_lost_with_a_daemon_that_waited_for_its_loads_end),
		TEST(loads_that_were_handed_over_are_passed_by),
		TEST(a_load_far_ahead_shuts_nobody_out),
		TEST(an_event_that_the_sink_refused_can_be_told_again),
		TEST(a_programs_end_that_the_sink_refused_can_be_told_again),
		TEST(events_that_make_no_sense_are_counted_and_passed_by),
		TEST(pieces_that_make_no_sense_are_not_taken),
		TEST(streams_have_a_largest_size),
		TEST(a_load_has_no_more_maps_than_the_kernel_gives_it),
		TEST(unfinished_loads_take_so_much_memory_and_no_more),
		TEST(loads_without_an_end_take_so_much_memory_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
