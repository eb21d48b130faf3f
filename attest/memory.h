/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a verifier remembers: the machines and their keys, what it has proven of each, what it has asked
 * and not been answered, violations that stay, verdicts. One SQLite file; several processes of one user
 * may use it at a time.
 *
 * It holds no secret. Who can write it can enrol machines and forget what they did.
 *
 * Every function returns 0 (or what its comment says) or a negative errno, of which memory_errmsg() is
 * the text: -EBUSY where another process writes for too long, -EUCLEAN where the file is damaged,
 * -ENOSPC, -EROFS, -ENOMEM, -EIO. After an error nothing of that call is in the file.
 */
#ifndef ATTEST_MEMORY_H
#define ATTEST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/machine.h"
#include "attest/policy.h"
#include "attest/verify.h"

enum {
	MEMORY_BUSY_MS = 10000, /* how long a call waits for another process */
	MEMORY_TEXT_MAX = 256, /* of a word or a comment, with its NUL byte */
	MEMORY_LINES_MAX = 16384, /* remembered of a machine */
	MEMORY_VERDICTS_MAX = 1000, /* of a machine; the oldest go */
	MEMORY_NONCE_S = 3600, /* how long an answer may take */
	MEMORY_VERDICT_S = 400 * 24 * 3600,
};

struct memory;

/*
 * Open, made with mode 0600 if it is not there. The folder must be.
 *
 * Returns 0, or a negative errno: -EMEDIUMTYPE for another kind of file or another version of it,
 * -EINVAL for a path that SQLite would not take for one. ret_memory is written either way, NULL without
 * memory.
 */
[[nodiscard]] int memory_open(const char *path, struct memory **ret_memory);
void memory_free(struct memory *memory);
void memory_freep(struct memory **memory);
const char *memory_errmsg(const struct memory *memory);

/*
 * A machine. put: -EEXIST where that name is enrolled with other keys and replace is false. With the
 * same keys the rest is changed and everything that was remembered stays; replaced, it goes.
 */
[[nodiscard]] int memory_machine_put(
	struct memory *memory, const struct machine *machine, bool replace);

/* -ENOENT. */
[[nodiscard]] int memory_machine_get(
	struct memory *memory, const char *name, struct machine *ret_machine);

/* In the order of their names, until fn returns something else than 0, which is returned then. fn may
 * call any function of the memory. */
[[nodiscard]] int memory_machines_each(
	struct memory *memory, int (*fn)(void *arg, const struct machine *machine), void *arg);

/* Forget a machine and all that was remembered of it: -ENOENT. */
[[nodiscard]] int memory_machine_remove(struct memory *memory, const char *name);

#endif
