/* SPDX-License-Identifier: BSD-2-Clause */
/* Asking the measurer: the client's end of attest/ask.h. */
#ifndef CLI_ASK_H
#define CLI_ASK_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "attest/ask.h"

enum { ASK_ERROR_MAX = 256 };

/*
 * Send a request and read the head of the answer. magic and zero are set here. The measurer may
 * take timeout_s for each part of its answer.
 *
 * Returns 0 with ret_answer at the answer's bytes, for the caller to fclose(); a negative errno
 * with one clause in ret_error: -ENOENT or -ECONNREFUSED if nobody answers at path, -EACCES,
 * -EPROTO for an answer that is none, and what the measurer says.
 */
[[nodiscard]] int ask(const char *path, const struct ask_request *request, unsigned timeout_s,
	FILE **ret_answer, char ret_error[static ASK_ERROR_MAX]);

void ask_closep(FILE **answer);

#endif
