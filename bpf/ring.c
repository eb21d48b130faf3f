/* SPDX-License-Identifier: BSD-2-Clause */
#include "bpf/ring.h"

#include <assert.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct ring {
	_Atomic unsigned long *consumer; /* a page that both sides write */
	const char *producer; /* a page that the kernel writes, then the data, mapped twice */
	const char *data;
	size_t page;
	size_t size;
	uint64_t next; /* where reading goes on */
	uint64_t released; /* what consumer was set to last */
};

int ring_open(int map_fd, size_t size, struct ring **ret_ring)
{
	[[gnu::cleanup(ring_closep)]] struct ring *ring = calloc(1, sizeof(*ring));
	void *map;

	if (!ring)
		return -ENOMEM;
	ring->page = (size_t)sysconf(_SC_PAGESIZE);
	ring->size = size;
	map = mmap(NULL, ring->page, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	ring->consumer = map;
	map = mmap(NULL, ring->page + 2 * size, PROT_READ, MAP_SHARED, map_fd, (off_t)ring->page);
	if (map == MAP_FAILED)
		return -errno;
	ring->producer = map;
	ring->data = ring->producer + ring->page;
	ring->next = ring->released = atomic_load_explicit(ring->consumer, memory_order_acquire);
	*ret_ring = ring;
	ring = NULL;
	return 0;
}

void ring_close(struct ring *ring)
{
	if (!ring)
		return;
	if (ring->producer)
		munmap((void *)ring->producer, ring->page + 2 * ring->size);
	if (ring->consumer)
		munmap((void *)ring->consumer, ring->page);
	free(ring);
}

void ring_closep(struct ring **ring)
{
	ring_close(*ring);
}

static uint64_t produced(const struct ring *ring)
{
	return atomic_load_explicit(
		(const _Atomic unsigned long *)ring->producer, memory_order_acquire);
}

/* A record is a header of 8 bytes, whose first word is the length with two flags, and its data,
 * padded to 8 bytes. */
int ring_next(struct ring *ring, const void **ret_data, size_t *ret_len, uint64_t *ret_end)
{
	for (;;) {
		uint64_t ahead = produced(ring) - ring->next;
		const char *record = ring->data + (ring->next & (ring->size - 1));
		uint32_t word, len;
		uint64_t step;

		if (!ahead)
			return 0;
		if (ahead > ring->size || ring->next % 8)
			return -EUCLEAN;
		word = atomic_load_explicit((const _Atomic uint32_t *)record, memory_order_acquire);
		if (word & BPF_RINGBUF_BUSY_BIT)
			return 0;
		len = word & ~(uint32_t)BPF_RINGBUF_DISCARD_BIT;
		step = ((uint64_t)len + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
		if (step > ahead)
			return -EUCLEAN;
		ring->next += step;
		if (word & BPF_RINGBUF_DISCARD_BIT)
			continue;
		*ret_data = record + BPF_RINGBUF_HDR_SZ;
		*ret_len = len;
		*ret_end = ring->next;
		return 1;
	}
}

void ring_release(struct ring *ring, uint64_t end)
{
	assert(end <= ring->next);
	atomic_store_explicit(ring->consumer, end, memory_order_release);
	ring->released = end;
}

void ring_rewind(struct ring *ring, uint64_t position)
{
	assert(position <= ring->next);
	ring->next = position;
}

uint64_t ring_written(const struct ring *ring)
{
	return produced(ring);
}

bool ring_is_read(const struct ring *ring)
{
	return ring->next == produced(ring);
}

bool ring_is_ours(const struct ring *ring)
{
	return atomic_load_explicit(ring->consumer, memory_order_relaxed) == ring->released;
}

uint64_t ring_position(const struct ring *ring)
{
	return ring->next;
}

uint64_t ring_held(const struct ring *ring)
{
	return ring->next - atomic_load_explicit(ring->consumer, memory_order_relaxed);
}
