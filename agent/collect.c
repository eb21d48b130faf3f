/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/collect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void collect_init(struct collect *collect, const struct collect_sink *sink)
{
	memset(collect, 0, sizeof(*collect));
	collect->sink = *sink;
	seen_init(&collect->tickets, 0);
	seen_init(&collect->loads, 1);
}

bool collected_is_complete(const struct collected_load *load)
{
	return load->has_end && load->events == load->end.events && !load->end.dropped;
}

static void bytes_drop(struct collect *collect, struct collected_bytes *bytes)
{
	collect->held -= bytes->len;
	free(bytes->bytes);
	bytes->bytes = NULL;
	bytes->len = 0;
}

static void load_free(struct collect *collect, struct collected_load *load)
{
	for (size_t i = 0; i < STREAM_MAP; i++)
		bytes_drop(collect, &load->streams[i]);
	for (size_t i = 0; i < load->map_count; i++)
		bytes_drop(collect, &load->maps[i].content);
	collect->held -= sizeof(*load) + load->map_count * sizeof(*load->maps) +
		load->integrity_count * sizeof(*load->integrity);
	free(load->integrity);
	free(load->maps);
	free(load);
}

void collect_done(struct collect *collect)
{
	while (collect->unfinished) {
		struct collected_load *load = collect->unfinished;

		collect->unfinished = load->next;
		load_free(collect, load);
	}
}

static struct collected_load **load_find(struct collect *collect, uint64_t number)
{
	struct collected_load **at = &collect->unfinished;

	while (*at && (*at)->number != number)
		at = &(*at)->next;
	return at;
}

static int load_new(
	struct collect *collect, struct collected_load **at, uint64_t number, uint64_t ring_begin)
{
	*at = calloc(1, sizeof(**at));
	if (!*at)
		return -ENOMEM;
	(*at)->number = number;
	(*at)->ring_begin = ring_begin;
	collect->held += sizeof(**at);
	return 0;
}

static size_t stream_max(uint32_t stream)
{
	switch (stream) {
	case STREAM_INSNS:
		return COLLECT_INSNS_MAX;
	case STREAM_SIGNATURE:
		return COLLECT_SIGNATURE_MAX;
	case STREAM_EXE:
	case STREAM_CGROUP:
	case STREAM_TARGET:
		return COLLECT_TEXT_MAX;
	default:
		return COLLECT_SIGNED_MAX;
	}
}

/* Pieces of one stream come in order, from one task: one that does not follow shows one that
 * is lost. */
static int bytes_add(struct collect *collect, struct collected_bytes *bytes,
	const struct event_bytes *event, size_t max)
{
	if (bytes->broken || (!event->len && event->offset == bytes->len))
		return 0;
	if (event->offset != bytes->len || event->len > max - bytes->len ||
		collect->held + event->len > COLLECT_HELD_MAX) {
		bytes->broken = true;
		return 0;
	}
	if (bytes->len + event->len > bytes->room) {
		size_t room = (bytes->len + event->len) * 2;
		uint8_t *grown = realloc(bytes->bytes, room);

		if (!grown)
			return -ENOMEM;
		bytes->bytes = grown;
		bytes->room = room;
	}
	memcpy(bytes->bytes + bytes->len, event->data, event->len);
	bytes->len += event->len;
	collect->held += event->len;
	return 0;
}

static int take_bytes(struct collect *collect, struct collected_load *load,
	const struct event_bytes *event, size_t len)
{
	struct collected_bytes *bytes;

	if (event->len > len - sizeof(*event) || event->stream >= STREAM_COUNT ||
		(event->stream == STREAM_MAP && !load->map_count)) {
		collect->malformed++;
		return 0;
	}
	/* As with EVENT_VERIFY: after the load event it is not the kernel's own verification. */
	if (load->has_load && event->stream <= STREAM_SIGNATURE)
		return 0;
	bytes = event->stream == STREAM_MAP ? &load->maps[load->map_count - 1].content
					    : &load->streams[event->stream];
	return bytes_add(collect, bytes, event, stream_max(event->stream));
}

static int take_map(
	struct collect *collect, struct collected_load *load, const struct event_map *event)
{
	struct collected_map *grown;

	if (load->map_count == EVENT_MAPS_MAX || collect->held + sizeof(*grown) > COLLECT_HELD_MAX)
		return 0;
	grown = reallocarray(load->maps, load->map_count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	load->maps = grown;
	load->maps[load->map_count++] = (struct collected_map){ .map = *event };
	collect->held += sizeof(*grown);
	return 0;
}

static uint64_t *late_find(struct collect *collect, uint64_t number)
{
	for (size_t i = 0; i < COLLECT_LATE_MAX; i++)
		if (collect->late.numbers[i] == number)
			return &collect->late.numbers[i];
	return NULL;
}

static int integrity_add(
	struct collect *collect, struct collected_load *load, const struct event_integrity *event)
{
	struct event_integrity *grown;

	if (load->integrity_count == COLLECT_INTEGRITY_MAX ||
		collect->held + sizeof(*grown) > COLLECT_HELD_MAX) {
		collect->malformed++;
		return 0;
	}
	grown = reallocarray(load->integrity, load->integrity_count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	load->integrity = grown;
	load->integrity[load->integrity_count++] = *event;
	collect->held += sizeof(*grown);
	return 0;
}

/* The load has ended: hand it over, and with it the verdicts on it, and its program's end where that was
 * faster. */
static int finish(struct collect *collect, struct collected_load **at)
{
	struct collected_load *load = *at;
	int err = load->handed ? 0 : collect->sink.load(collect->sink.arg, load);

	if (err)
		return err;
	load->handed = true;
	for (; load->integrity_handed < load->integrity_count; load->integrity_handed++) {
		err = collect->sink.integrity(
			collect->sink.arg, load, &load->integrity[load->integrity_handed]);
		if (err)
			return err;
	}
	if (load->freed) {
		struct event_free event = { .boottime_ns = load->freed_boottime_ns,
			.id = load->prog.id };

		err = collect->sink.free(collect->sink.arg, &event);
		if (err)
			return err;
	}
	seen_add(&collect->loads, load->number);
	*at = load->next;
	load_free(collect, load);
	return 0;
}

/* The load of the program that has this id, where that is not over yet. */
static struct collected_load *load_of_program(struct collect *collect, uint32_t id)
{
	struct collected_load *load = collect->unfinished;

	while (load && (!load->has_prog || load->prog.id != id))
		load = load->next;
	return load;
}

static int take_free(struct collect *collect, const struct event_free *event)
{
	struct collected_load *load = load_of_program(collect, event->id);

	if (load) {
		load->freed = true;
		load->freed_boottime_ns = event->boottime_ns;
		return 0;
	}
	if (seen_has(&collect->tickets, event->event.ticket))
		return 0;
	return collect->sink.free(collect->sink.arg, event);
}

static int take_integrity(struct collect *collect, const struct event_integrity *event)
{
	struct collected_load *load = event->id ? load_of_program(collect, event->id) : NULL;

	if (load)
		return integrity_add(collect, load, event);
	if (seen_has(&collect->tickets, event->event.ticket))
		return 0;
	return collect->sink.integrity(collect->sink.arg, NULL, event);
}

/* Bytes of an event of this type at least, or 0 for a type that is none of ours. */
static size_t event_size(uint32_t type)
{
	static const size_t sizes[] = {
		[EVENT_BYTES] = sizeof(struct event_bytes),
		[EVENT_VERIFY] = sizeof(struct event_verify),
		[EVENT_LOAD] = sizeof(struct event_load),
		[EVENT_PROG] = sizeof(struct event_prog),
		[EVENT_MAP] = sizeof(struct event_map),
		[EVENT_END] = sizeof(struct event_end),
		[EVENT_FREE] = sizeof(struct event_free),
		[EVENT_INTEGRITY] = sizeof(struct event_integrity),
		[EVENT_ATTACH] = sizeof(struct event_attach),
	};

	return type < sizeof(sizes) / sizeof(*sizes) ? sizes[type] : 0;
}

static int take(
	struct collect *collect, struct collected_load **at, const struct event *event, size_t len)
{
	struct collected_load *load = *at;
	const void *data = event;

	switch (event->type) {
	case EVENT_BYTES:
		return take_bytes(collect, load, data, len);
	case EVENT_VERIFY:
		if (!load->has_load) {
			load->verify_count++;
			memcpy(&load->verify, data, sizeof(load->verify));
		}
		return 0;
	case EVENT_LOAD:
		memcpy(&load->load, data, sizeof(load->load));
		load->has_load = true;
		return 0;
	case EVENT_PROG:
		memcpy(&load->prog, data, sizeof(load->prog));
		load->has_prog = true;
		return 0;
	case EVENT_ATTACH:
		memcpy(&load->attach, data, sizeof(load->attach));
		load->has_attach = true;
		return 0;
	case EVENT_MAP:
		return take_map(collect, load, data);
	case EVENT_INTEGRITY:
		return integrity_add(collect, load, data);
	default:
		memcpy(&load->end, data, sizeof(load->end));
		load->has_end = true;
		return finish(collect, at);
	}
}

/* An event of a load that is under way or begins with it. */
static int take_of_load(
	struct collect *collect, const struct event *event, size_t len, uint64_t ring_begin)
{
	struct collected_load **at = load_find(collect, event->load);
	uint64_t *late = *at ? NULL : late_find(collect, event->load);
	int err;

	if (late) {
		if (event->type == EVENT_END)
			*late = 0;
		return 0;
	}
	if (!*at) {
		/* Handed over before, and told again. A number alone does not show that: one far
		 * ahead makes all before it count as seen. */
		if (seen_has(&collect->loads, event->load) &&
			seen_has(&collect->tickets, event->ticket))
			return 0;
		if (event->type != EVENT_END && collect->held + sizeof(**at) > COLLECT_HELD_MAX) {
			collect->malformed++;
			return 0;
		}
		err = load_new(collect, at, event->load, ring_begin);
		if (err)
			return err;
	}
	(*at)->idle = 0;
	if (event->type == EVENT_END)
		return take(collect, at, event, len);
	err = take(collect, at, event, len);
	(*at)->events += !err;
	return err;
}

int collect_event(struct collect *collect, const void *data, size_t len, uint64_t ring_begin)
{
	const struct event *event = data;
	int err;

	if (len < sizeof(*event) || !event_size(event->type) || len < event_size(event->type) ||
		(event->load == 0 ? event->type != EVENT_FREE && event->type != EVENT_INTEGRITY
				  : event->type == EVENT_FREE) ||
		(event->type == EVENT_END &&
			((const struct event_end *)data)->series >= SERIES_COUNT)) {
		collect->malformed++;
		return 0;
	}
	if (event->type == EVENT_FREE)
		err = take_free(collect, data);
	else if (!event->load)
		err = take_integrity(collect, data);
	else
		err = take_of_load(collect, event, len, ring_begin);
	if (!err)
		seen_add(&collect->tickets, event->ticket);
	return err;
}

int collect_end(struct collect *collect, const struct event_end *end)
{
	return collect_event(collect, end, sizeof(*end), UINT64_MAX);
}

static bool is_over(struct collected_load *load, bool gone)
{
	bool was_gone = load->gone;

	load->idle++;
	load->gone = gone;
	if (load->has_prog)
		return load->idle >= COLLECT_GIVE_UP_PROG;
	if (load->has_load)
		return was_gone; /* before the ring was last read: what it had sent was there */
	return load->idle >= COLLECT_GIVE_UP;
}

int collect_give_up(struct collect *collect, bool (*is_gone)(uint32_t tgid, uint32_t pid))
{
	struct collected_load **at = &collect->unfinished;

	while (*at) {
		struct collected_load *load = *at;
		bool gone = load->has_load && is_gone(load->load.task.tgid, load->load.task.pid);
		uint64_t number = load->number;
		int err;

		if (!load->handed && !is_over(load, gone)) {
			at = &load->next;
			continue;
		}
		err = finish(collect, at);
		if (err)
			return err;
		if (!gone)
			collect->late.numbers[collect->late.next++ % COLLECT_LATE_MAX] = number;
	}
	return 0;
}

uint64_t collect_needs_from(const struct collect *collect, uint64_t read)
{
	uint64_t from = read;

	for (const struct collected_load *load = collect->unfinished; load; load = load->next)
		if (load->ring_begin < from)
			from = load->ring_begin;
	return from;
}
