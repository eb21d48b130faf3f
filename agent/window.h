/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The window: how long after a load returned its record was durable, and how long until it was in the TPM. A
 * machine that dies within it can lose the record. Counted by how long, for status and metrics.
 */
#ifndef AGENT_WINDOW_H
#define AGENT_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	DURATION_BOUNDS = 22, /* 10 us, 20 us, 50 us, ... 100 s */
	WINDOW_WAITING_MAX = 65536, /* records; of more that wait none is counted */
};

/* So many took at most duration_bound_us(i) and more than the one before; the last ones took longer. */
struct durations {
	uint64_t counts[DURATION_BOUNDS + 1];
	uint64_t sum_us;
};

uint64_t duration_bound_us(size_t i);
void durations_add(struct durations *durations, uint64_t ns);

struct window_load {
	uint64_t seq;
	uint64_t since_ns; /* when the load returned, on the clock of boottime_ns */
};

/* Zeroed: nothing happened yet. */
struct window {
	struct durations durable, extended;
	struct window_load *waiting; /* for their extend: a ring of room, by seq */
	size_t begin, count, room;
};

/* Nothing waits any more; what was counted stays. */
void window_done(struct window *window);

/* A load's record was made durable at now_ns. Without memory it is not counted as extended. */
void window_durable(struct window *window, const struct window_load *load, uint64_t now_ns);

/* The records up to seq are in the TPM. */
void window_extended(struct window *window, uint64_t seq, uint64_t now_ns);

/* What waits never will be: another epoch has begun. */
void window_forget(struct window *window);

/* How long the oldest has been waiting; 0: none waits. */
uint64_t window_oldest_ns(const struct window *window, uint64_t now_ns);

#endif
