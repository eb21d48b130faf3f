/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From events to lines without a kernel, a database or a TPM: a collector whose sink describes each
 * load as the measurer does. Whatever the events are, the line has to pass record_check().
 */
#ifndef TESTS_TELLER_H
#define TESTS_TELLER_H

#include "agent/describe.h"
#include "tests/story.h"

struct teller {
	struct collect collect;
	struct programs programs;
	struct describe describe;
	struct described described; /* the last load; its texts into the load are gone */
	char line[RECORD_LINE_MAX + 1]; /* of it, with a NUL */
	size_t loads, integrities, frees, attachments;
	int error; /* of describe_load() */
};

/* Hold it against the strict check. */
static inline void teller_check(struct teller *teller, const struct line *line)
{
	struct record_head checked;
	struct line_error error;

	teller->line[line->len] = 0;
	if (record_check(line->buf, line->len, &checked, &error))
		abort();
}

/* Encode, and hold it against the strict check. */
static inline void teller_encode(struct teller *teller, bool rejected)
{
	struct record_head head = { .seq = 1, .extend = true };
	struct line line;

	line_init(&line, teller->line, RECORD_LINE_MAX);
	if (rejected)
		record_encode_reject(&line, head, &teller->described.load);
	else
		record_encode_load(&line, head, &teller->described.load);
	teller_check(teller, &line);
}

/* Both kinds of record that an attachment may become. */
static inline void teller_attach(struct teller *teller, const struct collected_load *series)
{
	struct record_head head = { .seq = 1, .extend = true };
	struct record_attach attach = { .has_by = series->attach.has_task };
	struct record_detach detach = { .has_by = series->attach.has_task };
	struct line line;

	teller->described.enum_count = 0;
	describe_place(&teller->describe, &series->attach.place, &series->streams[STREAM_TARGET],
		&teller->described, &attach.place);
	describe_task(&series->attach.task, series, &teller->described, &attach.by);
	detach.place = attach.place;
	detach.by = attach.by;
	line_init(&line, teller->line, RECORD_LINE_MAX);
	record_encode_detach(&line, head, &detach);
	teller_check(teller, &line);
	line_init(&line, teller->line, RECORD_LINE_MAX);
	record_encode_attach(&line, head, &attach);
	teller_check(teller, &line);
}

static inline int teller_load(void *arg, const struct collected_load *load)
{
	struct teller *teller = arg;

	if (load->has_attach || (load->has_end && load->end.series == SERIES_ATTACH)) {
		teller->attachments++;
		teller_attach(teller, load);
		return 0;
	}
	teller->loads++;
	teller->error = describe_load(&teller->describe, load,
		programs_find(&teller->programs, load->end.parent_id), &teller->described);
	if (!teller->error)
		teller_encode(teller, load->end.error != 0);
	described_done(&teller->described);
	return 0;
}

static inline int teller_integrity(
	void *arg, const struct collected_load *load, const struct event_integrity *event)
{
	struct teller *teller = arg;
	struct record_head head = { .seq = 1, .extend = true };
	struct record_integrity integrity;
	struct line line;

	teller->integrities++;
	describe_integrity(&teller->describe, event, &integrity);
	integrity.program.id = (struct record_number){ load != NULL, event->id };
	line_init(&line, teller->line, RECORD_LINE_MAX);
	record_encode_integrity(&line, head, &integrity);
	teller_check(teller, &line);
	return 0;
}

static inline int teller_freed(void *arg, const struct event_free *event)
{
	struct teller *teller = arg;

	(void)event;
	teller->frees++;
	return 0;
}

static inline struct teller *teller_new(void)
{
	struct teller *teller = calloc(1, sizeof(*teller));

	assert(teller);
	collect_init(&teller->collect,
		&(struct collect_sink){ teller, teller_load, teller_integrity, teller_freed });
	teller->describe.probe = probe_new();
	assert(teller->describe.probe);
	return teller;
}

static inline void teller_free(struct teller *teller)
{
	collect_done(&teller->collect);
	programs_done(&teller->programs);
	probe_free((struct probe *)teller->describe.probe);
	free(teller);
}

/* The events of one load but for its last, and then something that hands it over. */
static inline void tell_but(struct teller *teller, const struct story *story, size_t but,
	int (*hand_over)(struct collect *collect))
{
	static struct tape tape;
	size_t loads = teller->loads;

	tape.end = tape.count = 0;
	tape_story(&tape, story);
	if (tape_play(&tape, &teller->collect, 0, tape.count - but) ||
		(hand_over && hand_over(&teller->collect)) || teller->loads != loads + 1 ||
		teller->error)
		abort();
	tape_done(&tape);
}

/* One load from its beginning to its end. */
static inline void tell(struct teller *teller, const struct story *story)
{
	tell_but(teller, story, 0, NULL);
}

static inline bool teller_is_gone(uint32_t, uint32_t)
{
	return true;
}

static inline int teller_give_up(struct collect *collect)
{
	int err = 0;

	for (int i = 0; i < COLLECT_GIVE_UP_PROG && !err; i++)
		err = collect_give_up(collect, teller_is_gone);
	return err;
}

/* One load whose end does not come. */
static inline void tell_without_end(struct teller *teller, const struct story *story)
{
	tell_but(teller, story, 1, teller_give_up);
}

#endif
