/* SPDX-License-Identifier: BSD-2-Clause */
/* What a line costs: writing it, checking it, hashing it. */
#include "tests/bench/record.h"

#include <stdio.h>
#include <time.h>

enum { ROUNDS = 300000 };

static char buf[RECORD_LINE_MAX];
static struct line line = { .buf = buf, .size = sizeof(buf) };

static bool encode(void)
{
	bench_load_encode(&line,
		(struct record_head){
			.seq = 123456,
			.time_ns = 1790000000123456789,
			.boottime_ns = 123456789012345,
			.extend = true,
		});
	return true;
}

static bool check(void)
{
	struct record_head head;
	struct line_error error;

	return record_check(line.buf, line.len, &head, &error) == 0;
}

static bool hash(void)
{
	uint8_t digest[SHA256_LEN];

	return sha256(line.buf, line.len, digest) == 0;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static bool measure(const char *what, bool (*work)(void))
{
	double begin = now();

	for (int i = 0; i < ROUNDS; i++)
		if (!work())
			return false;
	double seconds = now() - begin;
	printf("%-7s %6.0f ns a line of %zu bytes, %5.0f MB/s\n", what, seconds / ROUNDS * 1e9,
		line.len, (double)line.len * ROUNDS / seconds / 1e6);
	return true;
}

int main(void)
{
	return measure("encode", encode) && measure("check", check) && measure("sha256", hash) ? 0
											       : 1;
}
