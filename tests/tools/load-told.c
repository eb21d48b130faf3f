/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * load-told: load a program each time that it is told to, and say how that went.
 *
 * Says "ready" when it has all of itself in memory. Then a line on standard input is the name of a small
 * program to load; it says how many nanoseconds the system call took and how it ended: "1234567 0", or
 * a positive errno. The name "!" loads one with a signature that is none; "/PATH" attaches the program that
 * is pinned there, to the raw tracepoint sched_process_exit. All stay until it ends.
 *
 * Linked statically: what it runs from is one file.
 */
#include <err.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/bpf.h>

/* BPF_PROG_LOAD's attr as of Linux 6.18 */
struct load_attr {
	__u32 prog_type, insn_cnt;
	__u64 insns, license;
	__u8 unused_1[24];
	char prog_name[16];
	__u8 unused_2[88];
	__u64 signature;
	__u32 signature_size;
	__s32 keyring_id;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int attach(const char *path)
{
	union bpf_attr get = { .pathname = (uintptr_t)path };
	union bpf_attr open = { .raw_tracepoint.name = (uintptr_t) "sched_process_exit" };
	long fd = syscall(SYS_bpf, BPF_OBJ_GET, &get, sizeof(get));

	if (fd < 0)
		return errno;
	open.raw_tracepoint.prog_fd = (__u32)fd;
	return syscall(SYS_bpf, BPF_RAW_TRACEPOINT_OPEN, &open, sizeof(open)) < 0 ? errno : 0;
}

static int load(const char *name)
{
	static const char no_signature[] = "no signature";
	struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	struct load_attr attr = {
		.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
		.insn_cnt = 2,
		.insns = (uintptr_t)insns,
		.license = (uintptr_t) "GPL",
	};

	strncpy(attr.prog_name, *name == '!' ? "refused" : name, sizeof(attr.prog_name) - 1);
	if (*name == '!') {
		attr.signature = (uintptr_t)no_signature;
		attr.signature_size = sizeof(no_signature);
	}
	if (syscall(SYS_bpf, BPF_PROG_LOAD, &attr,
		    attr.signature ? sizeof(attr) : offsetof(struct load_attr, signature)) < 0)
		return errno;
	return 0;
}

int main(void)
{
	char name[64];
	uint64_t begin;
	int error;

	setlinebuf(stdout);
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		err(1, "mlockall");
	puts("ready");
	while (fgets(name, sizeof(name), stdin)) {
		name[strcspn(name, "\n")] = 0;
		begin = now_ns();
		error = *name == '/' ? attach(name) : load(name);
		printf("%llu %d\n", (unsigned long long)(now_ns() - begin), error);
	}
	return 0;
}
