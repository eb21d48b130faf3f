/* SPDX-License-Identifier: BSD-2-Clause */
/* refuse FILE AK: what verifying this evidence takes, from memory. Prints the reason and nanoseconds, the median. */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "attest/verify.h"

enum { ROUNDS = 501 };

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static size_t read_file(const char *path, uint8_t *ret, size_t size)
{
	FILE *file = fopen(path, "rb");
	size_t len = file ? fread(ret, 1, size, file) : 0;

	if (!len || len == size)
		errx(1, "%s: not there, or too large", path);
	fclose(file);
	return len;
}

int main(int argc, char **argv)
{
	static uint8_t evidence[1 << 20], key[AK_FILE_MAX];
	static uint64_t took[ROUNDS];
	static struct verify_result result;
	char error[AK_ERROR_MAX];
	struct ak ak;

	if (argc != 3)
		errx(2, "usage: refuse FILE AK");
	size_t len = read_file(argv[1], evidence, sizeof(evidence));
	size_t key_len = read_file(argv[2], key, sizeof(key));
	if (ak_decode(key, key_len, &ak, error))
		errx(1, "%s: %s", argv[2], error);

	struct verify_options options = { .ak = &ak, .pcr = VERIFY_PCR };
	for (size_t i = 0; i < ROUNDS; i++) {
		FILE *stream = fmemopen(evidence, len, "rb");
		if (!stream)
			err(1, "fmemopen");
		uint64_t begin = now_ns();
		verify_evidence(stream, &options, &result);
		took[i] = now_ns() - begin;
		fclose(stream);
	}
	qsort(took, ROUNDS, sizeof(took[0]), compare);
	printf("%s %llu\n", verify_reason_name(result.reason),
		(unsigned long long)took[ROUNDS / 2]);
	return 0;
}
