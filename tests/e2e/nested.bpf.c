// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the tests load: a program alone, and one with a map that counts and a frozen one. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

const volatile char greeting[] = "frozen when loaded"; /* .rodata */
int passed; /* .bss */

SEC("socket")
int plain(void *ctx)
{
	return 0;
}

SEC("xdp")
int counting(void *ctx)
{
	passed++;
	return greeting[passed & 15];
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
