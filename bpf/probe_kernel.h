/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the running kernel's BTF says: which of our programs have a hook here, and the names of the
 * kernel's enums. Used by bpf/probe*.c only; no libbpf type appears here.
 */
#ifndef BPF_PROBE_KERNEL_H
#define BPF_PROBE_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/event.h"
#include "bpf/probe.h"

enum { PROBE_ENUM_MAX = 96, PROBE_PROGRAMS_MAX = 64 };

/* One of the programs of bpf/measure.bpf.c. */
struct probe_program {
	enum event_hook hook;
	const char *name; /* of the function, and of its pinned link */
	const char *hook_name; /* "fexit/bpf_prog_load" */
	const char *needs[3]; /* functions that the kernel must have; NULL ends */
	bool signatures_only; /* pointless where loads cannot be signed */
	bool optional; /* a kernel that has not lacks nothing: nor has it what this shows, or another hook shows it */
	bool stand_in; /* only where its hook has no place before it that the kernel has */
	bool required; /* without its hook no load can be followed */
	bool attaches; /* it is of attaching or detaching: what it misses shows nowhere else */
};

struct probe_kernel {
	uint64_t chosen; /* bits of indices into probe_programs[] */
	uint32_t kprobe_flag, uprobe_flag, tracepoint_flag; /* of struct trace_event_call */
	char names[PROBE_ENUM_COUNT][PROBE_ENUM_MAX][PROBE_NAME_MAX];
};

/* Ends with a program without a name; PROBE_PROGRAMS_MAX at most before it. Of several for the same hook and the same kernel function's
 * side, the first that the kernel can have is chosen. */
extern const struct probe_program probe_programs[];

/* Returns 0; -EOPNOTSUPP without BTF; -ENOMEM. */
[[nodiscard]] int probe_kernel_read(struct probe_kernel *ret_kernel);

#endif
