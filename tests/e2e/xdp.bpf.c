// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* For `ip link set dev ... xdp obj`. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int e2e_pass(struct xdp_md *context)
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
