/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The programs that are loaded now, by id: what the record of a child or of an unload needs to know
 * of them. Memory grows with the number of programs loaded, never with the log.
 */
#ifndef AGENT_PROGRAMS_H
#define AGENT_PROGRAMS_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/record.h"

struct programs {
	void *tree;
	size_t count;
};

struct program_known {
	uint32_t id;
	uint64_t load_time_ns;
	uint64_t seq; /* of its load or baseline record */
	struct record_digest sha256;
	struct record_digest chain_digest;
	enum record_verdict verdict;
};

void programs_done(struct programs *programs);

/* Remember a program, in the place of one with the same id. Returns 0 or -ENOMEM. */
[[nodiscard]] int programs_add(struct programs *programs, const struct program_known *program);

/* A program that record seq is about, by what the record says. */
struct program_known program_recorded(
	uint32_t id, uint64_t seq, const struct record_program_facts *facts);

/* NULL where there is none. Valid until the next programs_add() or programs_remove(). */
const struct program_known *programs_find(const struct programs *programs, uint32_t id);

/* Each of them, in the order of ids, until fn returns another value than 0, which is returned. fn does
 * not change the set. */
int programs_each(const struct programs *programs,
	int (*fn)(void *arg, const struct program_known *program), void *arg);

void programs_remove(struct programs *programs, uint32_t id);

#endif
