// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A security module that refuses programs named "denied". */
#include <asm-generic/errno-base.h>
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("lsm/bpf_prog_load")
int BPF_PROG(deny, void *program, void *attr)
{
	char name[BPF_OBJ_NAME_LEN];

	bpf_probe_read_kernel(
		name, sizeof(name), attr + __builtin_offsetof(union bpf_attr, prog_name));
	return bpf_strncmp(name, 7, "denied") ? 0 : -EPERM;
}
