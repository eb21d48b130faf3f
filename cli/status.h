/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLI_STATUS_H
#define CLI_STATUS_H

#include <stddef.h>

#include "cli/ask.h"

/* The daemon may take so long for each part of an answer. */
enum { STATUS_TIMEOUT_S = 30 };

/* What comes over a socket shall not command a terminal: a byte that is no printable ASCII is printed
 * as \xHH. */
void status_print_text(const char *text, size_t len);

/*
 * Ask the daemon at path, which may take STATUS_TIMEOUT_S for each part of its answer.
 *
 * Returns its answer, an object with a text "state", for the caller to json_decref(); or NULL with
 * ret_error, an error of ask(), -EPROTO or -ENOMEM, and in ret_why why.
 */
[[nodiscard]] struct json_t *status_ask(
	const char *path, int *ret_error, char ret_why[static ASK_ERROR_MAX]);

/*
 * What is known of the machine while no daemon answers, under the keys of its own answer as far as
 * they are known: pcr and values of the TPM as the kernel shows it, first_seq, last_seq, kept_seq,
 * epoch_seq and log_id of the log, and last_kind, the kind of its last record ("stop" after an orderly end).
 *
 * state  "stopped", or "unknown" where somebody answers, but not as a daemon does
 * why    in words
 *
 * Returns the object, or NULL without memory.
 */
struct json_t *status_without_daemon(const char *db_path, const char *state, const char *why);

#endif
