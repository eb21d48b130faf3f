/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the kernel share. */
#ifndef TESTS_FAULT_KERNEL_OWN_H
#define TESTS_FAULT_KERNEL_OWN_H

#include <assert.h>
#include <errno.h>
#include <sys/file.h>

#include "tests/fault/kernel.h"
#include "tests/story.h"

enum {
	PAGE = 4096,
	PROGRAMS_MAX = 1 << 16,
	ENDS_MAX = 1 << 18,
	LEDGER_MAX = 1 << 22,
	PATH_SIZE = 256,
};

struct program {
	struct event_prog prog;
	uint64_t entry; /* in the ledger */
	bool listed;
	bool followed; /* its end is worth an event */
	bool own; /* the agent's: it alone frees it */
};

struct world {
	uint64_t serial;
	uint32_t boot;
	uint32_t last_id;
	__u64 frees_missed, attachments_missed;
	uint64_t program_count, end_count, entry_count;
	struct program programs[PROGRAMS_MAX];
	struct event_end ends[ENDS_MAX];
	struct kernel_entry ledger[LEDGER_MAX];
};

struct kernel {
	char dir[PATH_SIZE];
	int lock_fd;
	int bell_fd; /* -1: nobody listens */
	struct world *world;
	struct event_state *state;
	char *ring; /* a page each of the consumer's and the producer's position, then the data */
	size_t ring_size;
	struct tape tape;
};

static inline void kernel_lock(const struct kernel *kernel)
{
	while (flock(kernel->lock_fd, LOCK_EX))
		assert(errno == EINTR);
}

static inline void kernel_unlock(const struct kernel *kernel)
{
	flock(kernel->lock_fd, LOCK_UN);
}

#endif
