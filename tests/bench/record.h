/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The record that the figures are about: a load by bpftool with one frozen map, of about 1.3 KB.
 */
#ifndef TESTS_BENCH_RECORD_H
#define TESTS_BENCH_RECORD_H

#include <string.h>

#include "bpf/record.h"

static inline struct record_text bench_text(const char *string)
{
	return (struct record_text){ .bytes = string, .len = strlen(string) };
}

static inline void bench_load_encode(struct line *line, struct record_head head)
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
			.name = bench_text("count_packets"),
			.type = bench_text("xdp"),
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
			.comm = bench_text("bpftool"),
			.exe = bench_text("/usr/sbin/bpftool"),
			.exe_dev = { true, 8388609 },
			.exe_inode = { true, 123456 },
			.exe_sha256 = digest,
			.cgroup = bench_text("/system.slice/ssh.service"),
			.user_ns = { true, 4026531837 },
		},
	};
	record_encode_load(line, head, &load);
}

#endif
