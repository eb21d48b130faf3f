/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the attestation server's process gives up what it does not need: everything but its open sockets and
 * reading the log.
 */
#ifndef AGENT_SANDBOX_H
#define AGENT_SANDBOX_H

#include <stdbool.h>

enum { SANDBOX_ERROR_MAX = 256 };

struct sandbox_options {
	const char *user; /* who the process becomes; not root */
	const char *
		group; /* its only other group, where there is such a group: who may read the log */
	const char *database; /* in whose directory it may read */
	bool is_required; /* fail where the kernel lacks Landlock or seccomp */
};

/* What holds. The rest always does. */
struct sandbox_held {
	int landlock; /* the kernel's version of it that is in use; 0: none */
	bool seccomp;
};

/*
 * From here on this process is another user without any capability, starts no process, opens nothing but
 * files beside the database and below, for reading, as far as their modes let it, and makes no
 * connections. There is no way back.
 *
 * Returns 0, or a negative errno and ret_error: one clause for people. After an error this process is
 * fit for nothing but to end.
 */
[[nodiscard]] int sandbox_enter(const struct sandbox_options *options,
	struct sandbox_held *ret_held, char ret_error[static SANDBOX_ERROR_MAX]);

#endif
