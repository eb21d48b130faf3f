/* SPDX-License-Identifier: BSD-2-Clause */
/* The collector against a model that looks at all events of a load at once. */
#include "tests/samples.h"
#include "tests/unit/collect_fixture.h"

struct model_bytes {
	uint8_t bytes[3 * EVENT_BYTES_LARGE];
	size_t len;
	bool broken;
};

static void model_piece(struct model_bytes *to, const struct event_bytes *piece)
{
	if (to->broken || piece->offset != to->len) {
		to->broken = true;
		return;
	}
	memcpy(to->bytes + to->len, piece->data, piece->len);
	to->len += piece->len;
}

/* What the events of one load amount to; NULL where it has no end. */
static char *model_text(const struct tape *tape, uint64_t number)
{
	struct model_bytes *streams = calloc(STREAM_MAP + STORY_MAPS * 2, sizeof(*streams));
	struct collected_map maps[STORY_MAPS * 2] = {};
	struct collected_load load = { .number = number, .maps = maps };
	char *text = NULL;

	assert_non_null(streams);
	for (size_t i = 0; i < tape->count && !text; i++) {
		const void *event = tape->events[i].event;
		const struct event_bytes *piece = event;

		if (tape->events[i].event->load != number)
			continue;
		load.events++;
		switch (tape->events[i].event->type) {
		case EVENT_BYTES:
			if (piece->stream == STREAM_MAP && load.map_count)
				model_piece(&streams[STREAM_MAP + load.map_count - 1], piece);
			else if (piece->stream != STREAM_MAP &&
				(!load.has_load || piece->stream > STREAM_SIGNATURE))
				model_piece(&streams[piece->stream], piece);
			break;
		case EVENT_VERIFY:
			load.verify_count += !load.has_load;
			break;
		case EVENT_LOAD:
			load.has_load = true;
			load.load = *(const struct event_load *)event;
			break;
		case EVENT_PROG:
			load.has_prog = true;
			load.prog = *(const struct event_prog *)event;
			break;
		case EVENT_MAP:
			load.map_count++;
			break;
		case EVENT_INTEGRITY:
			load.integrity_count++;
			break;
		case EVENT_END:
			load.events--;
			load.end = *(const struct event_end *)event;
			for (size_t s = 0; s < STREAM_MAP; s++)
				load.streams[s] = (struct collected_bytes){ streams[s].bytes,
					streams[s].len, 0, streams[s].broken };
			for (size_t m = 0; m < load.map_count; m++)
				maps[m].content = (struct collected_bytes){
					streams[STREAM_MAP + m].bytes, streams[STREAM_MAP + m].len,
					0, streams[STREAM_MAP + m].broken
				};
			text = load_text(&load);
		}
	}
	free(streams);
	return text;
}

/* A load of any shape. */
static void any_story(struct sampler *sampler, struct story *story, uint64_t number)
{
	static uint8_t content[3 * EVENT_BYTES_LARGE];
	static const size_t max[] = {
		[STREAM_SIGNED] = sizeof(content),
		[STREAM_SIGNATURE] = sizeof(content),
		[STREAM_EXE] = COLLECT_TEXT_MAX,
		[STREAM_CGROUP] = COLLECT_TEXT_MAX,
		[STREAM_TARGET] = COLLECT_TEXT_MAX,
		[STREAM_INSNS] = sizeof(content),
	};

	story_init(story, number);
	if (sample_bool(sampler))
		story_sign(story);
	story->verify_count = (unsigned)sample_below(sampler, 3);
	for (uint64_t i = sample_below(sampler, STORY_VERDICTS + 1); i; i--)
		story_verdict(story, (uint32_t)i);
	for (size_t stream = 0; stream < STREAM_MAP; stream++)
		if (sample_below(sampler, 4) == 0)
			story->streams[stream] = (struct story_bytes){ content,
				sample_below(sampler, max[stream]) };
	for (uint64_t i = sample_below(sampler, STORY_MAPS); i; i--)
		story_map(story, content, 1 + sample_below(sampler, sizeof(content) - 1));
	story->has_load = sample_below(sampler, 8);
	story->has_prog = sample_below(sampler, 8);
	story->end.error = sample_below(sampler, 4) ? 0 : -(int)sample_below(sampler, 200);
	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (uint8_t)(content[i] + i * 31 + number);
}

/* Move what one of the tapes has next behind the end of another: perhaps not, perhaps twice. */
static void shuffle_event(struct sampler *sampler, struct tape *to, struct tape *from, size_t *at)
{
	struct tape_event *event = &from->events[(*at)++];
	uint64_t shape = sample_below(sampler, 60);

	for (uint64_t times = shape == 0 ? 0 : shape == 1 ? 2 : 1; times; times--) {
		uint64_t ticket = to->ticket;
		struct event *copy = tape_put(
			to, event->event->load, event->event->type, event->event, event->len);

		if (times == 1 && shape == 1) /* the same event again, not another */
			copy->ticket = ticket - 1;
	}
}

enum { MODEL_LOADS = 40 };

static void shuffle(struct sampler *sampler, struct tape *to)
{
	struct tape *tapes = calloc(MODEL_LOADS, sizeof(*tapes));
	size_t at[MODEL_LOADS] = { 0 }, open = 6, done = 0;
	struct story story;

	assert_non_null(tapes);
	for (size_t i = 0; i < MODEL_LOADS; i++) {
		any_story(sampler, &story, i + 1);
		tape_story(&tapes[i], &story);
		if (story.has_prog && sample_bool(sampler))
			tape_free(&tapes[i], story.prog.id, 1);
	}
	while (done < MODEL_LOADS) { /* six tasks at a time */
		size_t i = done + sample_below(sampler, open);

		if (i < MODEL_LOADS && at[i] < tapes[i].count)
			shuffle_event(sampler, to, &tapes[i], &at[i]);
		while (done < MODEL_LOADS && at[done] == tapes[done].count)
			done++;
	}
	for (size_t i = 0; i < MODEL_LOADS; i++)
		tape_done(&tapes[i]);
	free(tapes);
}

/* Play a tape as daemons do that commit now and then, and die now and then. */
static void play_with_crashes(struct sampler *sampler, struct fixture *f)
{
	static struct seen tickets, loads;
	size_t load_count = 0, integrity_count = 0, free_count = 0, from = 0;

	tickets = f->collect.tickets;
	loads = f->collect.loads;
	for (size_t i = 0; i < f->tape.count;) {
		play(f, i, i + 1);
		i++;
		if (sample_below(sampler, 20) == 0 || i == f->tape.count) {
			uint64_t read = i < f->tape.count ? f->tape.events[i].begin : f->tape.end;
			uint64_t needs = collect_needs_from(&f->collect, read);

			tickets = f->collect.tickets;
			loads = f->collect.loads;
			load_count = f->load_count;
			integrity_count = f->integrity_count;
			free_count = f->free_count;
			while (from < f->tape.count && f->tape.events[from].begin < needs)
				from++;
		}
		if (sample_below(sampler, 50) == 0) {
			collect_done(&f->collect);
			collect_begin(f);
			f->collect.tickets = tickets;
			f->collect.loads = loads;
			handed_forget(f, load_count, integrity_count, free_count);
			i = from;
		}
	}
}

static const char *handed_text(const struct fixture *f, uint64_t number)
{
	const char *found = NULL;

	for (size_t i = 0; i < f->load_count; i++) {
		if (f->numbers[i] != number)
			continue;
		assert_null(found); /* once only */
		found = f->loads[i];
	}
	return found;
}

static bool tape_has(const struct tape *tape, uint64_t load, enum event_type type)
{
	for (size_t i = 0; i < tape->count; i++)
		if (tape->events[i].event->load == load &&
			tape->events[i].event->type == (uint32_t)type)
			return true;
	return false;
}

static size_t verdicts_in(const char *text)
{
	size_t verdicts;

	assert_int_equal(sscanf(strstr(text, "verdicts "), "verdicts %zu", &verdicts), 1);
	return verdicts;
}

/* Ends of programs, but for those that wait for the end of a load that was lost. */
static size_t tape_frees(const struct tape *tape)
{
	size_t count = 0;

	for (size_t i = 0; i < tape->count; i++) {
		const struct event_free *event = (const void *)tape->events[i].event;
		uint64_t load;

		if (event->event.type != EVENT_FREE ||
			(i && tape->events[i - 1].event->ticket == event->event.ticket))
			continue;
		load = event->id - 500;
		count += tape_has(tape, load, EVENT_END) || !tape_has(tape, load, EVENT_PROG);
	}
	return count;
}

static void every_load_is_handed_over_once_whatever_is_lost_and_whenever_it_dies(void **state)
{
	struct fixture *f = *state;
	struct sampler *sampler = calloc(1, sizeof(*sampler));

	assert_non_null(sampler);
	for (uint64_t seed = 0; seed < 40; seed++) {
		size_t expected = 0, verdicts = 0;

		sampler->state = seed;
		shuffle(sampler, &f->tape);
		play_with_crashes(sampler, f);
		for (uint64_t number = 1; number <= MODEL_LOADS; number++) {
			char *text = model_text(&f->tape, number);
			const char *handed = handed_text(f, number);

			assert_int_equal(!text, !handed);
			if (text)
				assert_string_equal(handed, text);
			expected += text != NULL;
			verdicts += text ? verdicts_in(text) : 0;
			free(text);
		}
		assert_int_equal(f->load_count, expected);
		assert_int_equal(f->integrity_count, verdicts);
		assert_int_equal(f->free_count, tape_frees(&f->tape));
		collect_done(&f->collect);
		collect_begin(f);
		handed_forget(f, 0, 0, 0);
		tape_done(&f->tape);
		memset(&f->tape, 0, sizeof(f->tape));
	}
	free(sampler);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_new, fixture_free)
	const struct CMUnitTest tests[] = {
		TEST(every_load_is_handed_over_once_whatever_is_lost_and_whenever_it_dies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
