/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loads to tell the collector about: a story is what happened in the kernel, a tape is the events
 * of it as they lie on the ring, to be played whole, in part, twice or in another order.
 *
 *	story_init()   a plain unsigned load that succeeded
 *	story_sign()   the same, signed, and everything about it as it should be
 *	tape_story()   its events, behind those that are on the tape
 *	tape_play()    some of them into a collector
 */
#ifndef TESTS_STORY_H
#define TESTS_STORY_H

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/collect.h"

enum { STORY_MAPS = 4, STORY_VERDICTS = 2, TAPE_MAX = 4096, TAPE_GAP = 8 /* BPF_RINGBUF_HDR_SZ */ };

struct story_bytes {
	const void *bytes;
	size_t len;
};

struct story {
	uint64_t number;
	uint64_t insns[4];
	unsigned verify_count;
	struct event_verify verify;
	size_t integrity_count;
	struct event_integrity integrity[STORY_VERDICTS];
	bool has_load;
	struct event_load load;
	struct story_bytes streams[STREAM_MAP];
	bool has_prog;
	struct event_prog prog;
	size_t map_count;
	struct event_map maps[STORY_MAPS];
	struct story_bytes contents[STORY_MAPS];
	struct event_end end;
};

struct tape_event {
	uint64_t begin; /* position on the ring */
	size_t len;
	struct event *event;
};

struct tape {
	size_t count;
	uint64_t end;
	uint64_t ticket;
	struct tape_event events[TAPE_MAX];
};

static inline void tape_done(struct tape *tape)
{
	for (size_t i = 0; i < tape->count; i++)
		free(tape->events[i].event);
	tape->count = 0;
}

/* A copy of an event, with its head; returns it for a test to spoil. */
static inline void *tape_put(
	struct tape *tape, uint64_t load, uint32_t type, const void *bytes, size_t len)
{
	struct event *event = malloc(len);

	assert(event && tape->count < TAPE_MAX);
	memcpy(event, bytes, len);
	*event = (struct event){
		.ticket = tape->ticket++, .load = load, .type = type, .size = (uint32_t)len
	};
	tape->events[tape->count++] =
		(struct tape_event){ .begin = tape->end, .len = len, .event = event };
	tape->end += len + TAPE_GAP;
	return event;
}

/* One piece; its event is as large as the BPF programs make it. */
static inline struct event_bytes *tape_piece(struct tape *tape, uint64_t load,
	enum event_stream stream, const void *bytes, uint64_t offset, size_t len)
{
	size_t room = len <= EVENT_BYTES_SMALL ? EVENT_BYTES_SMALL : EVENT_BYTES_LARGE;
	struct event_bytes *event = calloc(1, sizeof(*event) + room), *put;

	assert(event && len <= EVENT_BYTES_LARGE);
	event->offset = offset;
	event->len = (uint32_t)len;
	event->stream = stream;
	if (len)
		memcpy(event->data, bytes, len);
	put = tape_put(tape, load, EVENT_BYTES, event, sizeof(*event) + room);
	free(event);
	return put;
}

static inline void tape_bytes(
	struct tape *tape, uint64_t load, enum event_stream stream, struct story_bytes from)
{
	size_t at = 0;

	do {
		size_t len = from.len - at < EVENT_BYTES_LARGE ? from.len - at : EVENT_BYTES_LARGE;

		tape_piece(tape, load, stream, (const char *)from.bytes + at, at, len);
		at += len;
	} while (at < from.len);
}

static inline void tape_free(struct tape *tape, uint32_t id, uint64_t boottime_ns)
{
	struct event_free event = { .id = id, .boottime_ns = boottime_ns };

	tape_put(tape, 0, EVENT_FREE, &event, sizeof(event));
}

/* A verdict apart from any load. */
static inline struct event_integrity *tape_integrity(
	struct tape *tape, const struct event_integrity *event)
{
	return tape_put(tape, 0, EVENT_INTEGRITY, event, sizeof(*event));
}

static inline void tape_story(struct tape *tape, const struct story *story)
{
	struct event_end end = story->end;
	size_t begin = tape->count;
	uint64_t load = story->number;

	for (unsigned i = 0; i < story->verify_count; i++) {
		tape_bytes(tape, load, STREAM_SIGNED, story->streams[STREAM_SIGNED]);
		tape_bytes(tape, load, STREAM_SIGNATURE, story->streams[STREAM_SIGNATURE]);
		tape_put(tape, load, EVENT_VERIFY, &story->verify, sizeof(story->verify));
	}
	for (size_t i = 0; i < story->integrity_count; i++)
		tape_put(tape, load, EVENT_INTEGRITY, &story->integrity[i],
			sizeof(story->integrity[i]));
	if (story->has_load) {
		tape_put(tape, load, EVENT_LOAD, &story->load, sizeof(story->load));
		tape_bytes(tape, load, STREAM_CGROUP, story->streams[STREAM_CGROUP]);
		tape_bytes(tape, load, STREAM_EXE, story->streams[STREAM_EXE]);
		if (story->load.in_check)
			tape_bytes(tape, load, STREAM_INSNS, story->streams[STREAM_INSNS]);
	}
	if (story->has_prog)
		tape_put(tape, load, EVENT_PROG, &story->prog, sizeof(story->prog));
	for (size_t i = 0; i < story->map_count; i++) {
		tape_put(tape, load, EVENT_MAP, &story->maps[i], sizeof(story->maps[i]));
		if (story->maps[i].content_len)
			tape_bytes(tape, load, STREAM_MAP, story->contents[i]);
	}
	end.events = (uint32_t)(tape->count - begin);
	tape_put(tape, load, EVENT_END, &end, sizeof(end));
}

static inline int tape_play_one(const struct tape *tape, struct collect *collect, size_t i)
{
	const struct tape_event *event = &tape->events[i];

	return collect_event(collect, event->event, event->len, event->begin);
}

/* The events from ... end - 1. Returns the first error. */
static inline int tape_play(
	const struct tape *tape, struct collect *collect, size_t from, size_t end)
{
	int err = 0;

	for (size_t i = from; i < end && !err; i++)
		err = tape_play_one(tape, collect, i);
	return err;
}

/* insns: four of them, different in every load. */
static inline void story_init(struct story *story, uint64_t number)
{
	static const char exe[] = "loader\0bin\0usr", cgroup[] = "a.service\0system.slice\0";

	*story = (struct story){
		.number = number,
		.has_load = true,
		.load = {
			.boottime_ns = 1000 + number,
			.insns_len = sizeof(story->insns),
			.task = {
				.exe_inode = 12,
				.exe_dev = 34,
				.user_ns = 56,
				.pid = 101,
				.tgid = 100,
				.comm = "loader",
			},
			.prog_type = 6, /* xdp */
			.name = "prog",
			.in_check = 1,
		},
		.has_prog = true,
		.prog = {
			.load_time_ns = 2000 + number,
			.id = (uint32_t)(500 + number),
			.prog_type = 6,
			.insn_cnt = 4,
			.name = "prog",
			.digest = { 1, 2, 3 },
			.digest_len = EVENT_DIGEST_LEN,
		},
		.end = { .boottime_ns = 3000 + number, .tgid = 100 },
	};
	for (uint64_t i = 0; i < 4; i++)
		story->insns[i] = number << 32 | (i + 1) << 8 | 0xb7;
	story->streams[STREAM_EXE] = (struct story_bytes){ exe, sizeof(exe) };
	story->streams[STREAM_CGROUP] = (struct story_bytes){ cgroup, sizeof(cgroup) };
	story->streams[STREAM_INSNS] = (struct story_bytes){ story->insns, sizeof(story->insns) };
}

/* As the kernel's secondary keyring has it; the signature covers the instructions. */
static inline void story_sign(struct story *story)
{
	static const char signature[] = "not a CMS message, which nobody here minds";

	story->verify_count = 1;
	story->streams[STREAM_SIGNED] = story->streams[STREAM_INSNS];
	story->streams[STREAM_SIGNATURE] = (struct story_bytes){ signature, sizeof(signature) };
	story->verify = (struct event_verify){
		.data_len = sizeof(story->insns),
		.signature_len = sizeof(signature),
		.keyring_kind = 2,
	};
	story->prog.sig_known = 1;
	story->prog.sig_verdict = 1;
	story->prog.sig_keyring_kind = 2;
	story->end.signature_len = sizeof(signature);
}

/* As an LSM that checks integrity tells it; returns it for a test to spoil. */
static inline struct event_integrity *story_verdict(struct story *story, uint32_t verdict)
{
	struct event_integrity *integrity = &story->integrity[story->integrity_count++];

	assert(story->integrity_count <= STORY_VERDICTS);
	*integrity = (struct event_integrity){
		.boottime_ns = 500 + story->number,
		.verdict = verdict,
		.source = "lsm",
		.has_verdict = 1,
	};
	return integrity;
}

/* A frozen array of one value; returns it for a test to spoil. */
static inline struct event_map *story_map(struct story *story, const void *content, size_t len)
{
	struct event_map *map = &story->maps[story->map_count];

	assert(story->map_count < STORY_MAPS);
	*map = (struct event_map){
		.content_len = len,
		.index = (uint32_t)story->map_count,
		.id = (uint32_t)(900 + story->map_count),
		.map_type = 2, /* array */
		.key_size = 4,
		.value_size = (uint32_t)len,
		.max_entries = 1,
		.name = "map",
		.frozen = 1,
		.exclusive = 1,
	};
	story->contents[story->map_count++] = (struct story_bytes){ content, len };
	story->prog.map_count = (uint32_t)story->map_count;
	return map;
}

#endif
