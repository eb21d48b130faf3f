/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/window.h"

#include <stdlib.h>
#include <string.h>

static const uint32_t bounds_us[DURATION_BOUNDS] = { 10, 20, 50, 100, 200, 500, 1000, 2000, 5000,
	10000, 20000, 50000, 100000, 200000, 500000, 1000000, 2000000, 5000000, 10000000, 20000000,
	50000000, 100000000 };

uint64_t duration_bound_us(size_t i)
{
	return bounds_us[i];
}

void durations_add(struct durations *durations, uint64_t ns)
{
	size_t i = 0;

	while (i < DURATION_BOUNDS && ns > bounds_us[i] * 1000ULL)
		i++;
	durations->counts[i]++;
	durations->sum_us += ns / 1000;
}

/* Clocks of two processors may differ a little. */
static uint64_t since(uint64_t then_ns, uint64_t now_ns)
{
	return now_ns > then_ns ? now_ns - then_ns : 0;
}

void window_done(struct window *window)
{
	free(window->waiting);
	*window = (struct window){ .durable = window->durable, .extended = window->extended };
}

/* Room for one more, the oldest first. */
static bool reserve(struct window *window)
{
	size_t room = window->room ? window->room * 2 : 64;
	struct window_load *grown;

	if (window->count < window->room)
		return true;
	grown = room <= WINDOW_WAITING_MAX ? calloc(room, sizeof(*grown)) : NULL;
	if (!grown)
		return false;
	for (size_t i = 0; i < window->count; i++)
		grown[i] = window->waiting[(window->begin + i) % window->room];
	free(window->waiting);
	window->waiting = grown;
	window->begin = 0;
	window->room = room;
	return true;
}

void window_durable(struct window *window, const struct window_load *load, uint64_t now_ns)
{
	durations_add(&window->durable, since(load->since_ns, now_ns));
	if (reserve(window))
		window->waiting[(window->begin + window->count++) % window->room] = *load;
}

void window_extended(struct window *window, uint64_t seq, uint64_t now_ns)
{
	while (window->count && window->waiting[window->begin].seq <= seq) {
		durations_add(
			&window->extended, since(window->waiting[window->begin].since_ns, now_ns));
		window->begin = (window->begin + 1) % window->room;
		window->count--;
	}
}

void window_forget(struct window *window)
{
	window->count = 0;
}

uint64_t window_oldest_ns(const struct window *window, uint64_t now_ns)
{
	return window->count ? since(window->waiting[window->begin].since_ns, now_ns) : 0;
}
