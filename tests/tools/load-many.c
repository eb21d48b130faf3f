/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * load-many NAME COUNT FILE [PAUSE_US [fork]]: load COUNT small programs called NAME, one after the other,
 * each closed before the next, with a pause in between if one is given; with "fork" each by a process
 * that loads nothing else.
 *
 * Then FILE has a line for each that the kernel accepted: its id, and of the system call how many
 * nanoseconds it took, how many of them on the CPU, and how often it gave the CPU up by itself; and
 * the process that loaded it.
 */
#include <err.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct measured {
	uint32_t id;
	uint64_t wall_ns, cpu_ns;
	long switches;
	pid_t pid;
};

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static long switches(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nvcsw;
}

static uint32_t program_id(int fd)
{
	struct bpf_prog_info info = {};
	union bpf_attr attr = { .info = {
					.bpf_fd = (uint32_t)fd,
					.info_len = sizeof(info),
					.info = (uintptr_t)&info,
				} };

	if (syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr)))
		err(1, "BPF_OBJ_GET_INFO_BY_FD");
	return info.id;
}

/* number makes the program one of its own. */
static struct measured load(const char *name, int32_t number)
{
	struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = number },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
		.insn_cnt = 2,
		.insns = (uintptr_t)insns,
		.license = (uintptr_t) "GPL",
	};
	struct measured before, ret;
	int fd;

	strncpy(attr.prog_name, name, sizeof(attr.prog_name) - 1);
	before.switches = switches();
	before.cpu_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);
	before.wall_ns = now_ns(CLOCK_MONOTONIC);
	fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	ret.wall_ns = now_ns(CLOCK_MONOTONIC) - before.wall_ns;
	ret.cpu_ns = now_ns(CLOCK_THREAD_CPUTIME_ID) - before.cpu_ns;
	ret.switches = switches() - before.switches;
	if (fd < 0)
		err(1, "BPF_PROG_LOAD");
	ret.id = program_id(fd);
	ret.pid = getpid();
	close(fd);
	return ret;
}

static void save(const char *path, const struct measured *all, int count)
{
	FILE *file = fopen(path, "we");

	if (!file)
		err(1, "%s", path);
	for (int i = 0; i < count; i++)
		fprintf(file, "%u %llu %llu %ld %d\n", all[i].id,
			(unsigned long long)all[i].wall_ns, (unsigned long long)all[i].cpu_ns,
			all[i].switches, all[i].pid);
	if (fclose(file))
		err(1, "%s", path);
}

/* The same, by a process of its own. */
static void load_forked(const char *name, int32_t number, struct measured *ret)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		*ret = load(name, number);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		err(1, "a process of its own");
}

int main(int argc, char **argv)
{
	int count = argc < 4 ? 0 : atoi(argv[2]);
	useconds_t pause_us = argc < 5 ? 0 : (useconds_t)atoi(argv[4]);
	bool forked = argc > 5 && !strcmp(argv[5], "fork");
	struct measured *all;

	if (count < 1)
		errx(2, "usage: load-many NAME COUNT FILE [PAUSE_US [fork]]");
	all = mmap(NULL, (size_t)count * sizeof(*all), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (all == MAP_FAILED)
		err(1, NULL);
	for (int i = 0; i < count; i++) {
		if (forked)
			load_forked(argv[1], i, &all[i]);
		else
			all[i] = load(argv[1], i);
		if (pause_us)
			usleep(pause_us);
	}
	save(argv[3], all, count);
	return 0;
}
