/* SPDX-License-Identifier: BSD-2-Clause */
/* A collector with a sink that writes down what it gets, for the tests of agent/collect.h. */
#ifndef TESTS_UNIT_COLLECT_FIXTURE_H
#define TESTS_UNIT_COLLECT_FIXTURE_H

#include "agent/collect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/story.h"

enum { HANDED_MAX = 512 };

struct fixture {
	struct collect collect;
	struct tape tape;
	char *loads[HANDED_MAX]; /* as text, so that two can be compared at once */
	uint64_t numbers[HANDED_MAX];
	size_t load_count;
	struct event_integrity integrity[HANDED_MAX];
	uint64_t integrity_of[HANDED_MAX]; /* number of the load; 0: of none */
	size_t integrity_count;
	struct event_free frees[HANDED_MAX];
	size_t free_count;
	int load_error, integrity_error, free_error; /* to answer with, once */
};

/* FNV-1a: two different contents in a test's text, not an adversary's. */
static inline void text_bytes(
	FILE *out, const char *name, const uint8_t *bytes, size_t len, bool broken)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3;
	fprintf(out, " %s %zu%s %016llx", name, len, broken ? " broken" : "",
		(unsigned long long)hash);
}

static inline char *load_text(const struct collected_load *load)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	fprintf(out, "%llu events %u/%u verify %u load %llu prog %u end %d verdicts %zu",
		(unsigned long long)load->number, load->events, load->end.events,
		load->verify_count, load->has_load ? (unsigned long long)load->load.boottime_ns : 0,
		load->has_prog ? load->prog.id : 0, load->end.error, load->integrity_count);
	for (size_t i = 0; i < STREAM_MAP; i++)
		text_bytes(out, "stream", load->streams[i].bytes, load->streams[i].len,
			load->streams[i].broken);
	for (size_t i = 0; i < load->map_count; i++)
		text_bytes(out, "map", load->maps[i].content.bytes, load->maps[i].content.len,
			load->maps[i].content.broken);
	fclose(out);
	return text;
}

static inline int on_load(void *arg, const struct collected_load *load)
{
	struct fixture *f = arg;
	int err = f->load_error;

	f->load_error = 0;
	if (err)
		return err;
	assert_true(f->load_count < HANDED_MAX);
	f->numbers[f->load_count] = load->number;
	f->loads[f->load_count++] = load_text(load);
	return 0;
}

static inline int on_integrity(
	void *arg, const struct collected_load *load, const struct event_integrity *event)
{
	struct fixture *f = arg;
	int err = f->integrity_error;

	f->integrity_error = 0;
	if (err)
		return err;
	assert_true(f->integrity_count < HANDED_MAX);
	if (load) /* which comes first */
		assert_int_equal(f->numbers[f->load_count - 1], load->number);
	f->integrity_of[f->integrity_count] = load ? load->number : 0;
	f->integrity[f->integrity_count++] = *event;
	return 0;
}

static inline int on_free(void *arg, const struct event_free *event)
{
	struct fixture *f = arg;
	int err = f->free_error;

	f->free_error = 0;
	if (err)
		return err;
	assert_true(f->free_count < HANDED_MAX);
	f->frees[f->free_count++] = *event;
	return 0;
}

static inline void handed_forget(struct fixture *f, size_t loads, size_t verdicts, size_t frees)
{
	while (f->load_count > loads)
		free(f->loads[--f->load_count]);
	f->integrity_count = verdicts;
	f->free_count = frees;
}

static inline void collect_begin(struct fixture *f)
{
	collect_init(&f->collect,
		&(struct collect_sink){
			.arg = f, .load = on_load, .integrity = on_integrity, .free = on_free });
}

/* The one load that was handed over says this somewhere. */
static inline void assert_handed(const struct fixture *f, const char *text)
{
	assert_int_equal(f->load_count, 1);
	if (!strstr(f->loads[0], text))
		fail_msg("\"%s\" does not say \"%s\"", f->loads[0], text);
}

static inline int fixture_new(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	collect_begin(f);
	*state = f;
	return 0;
}

static inline int fixture_free(void **state)
{
	struct fixture *f = *state;

	collect_done(&f->collect);
	tape_done(&f->tape);
	handed_forget(f, 0, 0, 0);
	free(f);
	return 0;
}

/* A daemon that died and one that comes up with what was committed. */
static inline void restart(struct fixture *f)
{
	struct seen tickets = f->collect.tickets, loads = f->collect.loads;
	struct collect_late late = f->collect.late;

	collect_done(&f->collect);
	collect_begin(f);
	f->collect.tickets = tickets;
	f->collect.loads = loads;
	f->collect.late = late;
}

static inline void play(struct fixture *f, size_t from, size_t end)
{
	assert_int_equal(tape_play(&f->tape, &f->collect, from, end), 0);
}

static inline void play_all(struct fixture *f)
{
	play(f, 0, f->tape.count);
}

/* A plain load, number 1 with program 501, on the tape. Returns where its end is. */
static inline size_t tape_load(struct fixture *f)
{
	struct story story;

	story_init(&story, 1);
	tape_story(&f->tape, &story);
	return f->tape.count - 1;
}

/* All that is on the tape but this. */
static inline void play_but_one(struct fixture *f, size_t late)
{
	play(f, 0, late);
	play(f, late + 1, f->tape.count);
}

#endif
