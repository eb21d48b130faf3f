/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Canaries: plain bpf(2), because what libbpf would add (feature probes, BTF) are loads too.
 */
#include <assert.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bpf/canary_signed.h"
#include "bpf/probe_own.h"

#define INSN(CODE, DST, SRC, OFF, IMM)                                                             \
	((struct bpf_insn){ .code = (CODE),                                                        \
		.dst_reg = (DST),                                                                  \
		.src_reg = (SRC),                                                                  \
		.off = (short)(OFF),                                                               \
		.imm = (IMM) })
#define STORE_IMM(SIZE, OFF, IMM) INSN(BPF_ST | BPF_MEM | (SIZE), BPF_REG_10, 0, OFF, IMM)
#define STORE_R1(OFF)             INSN(BPF_STX | BPF_MEM | BPF_DW, BPF_REG_10, BPF_REG_1, OFF, 0)
#define FRAME_POINTER(REG, OFF)                                                                    \
	INSN(BPF_ALU64 | BPF_MOV | BPF_X, REG, BPF_REG_10, 0, 0),                                  \
		INSN(BPF_ALU64 | BPF_ADD | BPF_K, REG, 0, 0, OFF)
#define SET(REG, IMM) INSN(BPF_ALU64 | BPF_MOV | BPF_K, REG, 0, 0, IMM)
#define CALL(HELPER)  INSN(BPF_JMP | BPF_CALL, 0, 0, 0, HELPER)
#define EXIT          INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

/* BPF_PROG_LOAD's attr as of Linux 6.18; older kernels accept the zeros at its end. */
struct load_attr {
	__u32 prog_type;
	__u32 insn_cnt;
	__u64 insns;
	__u64 license;
	__u8 unused_1[24];
	char prog_name[16];
	__u8 unused_2[88];
	__u64 signature;
	__u32 signature_size;
	__s32 keyring_id;
};
static_assert(sizeof(struct load_attr) == 168);

enum { FLAGS_OFFSET = 20 }; /* of prog_flags in unused_1: attr + 44 */

static const struct bpf_insn plain[] = { SET(BPF_REG_0, 0), EXIT };

static int sys_bpf(int command, void *attr, size_t size)
{
	long ret = syscall(__NR_bpf, command, attr, size);

	return ret < 0 ? -errno : (int)ret;
}

struct signature {
	const char *bytes;
	__u32 size;
	__s32 keyring;
};

/* signature: NULL for none. */
static int load(__u32 type, const struct bpf_insn *insns, size_t count, __u32 flags,
	const struct signature *signature)
{
	struct load_attr attr = {
		.prog_type = type,
		.insn_cnt = (__u32)count,
		.insns = (__u64)(uintptr_t)insns,
		.license = (__u64)(uintptr_t) "GPL",
		.prog_name = "canary",
	};

	if (signature) {
		attr.signature = (__u64)(uintptr_t)signature->bytes;
		attr.signature_size = signature->size;
		attr.keyring_id = signature->keyring;
	}
	memcpy(&attr.unused_1[FLAGS_OFFSET], &flags, sizeof(flags));
	return sys_bpf(BPF_PROG_LOAD, &attr, sizeof(attr));
}

static int program_id(int fd, uint32_t *ret_id)
{
	struct bpf_prog_info info = {};
	union bpf_attr attr = {
		.info = { .bpf_fd = (__u32)fd, .info_len = sizeof(info), .info = (uintptr_t)&info },
	};
	int err = sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr));

	if (!err)
		*ret_id = info.id;
	return err;
}

/* Returns what the program returned, or a negative errno. */
static int run_and_close(int fd)
{
	union bpf_attr run;
	int err;

	if (fd < 0)
		return fd;
	memset(&run, 0, sizeof(run));
	run.test.prog_fd = (__u32)fd;
	err = sys_bpf(BPF_PROG_TEST_RUN, &run, sizeof(run));
	close(fd);
	return err ? err : (int)run.test.retval;
}

/*
 * A loader program that makes BPF_PROG_LOAD's attr, the plain program and its license on its stack
 * and loads it, as a light skeleton does. Returns the new program's descriptor.
 */
static int run_loader(void)
{
	enum { ATTR = -144, INSNS = -160, LICENSE = -168, ATTR_SIZE = 144 };
	struct bpf_insn insns[64];
	size_t n = 0;

	for (int off = ATTR; off < 0; off += 8)
		insns[n++] = STORE_IMM(BPF_DW, off, 0);
	insns[n++] = STORE_IMM(BPF_DW, INSNS, 0);
	insns[n++] = STORE_IMM(BPF_B, INSNS, plain[0].code);
	insns[n++] = STORE_IMM(BPF_DW, INSNS + 8, 0);
	insns[n++] = STORE_IMM(BPF_B, INSNS + 8, plain[1].code);
	insns[n++] = STORE_IMM(BPF_DW, LICENSE, 'G' | 'P' << 8 | 'L' << 16);
	insns[n++] = STORE_IMM(BPF_W, ATTR + 0, BPF_PROG_TYPE_SOCKET_FILTER);
	insns[n++] = STORE_IMM(BPF_W, ATTR + 4, (int)(sizeof(plain) / sizeof(*plain)));
	struct bpf_insn pointers[] = {
		FRAME_POINTER(BPF_REG_1, INSNS),
		STORE_R1(ATTR + 8),
		FRAME_POINTER(BPF_REG_1, LICENSE),
		STORE_R1(ATTR + 16),
		SET(BPF_REG_1, BPF_PROG_LOAD),
		FRAME_POINTER(BPF_REG_2, ATTR),
		SET(BPF_REG_3, ATTR_SIZE),
		CALL(BPF_FUNC_sys_bpf),
		EXIT,
	};
	memcpy(&insns[n], pointers, sizeof(pointers));
	n += sizeof(pointers) / sizeof(*pointers);

	return run_and_close(load(BPF_PROG_TYPE_SYSCALL, insns, n, BPF_F_SLEEPABLE, NULL));
}

/* A loader program, as far as the kernel can tell, whose signature is good: by a certificate that this
 * process trusts for a moment. */
static int run_signed(void)
{
	static const struct signature good = { canary_signature, sizeof(canary_signature) - 1,
		KEY_SPEC_PROCESS_KEYRING };
	long key = syscall(__NR_add_key, "asymmetric", "canary", canary_certificate,
		sizeof(canary_certificate) - 1, KEY_SPEC_PROCESS_KEYRING);
	int fd;

	if (key < 0)
		return -errno;
	fd = load(BPF_PROG_TYPE_SYSCALL, plain, sizeof(plain) / sizeof(*plain), BPF_F_SLEEPABLE,
		&good);
	syscall(__NR_keyctl, KEYCTL_UNLINK, key, KEY_SPEC_PROCESS_KEYRING);
	return run_and_close(fd);
}

/*
 * A link to a tracepoint that hardly ever fires. What else is asked for is refused, by which time
 * the hooks of it have been come by.
 */
static void run_links(int plain_fd)
{
	int fd = load(BPF_PROG_TYPE_RAW_TRACEPOINT, plain, sizeof(plain) / sizeof(*plain), 0, NULL);
	union bpf_attr open = {
		.raw_tracepoint = { .name = (uintptr_t) "bpf_test_finish", .prog_fd = (__u32)fd },
	};
	union bpf_attr detach = {}, update = {};
	int link = fd < 0 ? fd : sys_bpf(BPF_RAW_TRACEPOINT_OPEN, &open, sizeof(open));

	detach.link_detach.link_fd = update.link_update.link_fd = (__u32)link;
	update.link_update.new_prog_fd = (__u32)plain_fd;
	if (link >= 0) {
		sys_bpf(BPF_LINK_DETACH, &detach, sizeof(detach));
		sys_bpf(BPF_LINK_UPDATE, &update, sizeof(update));
		close(link);
	}
	if (fd >= 0)
		close(fd);
}

/* On a socket that nothing ever comes by. */
static void run_socket(int plain_fd, int attach, int detach)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	if (!setsockopt(fd, SOL_SOCKET, attach, &plain_fd, sizeof(plain_fd)))
		setsockopt(fd, SOL_SOCKET, detach, &plain_fd, sizeof(plain_fd));
	close(fd);
}

/* The loopback device refuses it for its flags, before anything happens to it. */
static void run_device(void)
{
	enum { LOOPBACK = 1, XDP_FLAGS_UPDATE_IF_NOEXIST = 1 };
	int fd = load(BPF_PROG_TYPE_XDP, plain, sizeof(plain) / sizeof(*plain), 0, NULL);
	union bpf_attr attr = {
		.link_create = {
			.prog_fd = (__u32)fd,
			.target_ifindex = LOOPBACK,
			.attach_type = BPF_XDP,
			.flags = XDP_FLAGS_UPDATE_IF_NOEXIST,
		},
	};
	int link = fd < 0 ? fd : sys_bpf(BPF_LINK_CREATE, &attr, sizeof(attr));

	if (link >= 0)
		close(link);
	if (fd >= 0)
		close(fd);
}

/* Refused, as it is of another type. */
static void run_perf(int plain_fd)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
	};
	int fd = (int)syscall(__NR_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		return;
	ioctl(fd, PERF_EVENT_IOC_SET_BPF, plain_fd);
	close(fd);
}

static void run_map(int plain_fd)
{
	union bpf_attr create = {
		.map_type = BPF_MAP_TYPE_PROG_ARRAY,
		.key_size = sizeof(__u32),
		.value_size = sizeof(__u32),
		.max_entries = 1,
	};
	__u32 key = 0;
	int fd = sys_bpf(BPF_MAP_CREATE, &create, sizeof(create));
	union bpf_attr update = {
		.map_fd = (__u32)fd,
		.key = (uintptr_t)&key,
		.value = (uintptr_t)&plain_fd,
	};

	if (fd < 0)
		return;
	sys_bpf(BPF_MAP_UPDATE_ELEM, &update, sizeof(update));
	close(fd);
}

static void run_pin(const struct probe *probe, int plain_fd)
{
	char path[256];
	union bpf_attr attr = { .pathname = (uintptr_t)path, .bpf_fd = (__u32)plain_fd };

	probe_pin_path(path, sizeof(path), probe->build, "canary");
	unlink(path);
	if (!sys_bpf(BPF_OBJ_PIN, &attr, sizeof(attr)))
		unlink(path);
}

static int link_ignore(void *, const struct event_attach *, const uint8_t *, size_t)
{
	return 0;
}

/* Where programs are attached, as far as that can be tried without anything happening. */
static void run_places(struct probe *probe, int plain_fd)
{
	(void)!probe_links(probe, link_ignore, NULL);
	run_links(plain_fd);
	run_socket(plain_fd, SO_ATTACH_BPF, SO_DETACH_BPF);
	run_socket(plain_fd, SO_ATTACH_REUSEPORT_EBPF, SO_DETACH_REUSEPORT_BPF);
	run_device();
	run_perf(plain_fd);
	run_map(plain_fd);
	run_pin(probe, plain_fd);
}

int probe_canaries(struct probe *probe, int (*during)(void *arg, uint32_t id), void *arg)
{
	static const struct signature not_a_signature = { "canary", 7, 0 };
	int fd = load(BPF_PROG_TYPE_SOCKET_FILTER, plain, sizeof(plain) / sizeof(*plain), 0, NULL);
	uint32_t id;
	int err;

	if (fd < 0)
		return fd;
	err = program_id(fd, &id);
	if (!err) {
		run_places(probe, fd);
		err = during(arg, id);
	}
	close(fd);
	if (err)
		return err;
	if (probe_wanted(probe) & 1U << HOOK_VERIFY) {
		fd = load(BPF_PROG_TYPE_SOCKET_FILTER, plain, sizeof(plain) / sizeof(*plain), 0,
			&not_a_signature);
		if (fd >= 0)
			close(fd);
	}
	if (probe_wanted(probe) & 1U << HOOK_RUN) {
		fd = run_loader();
		if (fd >= 0)
			close(fd);
	}
	if (probe_wanted(probe) & 1U << HOOK_INTEGRITY)
		(void)run_signed(); /* that it came to nothing shows: the hook is silent */
	return 0;
}
