/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The consumer's half of a BPF ring buffer: read ahead now, give the space back later.
 *
 * libbpf's consumer gives a record's space back as soon as its callback returns. Here reading and
 * giving back are two steps, so that events leave the ring only when the database has them.
 *
 * The layout is that of the kernel's map: Documentation/bpf/ringbuf.rst and, for the record's
 * header, BPF_RINGBUF_BUSY_BIT, BPF_RINGBUF_DISCARD_BIT and BPF_RINGBUF_HDR_SZ in linux/bpf.h.
 */
#ifndef BPF_RING_H
#define BPF_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring;

/*
 * Map the ring of a BPF_MAP_TYPE_RINGBUF of size bytes. map_fd is only used during the call.
 * Reading starts at the position that was last released, by whichever process.
 *
 * Returns 0 or a negative errno of mmap(2).
 */
[[nodiscard]] int ring_open(int map_fd, size_t size, struct ring **ret_ring);
void ring_close(struct ring *ring);
void ring_closep(struct ring **ring);

/*
 * The next record, in the order of the ring; the bytes stay valid until they are released.
 *
 * ret_end is the position after the record: what to release once the record and all before it are
 * safe. Returns 1; 0 if there is none now (or its writer has not finished); -EUCLEAN if the
 * positions make no sense: somebody else wrote to the ring, and nothing after this can be trusted.
 */
[[nodiscard]] int ring_next(
	struct ring *ring, const void **ret_data, size_t *ret_len, uint64_t *ret_end);

/* Give the space up to a position that ring_next() reported back to the kernel. */
void ring_release(struct ring *ring, uint64_t end);

/* Read again from an earlier position, one that ring_next() reported and that was not released. */
void ring_rewind(struct ring *ring, uint64_t position);

/* The position up to which the kernel has begun records. */
uint64_t ring_written(const struct ring *ring);

/* Whether everything that was begun has been read: what is still being written has not. */
bool ring_is_read(const struct ring *ring);

/* Whether what was released last is what the kernel was told: false where somebody else wrote to it. */
bool ring_is_ours(const struct ring *ring);

/* Where reading is: what was last released, after ring_open(). */
uint64_t ring_position(const struct ring *ring);

/* Bytes read and not released yet. */
uint64_t ring_held(const struct ring *ring);

#endif
