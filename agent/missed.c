/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel's own count of hooks that it passed by comes to, where nothing else shows it.
 *
 * What was attached: it is lost.
 *
 * Ends of programs, also where the ring was full: every program that is known is looked for in the kernel,
 * twice, so that one whose end is under way is not taken for it: the kernel gives up the id some time
 * before our hook runs. It has ended where all three ways to ask say so: a rootkit may falsify two.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/measurer.h"

enum { LOOK_S = 4, LOOK_AGAIN_S = 2 }; /* until both are done, and from the first to the second */

static bool is_loaded(struct measurer *measurer, uint32_t id)
{
	uint8_t name[EVENT_NAME_LEN];
	uint64_t load_time_ns;
	uint32_t next = 0;
	int err = probe_next_id(measurer->probe, id - 1, &next);

	if ((err && err != -ENOENT) || next == id)
		return true;
	return probe_program_get(measurer->probe, id, &load_time_ns, name) != -ENOENT;
}

static int look_for(void *arg, const struct program_known *program)
{
	struct measurer *measurer = arg;

	if (is_loaded(measurer, program->id))
		return 0;
	if (measurer->gone_count == measurer->gone_room) {
		size_t room = measurer->gone_room * 2 + 16;
		uint32_t *grown = reallocarray(measurer->gone, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		measurer->gone = grown;
		measurer->gone_room = room;
	}
	measurer->gone[measurer->gone_count++] = program->id;
	return 0;
}

static int take(struct measurer *measurer, uint32_t id)
{
	struct event_free event = { .id = id };
	struct timespec now;
	int err;

	if (!programs_find(&measurer->programs, id) || is_loaded(measurer, id))
		return 0;
	clock_gettime(CLOCK_BOOTTIME, &now);
	event.boottime_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	err = measurer_put_unload(measurer, &event);
	if (!err)
		measurer->ended[measurer->ended_next++ % MEASURER_ENDED_MAX] = id;
	return err;
}

bool measurer_is_ended(struct measurer *measurer, uint32_t id)
{
	for (size_t i = 0; i < MEASURER_ENDED_MAX; i++) {
		if (measurer->ended[i] != id)
			continue;
		measurer->ended[i] = 0;
		return true;
	}
	return false;
}

static int compare(const void *one, const void *other)
{
	uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;

	return (a > b) - (a < b);
}

static int is_iterated(
	void *arg, const struct event_prog *prog, const struct event_map *maps, size_t map_count)
{
	struct measurer *measurer = arg;
	uint32_t *found = bsearch(
		&prog->id, measurer->gone, measurer->gone_count, sizeof(*measurer->gone), compare);

	(void)maps;
	(void)map_count;
	if (!found)
		return 0;
	measurer->gone_count--;
	memmove(found, found + 1,
		(size_t)(measurer->gone + measurer->gone_count - found) * sizeof(*found));
	return 0;
}

/* Returns 0 or a negative errno. */
static int look(struct measurer *measurer)
{
	int err = 0;

	measurer->ends_wait--;
	if (measurer->ends_wait == LOOK_AGAIN_S) {
		measurer->gone_count = 0;
		err = programs_each(&measurer->programs, look_for, measurer);
	}
	if (!measurer->ends_wait && measurer->gone_count &&
		probe_baseline(measurer->probe, is_iterated, measurer))
		measurer->ends_wait = LOOK_S; /* nobody can tell now */
	while (!measurer->ends_wait && !err && measurer->gone_count) {
		err = take(measurer, measurer->gone[measurer->gone_count - 1]);
		measurer->gone_count -= !err;
	}
	if (err)
		measurer->ends_wait = LOOK_S;
	return err;
}

/* Nothing else would show them. */
static int give_up_attachments(struct measurer *measurer)
{
	uint64_t missed = measurer->missed.attachments;
	int err = 0;

	if (missed > measurer->attachments_lost)
		err = measurer_put_lost(
			measurer, LOST_ATTACHMENTS, missed - measurer->attachments_lost, 0, 0);
	if (!err)
		measurer->attachments_lost = missed;
	return err;
}

void measurer_missed_find(struct measurer *measurer)
{
	uint64_t frees = measurer->missed.hooks[HOOK_FREE];
	uint64_t dropped = probe_state(measurer->probe)->dropped_events;
	int err;

	if (probe_missed(measurer->probe, &measurer->missed))
		return; /* the next second may tell */
	err = give_up_attachments(measurer);
	if (measurer->missed.hooks[HOOK_FREE] != frees || dropped != measurer->missed_dropped)
		measurer->ends_due = true;
	measurer->missed_dropped = dropped;
	if (measurer->ends_due && !measurer->ends_wait) {
		measurer->ends_due = false;
		measurer->ends_wait = LOOK_S;
	} else if (!err && measurer->ends_wait && measurer->read_end >= measurer->idle_written) {
		err = look(measurer);
	}
	if (err)
		measurer_fail_log(measurer, err);
}

uint64_t measurer_missed(const struct measurer *measurer)
{
	uint64_t sum = 0;

	for (enum event_hook hook = 0; hook < HOOK_COUNT; hook++)
		sum += measurer->missed.hooks[hook];
	return sum;
}
