/* SPDX-License-Identifier: BSD-2-Clause */
/* A log that is being made up: lines go into a batch, and batches into the database. */
#ifndef TESTS_TOOLS_MAKER_H
#define TESTS_TOOLS_MAKER_H

#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/record.h"
#include "db/db.h"

enum {
	EVERY_S = 7,
	FIRST_S = 1780272000, /* 2026-06-01T00:00:00Z */
	BATCH = 256,
	INSNS_MAX = 64,
	STORE_MAX = 64 << 20,
};

struct maker {
	struct db *db;
	uint64_t first_s;
	uint64_t seq; /* of the next record */
	uint8_t prev[SHA256_LEN];
	uint32_t next_id;
	struct db_line lines[BATCH];
	struct db_program programs[BATCH];
	size_t line_count;
	size_t program_count;
	char buf[RECORD_LINE_MAX];
	struct line line;
};

static inline void *copy(const void *bytes, size_t len)
{
	void *to = malloc(len);

	if (!to)
		err(1, NULL);
	return memcpy(to, bytes, len);
}

static inline struct record_text text(const char *string)
{
	return (struct record_text){ string, strlen(string) };
}

static inline struct record_digest digest(const char *of, uint64_t number)
{
	char bytes[64];
	struct record_digest digest = { .known = true };
	int len = snprintf(bytes, sizeof(bytes), "%s %" PRIu64, of, number);

	if (sha256(bytes, (size_t)len, digest.sha256) < 0)
		errx(1, "no sha256");
	return digest;
}

static inline struct record_number number(uint64_t value)
{
	return (struct record_number){ .known = true, .value = value };
}

static inline void flush(struct maker *maker)
{
	struct db_batch batch = {
		.lines = maker->lines,
		.line_count = maker->line_count,
		.programs = maker->programs,
		.program_count = maker->program_count,
		.program_bytes_max = STORE_MAX,
	};

	if (db_append(maker->db, &batch) < 0)
		errx(1, "%s", db_errmsg(maker->db));
	for (size_t i = 0; i < maker->line_count; i++)
		free((void *)(uintptr_t)maker->lines[i].line);
	for (size_t i = 0; i < maker->program_count; i++) {
		free((void *)(uintptr_t)maker->programs[i].sha256);
		free((void *)(uintptr_t)maker->programs[i].insns);
	}
	maker->line_count = 0;
	maker->program_count = 0;
}

static inline struct record_head head(const struct maker *maker)
{
	struct record_head head = {
		.seq = maker->seq,
		.time_ns = (maker->first_s + maker->seq * EVERY_S) * 1000000000 + maker->seq % 1000,
		.boottime_ns = maker->seq * EVERY_S * 1000000000,
		.extend = maker->seq % 10 != 9,
	};

	memcpy(head.prev, maker->prev, sizeof(head.prev));
	return head;
}

/* Of a record that is always extended. */
static inline struct record_head head_extended(const struct maker *maker)
{
	struct record_head result = head(maker);

	result.extend = true;
	return result;
}

/* Take the line that was encoded. Returns its seq. */
static inline uint64_t put(struct maker *maker, uint64_t ref)
{
	if (maker->line_count == BATCH || maker->program_count + 1 >= BATCH)
		flush(maker);
	maker->lines[maker->line_count++] = (struct db_line){
		.seq = maker->seq,
		.ref = ref,
		.line = copy(maker->line.buf, maker->line.len),
		.len = maker->line.len,
	};
	if (sha256(maker->line.buf, maker->line.len, maker->prev) < 0)
		errx(1, "no sha256");
	return maker->seq++;
}

#endif
