/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A set of numbers that arrive nearly in order, each once: tickets of events, numbers of loads.
 * What does not arrive is a hole.
 *
 * Everything below `low` is in the set; of the SEEN_WINDOW numbers from there on a bit says so.
 */
#ifndef AGENT_SEEN_H
#define AGENT_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SEEN_WINDOW = 1 << 15, SEEN_SAVED_MAX = 24 + SEEN_WINDOW / 8 };

struct seen {
	uint64_t low;
	uint64_t end; /* one more than the largest number in the set, or low */
	uint64_t lost; /* holes that were pushed out and not reported yet; the caller's to reset */
	uint64_t bits[SEEN_WINDOW / 64];
};

/* An empty set whose first number is to be first. */
void seen_init(struct seen *seen, uint64_t first);

bool seen_has(const struct seen *seen, uint64_t number);

/* Numbers missing between low and end. */
uint64_t seen_holes(const struct seen *seen);

/* Add a number. One that is a whole window ahead pushes the oldest holes out: they count
 * as lost. */
void seen_add(struct seen *seen, uint64_t number);

/*
 * Give up the holes below limit. Returns how many there were; ret_first and ret_last (written if
 * there were any) enclose them.
 */
uint64_t seen_give_up(struct seen *seen, uint64_t limit, uint64_t *ret_first, uint64_t *ret_last);

/* The set as bytes, few where it has few holes, for this machine to read again. Returns
 * how many. */
size_t seen_save(const struct seen *seen, uint8_t ret_bytes[static SEEN_SAVED_MAX]);

/* Returns how many bytes were read; 0 where they are no set. */
size_t seen_restore(struct seen *ret_seen, const uint8_t *bytes, size_t len);

#endif
