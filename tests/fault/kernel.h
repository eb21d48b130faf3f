/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A kernel made of files: what the BPF programs would do, without BPF. It outlives the daemon, as
 * the pinned maps do, and any number of processes may load programs into it at the same time.
 *
 *	DIR/world   the programs loaded now, the ends that found the ring full, and the ledger: what
 *	            truly happened, for tests to hold the log against
 *	DIR/state   struct event_state, and
 *	DIR/ring    the ring, as the kernel's map would look: both are there while hooks are attached
 *	DIR/lock    held for a moment by whoever changes any of them
 *	DIR/bell    a FIFO that is readable when there is something new on the ring
 *	DIR/hide    where there is one: an id and then words; this program is not shown by these ways
 *	            to ask: iterator, ids, fd. With the word made-up, that of ids names every number
 *
 * Events go on the ring in the manner of bpf/measure_send.bpf.h: a ticket first, then room on the
 * ring, with the busy bit until it is filled; where there is none the ticket stays a hole.
 */
#ifndef TESTS_FAULT_KERNEL_H
#define TESTS_FAULT_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/event.h"

struct kernel;

/*
 * Open the kernel in a directory, or make one. Hooks that are attached later are not seen.
 *
 * Returns 0 or a negative errno.
 */
[[nodiscard]] int kernel_open(const char *dir, struct kernel **ret_kernel);
void kernel_close(struct kernel *kernel);
void kernel_closep(struct kernel **kernel);

/* The descriptor that becomes readable with new events, or a negative errno. The caller's. */
[[nodiscard]] int kernel_bell_open(const char *dir);

/* Ring this bell after each load; it stays the caller's. */
void kernel_bell_ring_with(struct kernel *kernel, int bell_fd);

/* ---- hooks ---- */

/*
 * Attach the hooks with a ring of this size (a power of two), or find them attached.
 *
 * Returns 1 where they were attached before, 0 where they are now, or a negative errno.
 */
[[nodiscard]] int kernel_attach(struct kernel *kernel, size_t ring_size);

/* Remove the hooks: what is on the ring and in ends is gone. Returns 0 or a negative errno. */
[[nodiscard]] int kernel_detach(struct kernel *kernel);

/* NULL while no hooks are attached. */
struct event_state *kernel_state(const struct kernel *kernel);
size_t kernel_ring_size(const struct kernel *kernel);
[[nodiscard]] int kernel_ring_open(const char *dir);

/* The bytes on the ring that the daemon did not give back yet; 0 while no hooks are attached. */
size_t kernel_ring_unread(const struct kernel *kernel);

/* Another kernel: no hooks, no programs, ids begin at 1. The ledger stays. */
[[nodiscard]] int kernel_reboot(struct kernel *kernel);

/* ---- programs ---- */

enum kernel_how {
	LOAD_PLAIN,
	LOAD_SIGNED, /* and everything about it as it should be */
	LOAD_UNPARSABLE, /* refused for its signature, before anything else */
	LOAD_REFUSED, /* by the verifier, before it had an id */
	LOAD_DENIED, /* by an LSM at the descriptor: an id is consumed */
	LOAD_ENDLESS, /* plain, and the last hook was passed by */
	LOAD_SILENT, /* past the hooks: an id is consumed and the program is listed, no event */
	LOAD_HIDDEN, /* likewise, but it is not listed either */
	LOAD_HOW_COUNT,
};

struct kernel_load {
	enum kernel_how how;
	uint32_t tgid;
	uint32_t parent_id; /* of the loader program that loads it; 0 for none */
	uint32_t prog_type;
	const char *name;
};

/* One load, from its beginning to its end. Returns the program's id, 0 where there is none. */
uint32_t kernel_load(struct kernel *kernel, const struct kernel_load *load);

/* The last reference to a program goes. Returns whether it was there. */
bool kernel_free(struct kernel *kernel, uint32_t id);

/* The same, and the hook is passed by. */
void kernel_free_unseen(struct kernel *kernel, uint32_t id);
uint64_t kernel_frees_missed(const struct kernel *kernel);

/* Something is attached, and the hook is passed by. */
void kernel_attach_unseen(struct kernel *kernel);
uint64_t kernel_attachments_missed(const struct kernel *kernel);

/* The ids of up to max loaded programs that are not the agent's own, oldest first. Returns how many. */
size_t kernel_programs(const struct kernel *kernel, size_t max, uint32_t *ret_ids);

/*
 * Every program that is loaded and listed. As the iterator, it makes their ends worth an event.
 *
 * Returns 0, or what fn returned where that is not 0.
 */
typedef int kernel_program_fn(void *arg, const struct event_prog *prog);
int kernel_programs_each(struct kernel *kernel, kernel_program_fn *fn, void *arg);

/* The ends that the ring had no room for: the one after a load's (0: the first), 1 or 0 when there is
 * none; and to forget one. */
int kernel_end_next(struct kernel *kernel, uint64_t after_load, struct event_end *ret_end);
void kernel_end_drop(struct kernel *kernel, uint64_t load);

/* The listed program with this id. Returns whether there is one. */
bool kernel_program_get(struct kernel *kernel, uint32_t id, struct event_prog *ret_prog);

/* The lowest id above this one of a program that is loaded and listed; 0 for none. */
uint32_t kernel_next_id(struct kernel *kernel, uint32_t after_id);

/* ---- what truly happened ---- */

struct kernel_entry {
	uint64_t serial; /* the program's own, see kernel_insns() */
	uint64_t load; /* number of the load; 0 where no hook saw it */
	uint32_t boot; /* 0, 1 ... */
	uint32_t id; /* 0 for none */
	int32_t error;
	uint8_t how;
	bool self; /* the agent's own */
	bool freed;
	bool free_seen; /* and there was an event, perhaps a dropped one, or a hook of ours to pass by */
};

/* The n-th load that ended, or NULL. */
const struct kernel_entry *kernel_ledger(const struct kernel *kernel, size_t n);

enum { KERNEL_INSNS = 4 };

/* Of its enum lsm_integrity_verdict. */
enum { KERNEL_OK = 1, KERNEL_BADSIG = 7 };

/* The instructions of the program with this serial: no other has them. */
void kernel_insns(uint64_t serial, uint64_t ret_insns[static KERNEL_INSNS]);

#endif
