/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whatever is on the ring, the collector hands over loads that can be described, and each has a
 * line that record_check() accepts (teller.h aborts otherwise).
 *
 * Input: events, each a byte for its type, one for its load, two for the length of what follows,
 * and that: the event behind its head; what is missing of its size is zeros. Type 15: a whole
 * event, head and all, of exactly that length. An odd load number is a restart before the event; a verdict
 * of a number above the loads' comes apart from them.
 */
#include "tests/teller.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { EVENT_MAX = 65536 + sizeof(struct event), RAW = 15, LOADS = 4 };

static const size_t sizes[RAW] = {
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

static void restart(struct collect *collect)
{
	static struct seen tickets, loads;
	struct collect_sink sink = collect->sink;

	tickets = collect->tickets;
	loads = collect->loads;
	collect_done(collect);
	assert(collect->held == 0);
	collect_init(collect, &sink);
	collect->tickets = tickets;
	collect->loads = loads;
}

/* Returns the bytes of the input that it took. */
static size_t one(struct teller *teller, const uint8_t *bytes, size_t len, uint64_t position)
{
	static _Alignas(8) uint8_t event[EVENT_MAX];
	unsigned type = bytes[0] % 16;
	size_t take = bytes[2] | (size_t)bytes[3] << 8, size;
	struct event head = { .ticket = position, .type = type, .load = bytes[1] / 2 % LOADS + 1 };

	if (bytes[1] % 2)
		restart(&teller->collect);
	if (take > len - 4)
		take = len - 4;
	if (type == RAW) {
		size = take;
		memcpy(event, bytes + 4, take);
	} else {
		if (type == EVENT_FREE || (type == EVENT_INTEGRITY && bytes[1] / 2 >= LOADS))
			head.load = 0;
		size = sizeof(head) + take > sizes[type] ? sizeof(head) + take : sizes[type];
		memset(event, 0, size);
		memcpy(event, &head, sizeof(head));
		memcpy(event + sizeof(head), bytes + 4, take);
	}
	if (collect_event(&teller->collect, event, size, position) || teller->error)
		abort();
	assert(teller->collect.held <= COLLECT_HELD_MAX);
	assert(collect_needs_from(&teller->collect, position + 1) <= position + 1);
	return 4 + take;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct teller *teller = teller_new();
	uint8_t saved[SEEN_SAVED_MAX];
	static struct seen back;

	for (uint64_t position = 0; len >= 4; position++) {
		size_t took = one(teller, bytes, len, position);

		bytes += took;
		len -= took;
	}
	assert(seen_restore(&back, saved, seen_save(&teller->collect.tickets, saved)));
	assert(seen_restore(&back, saved, seen_save(&teller->collect.loads, saved)));
	teller_free(teller);
	return 0;
}
