// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What replaces the function of replaced.bpf.c. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("freplace/verdict")
int other_verdict(struct xdp_md *ctx)
{
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
