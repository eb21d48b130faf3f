// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Functions of one of the kernel's own tables: a way to avoid congestion. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#ifndef STRUCT_OPS
#define STRUCT_OPS ".struct_ops"
#define NAME       "calm"
#endif

struct sock;

struct tcp_congestion_ops {
	__u32 (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
	__u32 (*undo_cwnd)(struct sock *sk);
	char name[16];
} __attribute__((preserve_access_index));

SEC("struct_ops/calm_ssthresh")
__u32 BPF_PROG(calm_ssthresh, struct sock *sk)
{
	return 2;
}

SEC("struct_ops/calm_avoid")
void BPF_PROG(calm_avoid, struct sock *sk, __u32 ack, __u32 acked)
{
}

SEC("struct_ops/calm_undo")
__u32 BPF_PROG(calm_undo, struct sock *sk)
{
	return 4;
}

SEC(STRUCT_OPS)
struct tcp_congestion_ops calm = {
	.ssthresh = (void *)calm_ssthresh,
	.cong_avoid = (void *)calm_avoid,
	.undo_cwnd = (void *)calm_undo,
	.name = NAME,
};

char LICENSE[] SEC("license") = "Dual BSD/GPL";
