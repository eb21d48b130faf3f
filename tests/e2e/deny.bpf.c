// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A security module that refuses programs named "denied", and those named "refused" when they have
 * their id already. */
#include <asm-generic/errno-base.h>
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct bpf_prog_aux {
	char name[BPF_OBJ_NAME_LEN];
} __attribute__((preserve_access_index));

struct bpf_prog {
	struct bpf_prog_aux *aux;
} __attribute__((preserve_access_index));

SEC("lsm/bpf_prog_load")
int BPF_PROG(deny, void *program, void *attr)
{
	char name[BPF_OBJ_NAME_LEN];

	bpf_probe_read_kernel(
		name, sizeof(name), attr + __builtin_offsetof(union bpf_attr, prog_name));
	return bpf_strncmp(name, 7, "denied") ? 0 : -EPERM;
}

SEC("lsm/bpf_prog")
int BPF_PROG(refuse, struct bpf_prog *program)
{
	char name[BPF_OBJ_NAME_LEN];

	bpf_probe_read_kernel(name, sizeof(name), program->aux->name);
	return bpf_strncmp(name, 8, "refused") ? 0 : -EPERM;
}
