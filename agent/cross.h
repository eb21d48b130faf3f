/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is a program hidden? The kernel can be asked in three ways what is loaded: by an iterator, whose
 * answers our own BPF program writes, by bpf(2) for one id after the other, and by bpf(2) for the
 * program that has an id. Who falsifies one of them is found by the others.
 *
 * The first two are lists; the third is asked for every id that any of them has, for those that were
 * recorded and not seen to end, and for the newest ids whoever had them.
 */
#ifndef AGENT_CROSS_H
#define AGENT_CROSS_H

#include "agent/measurer.h"

enum cross_view { CROSS_ITERATOR, CROSS_IDS, CROSS_FD, CROSS_VIEW_COUNT };

struct cross_program {
	uint32_t id;
	uint64_t load_time_ns;
	char name[EVENT_NAME_LEN + 1]; /* printable ASCII; empty where nobody told it */
	unsigned seen; /* when and where: this file's own */
	unsigned hidden; /* bits of enum cross_view: it was there, and this did not show it */
	unsigned refused; /* likewise: an LSM, say, does not let us see; no answer */
};

/* Programs that were loaded all the time while this was made, in the order of ids. */
struct cross {
	struct cross_program *all;
	size_t count, room;
};

void cross_done(struct cross *cross);

/* "iterator", "ids", "fd". */
const char *cross_view_name(enum cross_view view);

/*
 * Look, twice in each way, and record first what is loaded and was not recorded. Loads and ends that
 * go on meanwhile are nobody's fault: a program counts as hidden only where it was seen both before
 * and after it was not.
 *
 * What is found becomes a fault of the measurer, and ends one. Takes some microseconds a program,
 * and some hundredths of a second where many ids were given.
 *
 * Returns 0, and cross_done() is due; -EAGAIN where events come faster than they are recorded, or the
 * start is not over; another negative errno.
 */
[[nodiscard]] int cross_check(struct measurer *measurer, struct cross *ret_cross);

#endif
