/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From events to loads: puts the pieces of one load together and hands it over when it has ended.
 *
 * It knows the ring's events (bpf/event.h) and nothing of the kernel, the database or the TPM, so
 * that tests can hand it events of their own. Everything in an event is checked before it is used:
 * root can write to the ring.
 */
#ifndef AGENT_COLLECT_H
#define AGENT_COLLECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/seen.h"
#include "bpf/event.h"

enum {
	COLLECT_INSNS_MAX = 1000000 * 8, /* BPF_COMPLEXITY_LIMIT_INSNS */
	COLLECT_SIGNED_MAX = 32 << 20,
	COLLECT_SIGNATURE_MAX = 64 << 10,
	COLLECT_TEXT_MAX = 4096,
	COLLECT_HELD_MAX = 96 << 20, /* of all unfinished loads; what exceeds it is dropped */
};

/* Bytes that arrived in pieces. */
struct collected_bytes {
	uint8_t *bytes;
	size_t len;
	size_t room;
	bool broken; /* a piece was missing or made no sense: this is a beginning at most */
};

struct collected_map {
	struct event_map map;
	struct collected_bytes content;
};

/* One series that has ended: a load, where end.series says so. What never arrived is absent: has_* false, bytes empty. */
struct collected_load {
	uint64_t number;
	bool has_load;
	bool has_prog;
	unsigned verify_count; /* before the load event; verify is the last of them */
	struct event_load load;
	struct event_verify verify;
	struct event_prog prog;
	struct event_end end;
	struct collected_bytes streams[STREAM_MAP]; /* by enum event_stream */
	size_t map_count;
	struct collected_map *maps;
	bool freed; /* the program's end came before the load's */
	uint64_t freed_boottime_ns;

	bool handed; /* and only its program's end was refused */
	uint64_t ring_begin; /* where its first event began */
	unsigned events;
	struct collected_load *next;
};

/* Whether every event that was sent for a load that has ended arrived, each once. */
bool collected_is_complete(const struct collected_load *load);

/* Both return 0, or a negative errno that ends collect_event() and is returned by it. */
struct collect_sink {
	void *arg;
	int (*load)(void *arg, const struct collected_load *load); /* end.series tells what it is */
	int (*free)(void *arg, const struct event_free *event);
};

struct collect {
	struct collect_sink sink;
	struct seen tickets; /* that arrived */
	struct seen loads; /* that were handed over */
	struct collected_load *unfinished;
	size_t held;
	uint64_t malformed; /* events that made no sense */
};

void collect_init(struct collect *collect, const struct collect_sink *sink);
void collect_done(struct collect *collect);

/*
 * Take one event of len bytes that begins at a position of the ring. Events of loads that were
 * handed over before are passed by: after a crash the ring tells them again.
 *
 * Returns 0, -ENOMEM, or what the sink returned: then the event counts as not taken.
 */
[[nodiscard]] int collect_event(
	struct collect *collect, const void *data, size_t len, uint64_t ring_begin);

/* An end that did not come by the ring. */
[[nodiscard]] int collect_end(struct collect *collect, const struct event_end *end);

/* The position up to which the ring is not needed any more, when everything up to read
 * was taken. */
uint64_t collect_needs_from(const struct collect *collect, uint64_t read);

#endif
