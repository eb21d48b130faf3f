/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a load costs, from the loader's side: a clock around the system call, in the machine that is
 * measured. Prints nanoseconds, one measurement a line; what they mean is tests/bench/run's
 * business.
 */
#include <err.h>
#include <errno.h>
#include <linux/bpf.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "attest/ask.h"

enum {
	INSNS_MAX = 1 << 20,
	POLL_US = 200,
	WAIT_S = 60,
};

static const char usage[] =
	"usage: load time INSNS COUNT [PAUSE_US]   each load, closed and then a pause\n"
	"       load durable COUNT                 each load until its record is extended\n"
	"       load burst COUNT                   COUNT loads, then all of it until all is extended\n"
	"       load status COUNT                  each request for the daemon's status\n"
	"       load quote COUNT                   each request for a quote and the newest record\n"
	"       load spawn COUNT COMMAND...        each run of a command, its output dropped\n"
	"       load wait                          until everything is extended\n"
	"       load show                          the daemon's status\n";

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void put_ns(uint64_t ns)
{
	printf("%llu\n", (unsigned long long)ns);
}

/* ---- loading ---- */

static struct bpf_insn insns[INSNS_MAX];

/* Straight on: r0 = 0, 1, 2 ... and out. number makes the program one of its own. */
static void program_make(uint32_t insn_cnt, uint32_t number)
{
	for (uint32_t i = 0; i + 1 < insn_cnt; i++)
		insns[i] = (struct bpf_insn){ .code = BPF_ALU64 | BPF_MOV | BPF_K,
			.imm = (int32_t)i };
	insns[0].imm = (int32_t)number;
	insns[insn_cnt - 1] = (struct bpf_insn){ .code = BPF_JMP | BPF_EXIT };
}

/* Returns the program; how long the system call took is *ret_ns. */
static int program_load(uint32_t insn_cnt, uint64_t *ret_ns)
{
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
		.insn_cnt = insn_cnt,
		.insns = (uintptr_t)insns,
		.license = (uintptr_t) "GPL",
		.prog_name = "bench",
	};
	uint64_t begin = now_ns();
	long fd = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));

	*ret_ns = now_ns() - begin;
	if (fd < 0)
		err(1, "BPF_PROG_LOAD of %u instructions", insn_cnt);
	return (int)fd;
}

static void time_loads(uint32_t insn_cnt, unsigned count, useconds_t pause_us)
{
	uint64_t *ns = calloc(count, sizeof(*ns));

	if (!ns)
		err(1, NULL);
	for (unsigned i = 0; i < count; i++) {
		program_make(insn_cnt, i);
		close(program_load(insn_cnt, &ns[i]));
		if (pause_us)
			usleep(pause_us);
	}
	for (unsigned i = 0; i < count; i++)
		put_ns(ns[i]);
	free(ns);
}

/* ---- asking the daemon ---- */

/* The whole answer to one request; what does not fit in size is read and dropped. */
static void ask(const struct ask_request *request, char *ret_text, size_t size)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX,
		.sun_path = "/run/bpfmeasure/measurer.sock" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct ask_answer head;
	char rest[65536];
	size_t len = 0;
	ssize_t got;

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		err(1, "%s", address.sun_path);
	if (write(fd, request, sizeof(*request)) != sizeof(*request) ||
		recv(fd, &head, sizeof(head), MSG_WAITALL) != sizeof(head))
		errx(1, "the daemon does not answer");
	while ((got = read(fd, rest, sizeof(rest))) > 0) {
		size_t room = size - 1 - len;
		size_t part = (size_t)got < room ? (size_t)got : room;

		memcpy(ret_text + len, rest, part);
		len += part;
	}
	ret_text[len] = 0;
	close(fd);
	if (head.error || got < 0)
		errx(1, "the daemon refuses: %s", ret_text);
}

static uint64_t number_of(const char *status, const char *key)
{
	const char *at = strstr(status, key);

	if (!at)
		errx(1, "no %s in: %s", key, status);
	return strtoull(at + strlen(key), NULL, 10);
}

struct place {
	uint64_t last, extended;
};

static const char *status_text(void)
{
	static const struct ask_request request = { .magic = ASK_MAGIC, .what = ASK_STATUS };
	static char status[8192];

	ask(&request, status, sizeof(status));
	return status;
}

static struct place place(void)
{
	const char *status = status_text();

	return (struct place){ .last = number_of(status, "\"last_seq\":"),
		.extended = number_of(status, "\"extended_seq\":") };
}

/* Until records up to seq are there and everything that is there is extended. */
static struct place wait_extended(uint64_t seq)
{
	uint64_t deadline = now_ns() + WAIT_S * 1000000000ULL;

	for (;;) {
		struct place at = place();

		if (at.extended >= seq && at.extended == at.last)
			return at;
		if (now_ns() > deadline)
			errx(1, "record %llu is not extended after %u s: %llu of %llu are",
				(unsigned long long)seq, WAIT_S, (unsigned long long)at.extended,
				(unsigned long long)at.last);
		usleep(POLL_US);
	}
}

static void time_durable(unsigned count)
{
	struct place at = wait_extended(1);

	for (unsigned i = 0; i < count; i++) {
		uint64_t begin, ns;
		int fd;

		program_make(2, i);
		begin = now_ns();
		fd = program_load(2, &ns);
		at = wait_extended(at.last + 1);
		put_ns(now_ns() - begin);
		close(fd);
		at = wait_extended(at.last + 1); /* its end */
	}
}

/* Two records for each load: it and its end. */
static void time_burst(unsigned count)
{
	struct place at = wait_extended(1);
	uint64_t begin = now_ns(), ns;

	for (unsigned i = 0; i < count; i++) {
		program_make(2, i);
		close(program_load(2, &ns));
	}
	put_ns(now_ns() - begin);
	wait_extended(at.last + 2 * count);
	put_ns(now_ns() - begin);
}

static int wait_all(void)
{
	wait_extended(1);
	return 0;
}

static int show(void)
{
	fputs(status_text(), stdout);
	return 0;
}

static void time_status(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		uint64_t begin = now_ns();

		place();
		put_ns(now_ns() - begin);
	}
}

static void time_quote(unsigned count)
{
	static char text[1 << 20];

	for (unsigned i = 0; i < count; i++) {
		struct ask_request request = { .magic = ASK_MAGIC,
			.what = ASK_EVIDENCE,
			.nonce = { (uint8_t)i, 1 },
			.since = wait_extended(1).last };
		uint64_t begin = now_ns();

		ask(&request, text, sizeof(text));
		put_ns(now_ns() - begin);
	}
}

/* ---- running ---- */

extern char **environ;

static void time_spawn(unsigned count, char **command)
{
	posix_spawn_file_actions_t actions;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", 1 /* O_WRONLY */, 0);
	for (unsigned i = 0; i < count; i++) {
		uint64_t begin = now_ns();
		pid_t pid;
		int status = 0;

		if (posix_spawnp(&pid, command[0], &actions, NULL, command, environ))
			err(1, "%s", command[0]);
		waitpid(pid, &status, 0);
		if (status)
			errx(1, "%s failed: %d", command[0], status);
		put_ns(now_ns() - begin);
	}
	posix_spawn_file_actions_destroy(&actions);
}

static unsigned number(const char *text, unsigned max)
{
	unsigned long value = strtoul(text, NULL, 10);

	if (!value || value > max)
		errx(2, "%s: not a number from 1 to %u", text, max);
	return (unsigned)value;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*measure)(unsigned count);
	} counted[] = {
		{ "durable", time_durable },
		{ "burst", time_burst },
		{ "status", time_status },
		{ "quote", time_quote },
	};
	const char *what = argc > 1 ? argv[1] : "";

	if (argc == 2 && !strcmp(what, "wait"))
		return wait_all();
	if (argc == 2 && !strcmp(what, "show"))
		return show();

	for (size_t i = 0; i < sizeof(counted) / sizeof(*counted); i++)
		if (argc == 3 && !strcmp(what, counted[i].name)) {
			counted[i].measure(number(argv[2], 1000000));
			return 0;
		}
	if ((argc == 4 || argc == 5) && !strcmp(what, "time"))
		time_loads(number(argv[2], INSNS_MAX), number(argv[3], 1000000),
			argc == 5 ? (useconds_t)strtoul(argv[4], NULL, 10) : 0);
	else if (argc > 3 && !strcmp(what, "spawn"))
		time_spawn(number(argv[2], 1000000), argv + 3);
	else {
		fputs(usage, stderr);
		return 2;
	}
	return 0;
}
