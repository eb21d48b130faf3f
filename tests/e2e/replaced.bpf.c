// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A program with a function that another program may replace. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

__attribute__((noinline)) int verdict(struct xdp_md *ctx)
{
	volatile int result = XDP_PASS;

	return ctx ? result : XDP_ABORTED;
}

SEC("xdp")
int with_a_verdict(struct xdp_md *ctx)
{
	return verdict(ctx);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
