/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a line costs: writing it, checking it, hashing it. The record is a load by bpftool with one
 * frozen map, of about 1.3 KB.
 */
#include "bpf/record.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 300000 };

static char buf[RECORD_LINE_MAX];
static struct line line = { .buf = buf, .size = sizeof(buf) };

static struct record_text text_of(const char *string)
{
	return (struct record_text){ .bytes = string, .len = strlen(string) };
}

static bool encode(void)
{
	static const struct record_map map = {
		.id = 12,
		.name = { "counts.data", 11 },
		.type = { "array", 5 },
		.key_size = 4,
		.value_size = 64,
		.max_entries = 1,
		.frozen = true,
		.sha256_at_load = { .known = true },
	};
	static const struct record_digest digest = { .known = true };
	const struct record_load load = {
		.program = {
			.id = { true, 1234 },
			.name = text_of("count_packets"),
			.type = text_of("xdp"),
			.insn_cnt = { true, 123 },
			.captured = true,
			.sha256 = digest,
			.kernel_digest = digest,
			.load_time_ns = { true, 1234567890123 },
		},
		.map_count = 1,
		.maps = &map,
		.signature = { .verdict = VERDICT_UNSIGNED },
		.chain_digest = digest,
		.loader = {
			.pid = 4321,
			.tgid = 4321,
			.comm = text_of("bpftool"),
			.exe = text_of("/usr/sbin/bpftool"),
			.exe_dev = { true, 8388609 },
			.exe_inode = { true, 123456 },
			.exe_sha256 = digest,
			.cgroup = text_of("/system.slice/ssh.service"),
			.user_ns = { true, 4026531837 },
		},
	};
	const struct record_head head = {
		.seq = 123456,
		.time_ns = 1790000000123456789,
		.boottime_ns = 123456789012345,
		.extend = true,
	};

	record_encode_load(&line, head, &load);
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
