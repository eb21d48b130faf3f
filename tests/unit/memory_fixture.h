/* SPDX-License-Identifier: BSD-2-Clause */
/* A verifier's memory in a directory of its own. */
#ifndef TESTS_UNIT_MEMORY_FIXTURE_H
#define TESTS_UNIT_MEMORY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attest/memory.h"

struct memory_fixture {
	char dir[32];
	char path[64];
	struct memory *memory;
};

static inline void memory_reopen(struct memory_fixture *f)
{
	memory_free(f->memory);
	if (memory_open(f->path, &f->memory))
		fail_msg("%s", memory_errmsg(f->memory));
}

static inline void memory_fixture_init(struct memory_fixture *f)
{
	f->memory = NULL;
	strcpy(f->dir, "/dev/shm/memory-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/verifier.db", f->dir);
	memory_reopen(f);
}

static inline void memory_fixture_done(struct memory_fixture *f)
{
	static const char *const suffixes[] = { "", "-wal", "-shm", "-journal" };

	memory_free(f->memory);
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		char name[80];
		snprintf(name, sizeof(name), "%s%s", f->path, suffixes[i]);
		unlink(name);
	}
	assert_int_equal(rmdir(f->dir), 0);
}

static inline struct machine some_machine(const char *name)
{
	struct machine machine = {
		.mode = MACHINE_EK_PINNED,
		.tpm = MACHINE_HARDWARE,
		.ak_len = 90,
		.ak = "the AK of this machine",
		.ek_len = 314,
		.ek = "the EK of this machine",
		.pcr = 13,
		.enrolled_ns = 1780000000000000000,
	};

	snprintf(machine.name, sizeof(machine.name), "%s", name);
	snprintf(machine.address, sizeof(machine.address), "%s.example:7913", name);
	return machine;
}

#endif
