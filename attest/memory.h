/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a verifier remembers: the machines and their keys, what it has proven of each, what it has asked
 * and not been answered, violations that stay, verdicts. One SQLite file; several processes may use it.
 *
 * It holds no secret. Who can write it can enrol machines.
 */
#ifndef ATTEST_MEMORY_H
#define ATTEST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/machine.h"
#include "attest/policy.h"
#include "attest/verify.h"

struct memory;

/* Open, made if it is not there. Returns 0, or a negative errno; memory_errmsg() says it (ret_memory is
 * written either way, NULL without memory). */
[[nodiscard]] int memory_open(const char *path, struct memory **ret_memory);
void memory_free(struct memory *memory);
void memory_freep(struct memory **memory);
const char *memory_errmsg(const struct memory *memory);

/* A machine. put: -EEXIST where that name is enrolled with other keys and replace is false; replaced, all
 * that was remembered of it goes. get: -ENOENT. */
[[nodiscard]] int memory_machine_put(
	struct memory *memory, const struct machine *machine, bool replace);
[[nodiscard]] int memory_machine_get(
	struct memory *memory, const char *name, struct machine *ret_machine);
[[nodiscard]] int memory_machines_each(
	struct memory *memory, int (*fn)(void *arg, const struct machine *machine), void *arg);

#endif
