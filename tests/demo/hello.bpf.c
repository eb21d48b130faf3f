// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Something to load: two programs that share data, one of it constant. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

const volatile int step = 7;
int counter;

SEC("socket")
int count(void *ctx)
{
	counter += step;
	return 0;
}

SEC("socket")
int show(void *ctx)
{
	return counter;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
