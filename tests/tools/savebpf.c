/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * LD_PRELOAD: keep what a program hands to bpf(2), so that a record can be compared with the very
 * bytes. For programs that call it through syscall(3), as libbpf and bpftool do.
 *
 * Into the directory $SAVEBPF go N.insns and N.signature for the N-th BPF_PROG_LOAD, N.map for each
 * update of a map's element, and one line of JSON for each of these calls in `calls`.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	MAPS_MAX = 1024, /* file descriptors whose value size is remembered */
	SIGNATURE_AT = 152, /* union bpf_attr, newer than the header of Debian 12 */
	SIGNATURE_SIZE_AT = 160,
	LOAD_ATTR_LEN = 168,
};

long syscall(long number, ...);

static long (*next_syscall)(long number, ...);
static uint32_t value_sizes[MAPS_MAX];
static unsigned calls;

static int open_in_directory(const char *name, int flags)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", getenv("SAVEBPF"), name);
	fd = open(path, O_WRONLY | O_CREAT | flags, 0644);
	if (fd < 0)
		abort();
	return fd;
}

static void save(const char *suffix, const void *bytes, size_t len)
{
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "%u.%s", calls, suffix);
	fd = open_in_directory(name, O_TRUNC);
	if (write(fd, bytes, len) != (ssize_t)len)
		abort();
	close(fd);
}

static void note(const char *line)
{
	int fd = open_in_directory("calls", O_APPEND);

	if (write(fd, line, strlen(line)) != (ssize_t)strlen(line))
		abort();
	close(fd);
}

static uint32_t program_id(int fd)
{
	struct bpf_prog_info info = {};
	union bpf_attr attr = { .info = { .bpf_fd = (uint32_t)fd,
					.info_len = sizeof(info),
					.info = (uintptr_t)&info } };

	return next_syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr.info)) ? 0
										       : info.id;
}

static long prog_load(const union bpf_attr *attr, unsigned size)
{
	uint64_t signature = 0;
	uint32_t signature_len = 0;
	char line[256];
	int error;
	long result;

	calls++;
	if (size >= LOAD_ATTR_LEN) {
		memcpy(&signature, (const char *)attr + SIGNATURE_AT, sizeof(signature));
		memcpy(&signature_len, (const char *)attr + SIGNATURE_SIZE_AT,
			sizeof(signature_len));
	}
	save("insns", (const void *)(uintptr_t)attr->insns,
		attr->insn_cnt * sizeof(struct bpf_insn));
	if (signature_len)
		save("signature", (const void *)(uintptr_t)signature, signature_len);
	result = next_syscall(SYS_bpf, BPF_PROG_LOAD, attr, size);
	error = errno;
	snprintf(line, sizeof(line),
		"{\"call\":%u,\"kind\":\"load\",\"type\":%u,\"name\":\"%.15s\",\"id\":%u,\"errno\":%d,"
		"\"signed\":%s}\n",
		calls, attr->prog_type, attr->prog_name, result < 0 ? 0 : program_id((int)result),
		result < 0 ? error : 0, signature_len ? "true" : "false");
	note(line);
	errno = error;
	return result;
}

static void map_update(const union bpf_attr *attr)
{
	char line[128];

	if (attr->map_fd >= MAPS_MAX || !value_sizes[attr->map_fd])
		return;
	calls++;
	save("map", (const void *)(uintptr_t)attr->value, value_sizes[attr->map_fd]);
	snprintf(line, sizeof(line), "{\"call\":%u,\"kind\":\"map\"}\n", calls);
	note(line);
}

long syscall(long number, ...)
{
	long arg[6], result;
	va_list args;

	if (!next_syscall)
		*(void **)&next_syscall = dlsym(RTLD_NEXT, "syscall");
	va_start(args, number);
	for (size_t i = 0; i < 6; i++)
		arg[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_bpf && arg[0] == BPF_PROG_LOAD)
		return prog_load((const void *)arg[1], (unsigned)arg[2]);
	if (number == SYS_bpf && arg[0] == BPF_MAP_UPDATE_ELEM)
		map_update((const void *)arg[1]);
	result = next_syscall(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
	if (number == SYS_bpf && arg[0] == BPF_MAP_CREATE && result >= 0 && result < MAPS_MAX)
		value_sizes[result] = ((const union bpf_attr *)arg[1])->value_size;
	return result;
}
