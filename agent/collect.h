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
	COLLECT_INTEGRITY_MAX = 16, /* verdicts on one load; an LSM gives one */
	COLLECT_HELD_MAX = 96 << 20, /* of all unfinished loads; what exceeds it is dropped */
	COLLECT_LATE_MAX = 16,
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

/* One series that has ended: a load, or an attachment where end.series or has_attach says so. What never arrived is absent: has_*
 * false, bytes empty; without has_end nothing in end is known. */
struct collected_load {
	uint64_t number;
	bool has_load;
	bool has_prog;
	bool has_attach;
	bool has_end;
	unsigned verify_count; /* before the load event; verify is the last of them */
	struct event_load load;
	struct event_verify verify;
	struct event_prog prog;
	struct event_attach attach;
	struct event_end end;
	struct collected_bytes streams[STREAM_MAP]; /* by enum event_stream */
	size_t map_count;
	struct collected_map *maps;
	size_t integrity_count;
	struct event_integrity *integrity; /* verdicts on it, in their order */
	bool freed; /* the program's end came before the load's */
	uint64_t freed_boottime_ns;

	bool handed; /* and only what follows it was refused: a verdict or its program's end, */
	size_t integrity_handed; /* with these verdicts not among it */
	uint64_t ring_begin; /* where its first event began */
	unsigned events;
	unsigned idle; /* collect_give_up() came by so often since its last event */
	bool gone; /* its thread was, when that came by last */
	struct collected_load *next;
};

/* Whether every event that was sent for a load that has ended arrived, each once. */
bool collected_is_complete(const struct collected_load *load);

/*
 * All return 0, or a negative errno that ends collect_event() and is returned by it.
 *
 * integrity  a verdict on a load that was handed over: right after it, or later where the sink refused it
 *            then. Or, load NULL, one that came apart from any.
 */
struct collect_sink {
	void *arg;
	int (*load)(void *arg, const struct collected_load *load); /* end.series tells what it is */
	int (*integrity)(
		void *arg, const struct collected_load *load, const struct event_integrity *event);
	int (*free)(void *arg, const struct event_free *event);
};

/* Loads that were handed over without their end, which may yet come: the last so many, 0 for none. */
struct collect_late {
	uint64_t numbers[COLLECT_LATE_MAX];
	uint64_t next;
};

/*
 * Of every load that has a number, one of these is handed over, and once:
 *
 *  - it with its end, which the last hook sends, or the first one of the same task's next load;
 *  - it without, where collect_give_up() finds that no end will come: the kernel passes by a hook now
 *    and then, the last one too. What comes of it all the same is passed by, as it is in `late`.
 *
 * After a crash the ring tells some of it again: `loads` and `tickets` know what was handed over.
 */
struct collect {
	struct collect_sink sink;
	struct seen tickets; /* that arrived */
	struct seen loads; /* that were handed over */
	struct collect_late late;
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

/*
 * Hand over the loads that are over and whose end has not come: for about once a second, when
 * everything was taken that was on the ring, and in the ends, a second ago.
 *
 * A load that has its program ends at once after that: it is over after COLLECT_GIVE_UP_PROG times. One
 * that may be in the verifier, for however long, when its thread is gone. One of which not even that came
 * is about to, or was refused: COLLECT_GIVE_UP times.
 *
 * is_gone  whether a thread has ended.
 *
 * Returns 0, or what the sink returned: then the load will be handed over the next time.
 */
enum { COLLECT_GIVE_UP_PROG = 3, COLLECT_GIVE_UP = 15 };
[[nodiscard]] int collect_give_up(
	struct collect *collect, bool (*is_gone)(uint32_t tgid, uint32_t pid));

/* The position up to which the ring is not needed any more, when everything up to read
 * was taken. */
uint64_t collect_needs_from(const struct collect *collect, uint64_t read);

#endif
