/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/cross.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	FIRST = 0,
	SECOND = CROSS_VIEW_COUNT,
	/* Ids that are tried though nobody lists them, or one view alone: some hundredths of a second. */
	UNLISTED_MAX = 1 << 15,
};

/* One look at the kernel. */
struct look {
	struct measurer *measurer;
	struct cross cross;
	unsigned pass; /* FIRST or SECOND: the place of its bits in seen */
	size_t ids_max; /* a list of more ids is made up */
};

void cross_done(struct cross *cross)
{
	free(cross->all);
	*cross = (struct cross){};
}

const char *cross_view_name(enum cross_view view)
{
	static const char *const names[] = {
		[CROSS_ITERATOR] = "iterator",
		[CROSS_IDS] = "ids",
		[CROSS_FD] = "fd",
	};

	return names[view];
}

/* ---- who was seen ---- */

static int compare(const void *one, const void *other)
{
	uint32_t a = ((const struct cross_program *)one)->id;
	uint32_t b = ((const struct cross_program *)other)->id;

	return (a > b) - (a < b);
}

/* The program with this id, new where there was none; NULL without memory. Ids come nearly in order. */
static struct cross_program *note(struct cross *cross, uint32_t id)
{
	size_t at = cross->count;

	while (at && cross->all[at - 1].id > id)
		at--;
	if (at && cross->all[at - 1].id == id)
		return &cross->all[at - 1];
	if (cross->count == cross->room) {
		size_t room = cross->room * 2 + 64;
		struct cross_program *grown = reallocarray(cross->all, room, sizeof(*cross->all));

		if (!grown)
			return NULL;
		cross->all = grown;
		cross->room = room;
	}
	memmove(&cross->all[at + 1], &cross->all[at], (cross->count - at) * sizeof(*cross->all));
	cross->all[at] = (struct cross_program){ .id = id };
	cross->count++;
	return &cross->all[at];
}

static bool was_seen(const struct cross_program *program, unsigned pass, enum cross_view view)
{
	return program->seen & 1U << (pass + view);
}

/* The kernel's names are plain; those of who falsifies its answers need not be. */
static void note_name(struct cross_program *program, const uint8_t name[static EVENT_NAME_LEN])
{
	size_t len = 0;

	for (; len < EVENT_NAME_LEN && name[len]; len++)
		program->name[len] = name[len] >= 0x20 && name[len] <= 0x7e ? (char)name[len] : '?';
	program->name[len] = 0;
}

static int note_known(void *arg, const struct program_known *known)
{
	struct look *look = arg;
	struct cross_program *program = note(&look->cross, known->id);

	if (!program)
		return -ENOMEM;
	program->load_time_ns = known->load_time_ns;
	return 0;
}

static int note_iterated(
	void *arg, const struct event_prog *prog, const struct event_map *maps, size_t map_count)
{
	struct look *look = arg;
	struct cross_program *program = note(&look->cross, prog->id);

	(void)maps;
	(void)map_count;
	if (!program)
		return -ENOMEM;
	program->load_time_ns = prog->load_time_ns;
	note_name(program, prog->name);
	program->seen |= 1U << (look->pass + CROSS_ITERATOR);
	return 0;
}

static int list_ids(struct look *look)
{
	uint32_t before = 0, id = 0;
	size_t count = 0;
	int err;

	/* One that does not come after the one before is no answer of the kernel's; nor are very many that
	 * nothing else shows: what comes behind them is not in this view. */
	while (!(err = probe_next_id(look->measurer->probe, before, &id)) && id > before &&
		count++ < look->ids_max) {
		struct cross_program *program = note(&look->cross, id);

		if (!program)
			return -ENOMEM;
		program->seen |= 1U << (look->pass + CROSS_IDS);
		before = id;
	}
	return err == -ENOENT ? 0 : err;
}

/* Returns 0, whatever the kernel says, or an error that is our own. */
static int open_one(struct look *look, struct cross_program *program)
{
	uint64_t load_time_ns = 0;
	uint8_t name[EVENT_NAME_LEN];
	int err = probe_program_get(look->measurer->probe, program->id, &load_time_ns, name);

	/* Who keeps us from our own hooks keeps us from the kernel's count of what they missed. */
	if ((err == -EPERM || err == -EACCES) && !probe_is_own(look->measurer->probe, program->id))
		program->refused |= 1U << CROSS_FD;
	if (err)
		return err == -ENOMEM || err == -EMFILE || err == -ENFILE ? err : 0;
	if (!program->load_time_ns)
		program->load_time_ns = load_time_ns;
	if (!program->name[0])
		note_name(program, name);
	if (program->load_time_ns == load_time_ns)
		program->seen |= 1U << (look->pass + CROSS_FD);
	return 0;
}

/* The newest ids that nobody has told of, at the first pass: at the second what was found is known. */
static int open_unlisted(struct look *look)
{
	struct cross *cross = &look->cross;
	uint32_t last = look->measurer->highest_id;
	uint8_t name[EVENT_NAME_LEN];
	uint64_t load_time_ns;
	int err = 0;

	for (uint32_t id = last, n = 0; id && n < UNLISTED_MAX && !err; id--, n++) {
		struct cross_program key = { .id = id };
		struct cross_program *found;

		if (bsearch(&key, cross->all, cross->count, sizeof(key), compare) ||
			probe_program_get(look->measurer->probe, id, &load_time_ns, name))
			continue;
		found = note(cross, id);
		err = found ? open_one(look, found) : -ENOMEM;
	}
	return err;
}

static int look_once(struct look *look, unsigned pass)
{
	int err;

	look->pass = pass;
	err = probe_baseline(look->measurer->probe, note_iterated, look);
	if (pass == FIRST)
		look->ids_max = look->cross.count + UNLISTED_MAX;
	if (!err)
		err = list_ids(look);
	for (size_t i = 0; i < look->cross.count && !err; i++)
		err = open_one(look, &look->cross.all[i]);
	return err || pass == SECOND ? err : open_unlisted(look);
}

/* ---- who is hidden ---- */

/* The order is iterator, ids, fd, and the same again: what was there before and after a question, and
 * is not in its answer, is hidden from it. Returns whether it was there at all. */
static bool judge(struct cross_program *program)
{
	bool iterated = was_seen(program, FIRST, CROSS_ITERATOR) &&
		was_seen(program, SECOND, CROSS_ITERATOR);
	bool opened = was_seen(program, FIRST, CROSS_FD) && was_seen(program, SECOND, CROSS_FD);

	if (iterated && !was_seen(program, FIRST, CROSS_FD))
		program->hidden |= 1U << CROSS_FD;
	if (iterated && !was_seen(program, FIRST, CROSS_IDS))
		program->hidden |= 1U << CROSS_IDS;
	if (opened && !was_seen(program, SECOND, CROSS_IDS))
		program->hidden |= 1U << CROSS_IDS;
	if (opened && !was_seen(program, SECOND, CROSS_ITERATOR))
		program->hidden |= 1U << CROSS_ITERATOR;
	program->hidden &= ~program->refused;
	return iterated || opened;
}

static void judge_all(struct cross *cross)
{
	size_t kept = 0;

	for (size_t i = 0; i < cross->count; i++)
		if (judge(&cross->all[i]))
			cross->all[kept++] = cross->all[i];
	cross->count = kept;
}

static void fault(struct measurer *measurer, const struct cross *cross)
{
	const struct cross_program *first = NULL;
	char views[32] = "";
	size_t count = 0, len = 0;

	for (size_t i = 0; i < cross->count; i++)
		if (cross->all[i].hidden && !count++)
			first = &cross->all[i];
	if (!first) {
		measurer_mended(measurer, FAULT_SLOT_PROGRAMS);
		return;
	}
	for (enum cross_view view = 0; view < CROSS_VIEW_COUNT; view++)
		if (first->hidden & 1U << view)
			len += (size_t)snprintf(views + len, sizeof(views) - len, "%s%s",
				len ? ", " : "", cross_view_name(view));
	measurer_fault(measurer, FAULT_SLOT_PROGRAMS, FAULT_PROGRAMS_HIDDEN,
		"%zu of %zu loaded programs are hidden, the first is id %u \"%s\" (missing in: %s)",
		count, cross->count, first->id, first->name, views);
}

/* Everything that happened up to now is in the log. */
static int catch_up(struct measurer *measurer)
{
	int err = measurer_drain(measurer);

	if (!err && measurer->more)
		err = -EAGAIN;
	return err;
}

static int look_twice(struct look *look)
{
	struct measurer *measurer = look->measurer;
	int err = catch_up(measurer);

	if (!err)
		err = measurer_baseline(measurer);
	if (!err)
		err = measurer_commit(measurer);
	if (!err)
		err = programs_each(&measurer->programs, note_known, look);
	if (!err)
		err = look_once(look, FIRST);
	if (!err)
		err = look_once(look, SECOND);
	return err ? err : catch_up(measurer);
}

int cross_check(struct measurer *measurer, struct cross *ret_cross)
{
	struct look look = { .measurer = measurer };
	int err = -EAGAIN;

	if (measurer_is_started(measurer) && !measurer->mend)
		err = look_twice(&look);
	if (err) {
		cross_done(&look.cross);
		return err;
	}
	judge_all(&look.cross);
	fault(measurer, &look.cross);
	*ret_cross = look.cross;
	return 0;
}
