/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bpf/ring.c over a file in memory that is laid out as the kernel maps a ring: the consumer's page,
 * the producer's page, the data, and the data once more.
 */
#include "bpf/ring.h"

#include <errno.h>
#include <linux/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/samples.h"

struct fake {
	int fd;
	size_t size;
	uint64_t *consumer;
	uint64_t *producer;
	char *data;
	char *map;
	struct ring *ring;
};

static struct ring *open_ring(const struct fake *fake)
{
	struct ring *ring = NULL;

	assert_int_equal(ring_open(fake->fd, fake->size, &ring), 0);
	return ring;
}

static int fake_new(void **state)
{
	struct fake *fake = calloc(1, sizeof(*fake));
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	fake->size = page;
	fake->fd = memfd_create("ring", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fake->fd, (off_t)(2 * page + 2 * fake->size)), 0);
	fake->map = mmap(
		NULL, 2 * page + 2 * fake->size, PROT_READ | PROT_WRITE, MAP_SHARED, fake->fd, 0);
	assert_ptr_not_equal(fake->map, MAP_FAILED);
	fake->consumer = (uint64_t *)fake->map;
	fake->producer = (uint64_t *)(fake->map + page);
	fake->data = fake->map + 2 * page;
	fake->ring = open_ring(fake);
	*state = fake;
	return 0;
}

static int fake_free(void **state)
{
	struct fake *fake = *state;

	ring_close(fake->ring);
	munmap(fake->map, 2 * (size_t)sysconf(_SC_PAGESIZE) + 2 * fake->size);
	close(fake->fd);
	free(fake);
	return 0;
}

static void write_at(struct fake *fake, uint64_t position, const void *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		size_t at = (position + i) & (fake->size - 1);

		fake->data[at] = fake->data[at + fake->size] = ((const char *)bytes)[i];
	}
}

static void set_head(struct fake *fake, uint64_t position, uint32_t word)
{
	write_at(fake, position, &word, sizeof(word));
}

/* What bpf_ringbuf_submit() leaves. Returns the record's position. */
static uint64_t produce(struct fake *fake, const void *bytes, uint32_t len, uint32_t flags)
{
	uint64_t position = *fake->producer;

	set_head(fake, position, len | flags);
	write_at(fake, position + BPF_RINGBUF_HDR_SZ, bytes, len);
	*fake->producer += (len + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
	return position;
}

static void assert_next(struct fake *fake, const char *expected)
{
	const void *data;
	uint64_t end;
	size_t len;

	assert_int_equal(ring_next(fake->ring, &data, &len, &end), 1);
	assert_int_equal(len, strlen(expected));
	assert_memory_equal(data, expected, len);
	assert_int_equal(end, ring_position(fake->ring));
}

static int next(struct fake *fake)
{
	const void *data;
	uint64_t end;
	size_t len;

	return ring_next(fake->ring, &data, &len, &end);
}

static void records_come_in_order_and_stay_until_released(void **state)
{
	struct fake *fake = *state;

	assert_int_equal(next(fake), 0);
	produce(fake, "one", 3, 0);
	produce(fake, "fourteen bytes", 14, 0);
	assert_next(fake, "one");
	assert_next(fake, "fourteen bytes");
	assert_int_equal(next(fake), 0);
	assert_int_equal(*fake->consumer, 0);
	assert_int_equal(ring_held(fake->ring), 16 + 24);
	ring_release(fake->ring, 16);
	assert_int_equal(*fake->consumer, 16);
	assert_int_equal(ring_held(fake->ring), 24);
}

static void another_process_goes_on_where_the_last_one_released(void **state)
{
	struct fake *fake = *state;

	produce(fake, "one", 3, 0);
	produce(fake, "two", 3, 0);
	assert_next(fake, "one");
	assert_next(fake, "two");
	ring_release(fake->ring, 16);
	ring_close(fake->ring);
	fake->ring = open_ring(fake);
	assert_int_equal(ring_position(fake->ring), 16);
	assert_next(fake, "two");
}

static void what_could_not_be_taken_is_read_again(void **state)
{
	struct fake *fake = *state;

	produce(fake, "one", 3, 0);
	produce(fake, "two", 3, BPF_RINGBUF_DISCARD_BIT);
	produce(fake, "three", 5, 0);
	assert_next(fake, "one");
	assert_false(ring_is_read(fake->ring));
	assert_next(fake, "three");
	assert_true(ring_is_read(fake->ring));
	ring_rewind(fake->ring, 16);
	assert_int_equal(ring_held(fake->ring), 16);
	assert_next(fake, "three");
}

static void a_record_whose_writer_has_not_finished_stops_reading(void **state)
{
	struct fake *fake = *state;
	uint64_t busy = produce(fake, "one", 3, BPF_RINGBUF_BUSY_BIT);

	produce(fake, "two", 3, 0);
	assert_int_equal(next(fake), 0);
	assert_false(ring_is_read(fake->ring));
	set_head(fake, busy, 3);
	assert_next(fake, "one");
	assert_next(fake, "two");
}

static void discarded_records_are_passed_by(void **state)
{
	struct fake *fake = *state;

	produce(fake, "one", 3, BPF_RINGBUF_DISCARD_BIT);
	produce(fake, "two", 3, 0);
	produce(fake, "three", 5, BPF_RINGBUF_DISCARD_BIT);
	assert_next(fake, "two");
	assert_int_equal(next(fake), 0);
	assert_int_equal(ring_position(fake->ring), *fake->producer);
}

static void a_discarded_record_may_be_busy_before(void **state)
{
	struct fake *fake = *state;
	uint64_t busy = produce(fake, "one", 3, BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

	assert_int_equal(next(fake), 0);
	set_head(fake, busy, 3 | BPF_RINGBUF_DISCARD_BIT);
	assert_int_equal(next(fake), 0);
	assert_int_equal(ring_position(fake->ring), 16);
}

static void an_empty_record_is_one(void **state)
{
	struct fake *fake = *state;

	produce(fake, "", 0, 0);
	produce(fake, "two", 3, 0);
	assert_next(fake, "");
	assert_next(fake, "two");
}

static void a_full_ring_can_be_read(void **state)
{
	struct fake *fake = *state;
	char *bytes = malloc(fake->size);
	const void *data;
	uint64_t end;
	size_t len;

	memset(bytes, 'x', fake->size);
	*fake->consumer = *fake->producer = 8 * 5;
	ring_close(fake->ring);
	fake->ring = open_ring(fake);
	produce(fake, bytes, (uint32_t)fake->size - 8, 0);
	assert_int_equal(ring_next(fake->ring, &data, &len, &end), 1);
	assert_int_equal(len, fake->size - 8);
	assert_memory_equal(data, bytes, len);
	assert_int_equal(ring_held(fake->ring), fake->size);
	free(bytes);
}

static void records_wrap_around_for_ever(void **state)
{
	struct fake *fake = *state;
	struct sampler *sampler = calloc(1, sizeof(*sampler));
	char bytes[900];

	assert_non_null(sampler);
	for (unsigned i = 0; i < 20000; i++) {
		uint32_t len = (uint32_t)sample_below(sampler, sizeof(bytes));
		const void *data;
		uint64_t end;
		size_t got;

		memset(bytes, (int)(i & 0xff), len);
		produce(fake, bytes, len, 0);
		assert_int_equal(ring_next(fake->ring, &data, &got, &end), 1);
		assert_int_equal(got, len);
		assert_memory_equal(data, bytes, len);
		ring_release(fake->ring, end);
	}
	assert_true(*fake->producer > 100 * fake->size);
	free(sampler);
}

/* ---- somebody else wrote to it ---- */

static void positions_that_make_no_sense_are_found(void **state)
{
	struct fake *fake = *state;
	const struct {
		uint64_t consumer, producer;
		uint32_t head;
	} nonsense[] = {
		{ 64, 56, 3 }, /* the producer is behind */
		{ 64, 0, 3 },
		{ 0, fake->size + 8, 3 }, /* more than there is room for */
		{ UINT64_MAX - 7, 64, 1 << 20 }, /* wrapped, and too long */
		{ 3, 64, 3 }, /* between two words */
		{ 0, 8, 3 }, /* a record that ends behind the producer */
		{ 0, 64, 64 },
		{ 0, 64, 0x3fffffff },
		{ 0, 64, 64 | BPF_RINGBUF_DISCARD_BIT },
	};

	for (size_t i = 0; i < sizeof(nonsense) / sizeof(*nonsense); i++) {
		*fake->consumer = nonsense[i].consumer;
		*fake->producer = nonsense[i].producer;
		set_head(fake, nonsense[i].consumer, nonsense[i].head);
		ring_close(fake->ring);
		fake->ring = open_ring(fake);
		assert_int_equal(next(fake), -EUCLEAN);
		assert_int_equal(next(fake), -EUCLEAN);
		assert_int_equal(ring_position(fake->ring), nonsense[i].consumer);
	}
}

static void any_bytes_are_read_within_the_ring(void **state)
{
	struct fake *fake = *state;
	struct sampler *sampler = calloc(1, sizeof(*sampler));

	assert_non_null(sampler);
	for (unsigned i = 0; i < 3000; i++) {
		const void *data;
		uint64_t end;
		size_t len;

		sample_fill(sampler, fake->data, 256);
		for (size_t at = 3; at < 256; at += 8) /* mostly short, mostly finished */
			fake->data[at] = fake->data[at - 1] = 0;
		memcpy(fake->data + fake->size, fake->data, 256);
		*fake->consumer = sample_below(sampler, 32) * 8;
		*fake->producer = *fake->consumer + sample_below(sampler, fake->size + 64);
		ring_close(fake->ring);
		fake->ring = open_ring(fake);
		while (ring_next(fake->ring, &data, &len, &end) > 0) {
			assert_in_range((uintptr_t)data % 8, 0, 0);
			assert_true(end <= *fake->producer && len <= fake->size);
			for (size_t at = 0; at < len; at++) /* so that a sanitizer can object */
				((const volatile char *)data)[at];
		}
	}
	free(sampler);
}

static void what_cannot_be_mapped_is_an_error(void **)
{
	struct ring *ring = NULL;
	int fd = memfd_create("short", MFD_CLOEXEC);

	assert_int_equal(ring_open(-1, 4096, &ring), -EBADF);
	assert_int_equal(ring_open(fd, SIZE_MAX / 4, &ring), -ENOMEM);
	assert_null(ring);
	ring_close(NULL);
	close(fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_new, fake_free)
	const struct CMUnitTest tests[] = {
		TEST(records_come_in_order_and_stay_until_released),
		TEST(another_process_goes_on_where_the_last_one_released),
		TEST(what_could_not_be_taken_is_read_again),
		TEST(a_record_whose_writer_has_not_finished_stops_reading),
		TEST(discarded_records_are_passed_by),
		TEST(a_discarded_record_may_be_busy_before),
		TEST(an_empty_record_is_one),
		TEST(a_full_ring_can_be_read),
		TEST(records_wrap_around_for_ever),
		TEST(positions_that_make_no_sense_are_found),
		TEST(any_bytes_are_read_within_the_ring),
		cmocka_unit_test(what_cannot_be_mapped_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
